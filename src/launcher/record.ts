/** What a vial of the library and this process tell each other. */

/**
 * Records on the status descriptor: four little-endian u64 and a struct rusage (zero but in `ended`). The third word of
 * `payload` is 1 when the payload was killed from outside, that of `started` when init takes {@link endSignal}. `running`: the payload of a living
 * sandbox was executed, or the sandbox waits without one; in a house (house.ts), or its slot waits. `written`: a slot has written a file. `piped` has behind
 * its kind the two descriptors of each pipe as pipe2(2) gives them, in the order of the plan. A file there may begin with a
 * header of three: the pid of the process that starts the vial, which signals its command is to start with ignored, and the size of the
 * command's terminal, as a struct winsize.
 */
export const record = {
  header: 24,
  ignored: 8,
  /** The word, by its offset, that says which of a gate's requests failed. */
  request: 24,
  window: 16,
  /** Of `failed`, a text with its NUL that says more than an errno, where there is one. */
  detail: { at: 32, size: 144 },
  size: 32 + 144,
  failed: 1,
  payload: 2,
  started: 3,
  ended: 4,
  limit: 5,
  piped: 6,
  running: 7,
  written: 8,
} as const

/** As many as one record has room for. */
export const mostPipes = (record.size - 8) / 8

/**
 * A signal from outside at which pid 1 kills all others, waits for them, so that their usage counts, and ends. Real-time
 * signals queue; the payload's own of this number differs by its si_pid. Of what has entered a sandbox, the process that waits for the
 * command takes it, and ends the command's process group.
 */
export const endSignal = 63

/** The real-time signal by which the caller of a living sandbox lets it go: it then outlives the caller. */
export const letLive = 58

/** Which limit a record of kind `limit` is about. */
export const reached = { wallTime: 1, cpuTime: 2, memory: 3 } as const

/** The real-time signal by which the caller tells the monitor that it has its ends of all pipes. */
export const pipesTaken = 62

/**
 * What the caller and the monitor tell downwards by real-time signals: to stop all of the sandbox (until SIGCONT), and that the
 * terminal was closed, which is SIGHUP for the payload's whole process group.
 */
export const suspend = 60
export const hangUp = 59

/** What the kernel sends the monitor when the thread that started it ends, which may not be the end of the process. */
export const parentEnded = 61

/**
 * What init tells the monitor of a payload in a shared session: a u64 in a pipe that sends this real-time signal, which is not the
 * payload's then.
 */
export const told = { signal: 58, stopped: 1, interrupted: 2 } as const
