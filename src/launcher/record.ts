/**
 * Records on the status descriptor: four little-endian u64 and a struct rusage (zero but in `ended`). A file there may
 * begin with a header, the pid of the process that starts the vial as u64.
 */
export const record = { header: 8, size: 32 + 144, failed: 1, payload: 2, started: 3, ended: 4, limit: 5 } as const

/** Which limit a record of kind `limit` is about. */
export const reached = { wallTime: 1, cpuTime: 2, memory: 3 } as const
