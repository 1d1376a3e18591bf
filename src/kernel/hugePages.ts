/** Sizes of huge pages of all machines, by what the kernel's files call them. */
export const hugePages = {
  '64K': '64KB',
  '2M': '2MB',
  '32M': '32MB',
  '512M': '512MB',
  '1G': '1GB',
  '16G': '16GB',
} as const
export type HugePage = keyof typeof hugePages
