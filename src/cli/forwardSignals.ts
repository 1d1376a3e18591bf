/** What the command does with the signals that it gets: docs/how-it-works.md, "Signals", says what and why. */
import { closeSync, openSync } from 'node:fs'
import { hangUp, suspend } from '../launcher/record.js'
import type { SandboxProcess } from '../run/spawn.js'

const handedOn = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const
type HandedOn = (typeof handedOn)[number]

/** What a terminal sends to its foreground, where the payload is, too, when it shares the session. */
const byItself: readonly HandedOn[] = ['SIGINT', 'SIGQUIT', 'SIGWINCH']

export interface Handing {
  /** What is got from now on has its usual effect. */
  end(): void
  /** Whether this one was handed on. */
  had(signal: HandedOn): boolean
}

export function handOn(child: Pick<SandboxProcess, 'pid' | 'kill'>, sharesSession: boolean): Handing {
  const had = new Set<HandedOn>()
  const soon = new Set<HandedOn>()
  const hadTerminal = hasTerminal()

  // timeout(1) sends one to us and then to our group, which to a program is one more while it deals with the first.
  const take = (signal: HandedOn) => {
    if (soon.size === 0) setImmediate(send)
    soon.add(signal)
  }
  const send = () => {
    for (const signal of soon) {
      had.add(signal)
      // A kill(1) means the payload alone; a terminal that is closed means all of its foreground.
      if (signal === 'SIGHUP' && hadTerminal && !hasTerminal()) {
        process.kill(child.pid, hangUp)
        // As the kernel does, for what is stopped would never get it: disassociate_ctty() in drivers/tty/tty_jobctrl.c.
        child.kill('SIGCONT')
      } else child.kill(signal)
    }
    soon.clear()
  }
  // First all of the sandbox stops, then we, by the signal's own action: there is none where no shell could continue us. A payload
  // of the same session has stopped by itself.
  const stop = () => {
    if (!sharesSession) process.kill(child.pid, suspend)
    process.off('SIGTSTP', stop)
    process.kill(process.pid, 'SIGTSTP')
    process.on('SIGTSTP', stop)
    child.kill('SIGCONT')
  }

  const taken = handedOn.filter((signal) => !sharesSession || !byItself.includes(signal))
  for (const signal of taken) process.on(signal, take)
  // Else we would die of what the payload may survive.
  const ignore = (signal: HandedOn) => had.add(signal)
  if (sharesSession) for (const signal of byItself) process.on(signal, ignore)
  process.on('SIGTSTP', stop)
  return {
    end() {
      soon.clear()
      for (const signal of handedOn) process.off(signal, take).off(signal, ignore)
      process.off('SIGTSTP', stop)
    },
    had: (signal) => had.has(signal),
  }
}

/** Whether there is a terminal, which is so until it is closed. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r+'))
    return true
  } catch {
    return false
  }
}
