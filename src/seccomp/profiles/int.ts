/** The kernel takes many arguments as 32 bits, and so does a test with this mask: what stands above is no way around. */
export const int = 0xffffffff
