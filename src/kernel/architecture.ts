/** The architectures a vial can be compiled for, by the names Node gives them (`process.arch`). */
export const architectures = ['x64', 'arm64'] as const
/** A machine that vials are made for. */
export type Architecture = (typeof architectures)[number]
