/** Signal numbers, from `asm/signal.h` (the same on both architectures); signal(7). */
export const signals = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const

export type SignalName = keyof typeof signals

/** A signal as bash(1) and kill(1) name it; the first two real-time signals are the C library's own and have no name. */
export type AnySignalName = SignalName | 'SIGRTMIN' | `SIGRTMIN+${number}` | `SIG${32 | 33}`

/** signal(7), "Real-time signals", as glibc counts them. */
const firstRealTime = 34

export function signalName(number: number): AnySignalName {
  const known = (Object.keys(signals) as SignalName[]).find((name) => signals[name] === number)
  if (known !== undefined) return known
  if (number < firstRealTime) return `SIG${number as 32 | 33}`
  return number === firstRealTime ? 'SIGRTMIN' : `SIGRTMIN+${number - firstRealTime}`
}

/** The inverse of {@link signalName}. */
export function signalNumber(name: string): number {
  const known = signals[name as SignalName]
  if (known !== undefined) return known
  const [, base, more = '0'] = /^SIG(RTMIN|\d+)(?:\+(\d+))?$/.exec(name) ?? []
  return (base === 'RTMIN' ? firstRealTime : Number(base)) + Number(more)
}
