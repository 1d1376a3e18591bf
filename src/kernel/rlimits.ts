/** Resource limits, from `asm-generic/resource.h`; getrlimit(2). */
export const rlimits = {
  as: 9,
  core: 4,
  cpu: 0,
  data: 2,
  fsize: 1,
  locks: 10,
  memlock: 8,
  msgqueue: 12,
  nice: 13,
  nofile: 7,
  nproc: 6,
  rss: 5,
  rtprio: 14,
  rttime: 15,
  sigpending: 11,
  stack: 3,
} as const

/** No limit. */
export const RLIM_INFINITY = 2n ** 64n - 1n

export type RlimitName = keyof typeof rlimits
