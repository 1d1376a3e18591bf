/**
 * What Node.js and a gate (gate.ts) tell each other: frames over a pair of stream sockets. A frame is four little-endian u32 and a body.
 * Node.js asks for a command to be run, and for one to be ended. The gate tells what a command wrote, and in its last frame how it
 * ended, in records as a status file has them (record.ts). No payload holds an end of the sockets. A frame that is wrong, or the end of
 * the stream, ends the gate and all that it runs.
 */

/** The words of a frame, by their offsets. `length` is that of the body; `detail` means something else with each type. */
export const frame = { size: 16, length: 0, type: 4, id: 8, detail: 12 } as const

/** `detail` is a descriptor of the command where it is not said to be something else. */
export const frameType = {
  run: 1,
  end: 2,
  /** From the gate: what was written to 1 or 2. */
  output: 3,
  ended: 4,
  /** What is to be read from 0: the next one only behind the `taken` of the last. */
  input: 5,
  /** From the gate: the command's pipe has room for more; `detail` 1: no process reads it any more. */
  taken: 6,
  /** For now the gate reads no more of 1 or 2. */
  pause: 7,
  resume: 8,
  /** The end of input, or that no more of an output is wanted. */
  close: 9,
  /** `detail` is a signal for the command, or for its process group; of a house (house.ts), for the init of a slot, or for what makes it. */
  signal: 10,
  signalGroup: 11,
  // Of a house alone:
  /** A slot is to be made, which has the `id` of the command that it will run. */
  make: 12,
  /** From the house: the slot waits for its command. */
  ready: 13,
  /** From the house: the slot's init has ended, and its row is free. */
  gone: 14,
  /** A file that the slot is to write: {@link file}. With `detail` 1 what comes is behind what came before. */
  file: 15,
  /** A limit of the command, `detail` as of prlimit(2): its body is a struct rlimit64. */
  limit: 16,
  /** From the house: the slot has written a file. */
  written: 17,
} as const

/** What the body of a `file` begins with: its mode. Behind that come its path, with a NUL, and what is in it. */
export const file = { size: 4 } as const

/**
 * What the body of a `run` begins with, by offsets: how many arguments and variables there are, how many bytes of standard input, and
 * what that is ({@link stdin}). Behind it come texts, each with its NUL: the working directory, the arguments, the variables. Standard
 * input is last.
 */
export const run = { size: 16, args: 0, variables: 4, input: 8, stdin: 12 } as const

/** /dev/null, a pipe with all input that there is, or one that more may come to. */
export const stdin = { none: 0, whole: 1, open: 2 } as const

export const most = {
  /** Slots of a house, those that end among them. */
  slots: 256,
  /** Commands that run at a time: a record of each fits into the smallest pipe that the kernel makes. */
  atOnce: 32,
  /** Bytes of a frame's body. */
  body: 2 ** 17,
  /** Arguments, and variables. */
  words: 4096,
  /** Bytes of standard input: a pipe holds as much though no process reads. PIPE_MIN_DEF_BUFFERS of fs/pipe.c has two pages for a user of many pipes. */
  input: 8192,
  /** Bytes of one output, and of input that comes later. */
  piece: 2 ** 16,
} as const
