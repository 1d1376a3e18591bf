/**
 * What a command does with the signals that it gets while its vial runs: nothing else hands any on. Who is in which process group, who
 * gets what, and why: docs/how-it-works.md, "Signals".
 */
import { closeSync, openSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { hangUp, suspend } from '../launcher/record.js'
import type { SandboxProcess } from './spawn.js'

export interface Forwarding {
  /** What is got from now on has its usual effect. */
  end(): void
  /** Whether this one was got, or is within so many milliseconds. Asked before {@link end}. */
  had(signal: NodeJS.Signals, within: number): Promise<boolean>
}

/** Gives `send` each of these signals, once for all that come at once: timeout(1) sends one to us and then to our group. */
export function forward(signals: readonly NodeJS.Signals[], send: (signal: NodeJS.Signals) => void): Forwarding {
  const had = new Set<NodeJS.Signals>()
  const soon = new Set<NodeJS.Signals>()
  const take = (signal: NodeJS.Signals) => {
    if (soon.size === 0)
      setImmediate(() => {
        soon.forEach(send)
        soon.clear()
      })
    had.add(signal)
    soon.add(signal)
  }
  for (const signal of signals) process.on(signal, take)
  return {
    end() {
      soon.clear()
      for (const signal of signals) process.off(signal, take)
    },
    async had(signal, within) {
      const end = performance.now() + within
      while (!had.has(signal) && performance.now() < end) await setTimeout(1)
      return had.has(signal)
    },
  }
}

/** What a terminal sends to its foreground, where the payload is, too, when it shares the session. */
const ofTerminal: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGWINCH']
const ofProcesses: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2']

/** Of `vial run`. */
export function forwardSignals(child: Pick<SandboxProcess, 'pid' | 'kill'>, sharesSession: boolean): Forwarding {
  const hadTerminal = hasTerminal()
  const forwarding = forward([...ofTerminal, ...ofProcesses], (signal) => {
    // Without a handler we would die of what the payload, which got it by itself, may survive.
    if (sharesSession && ofTerminal.includes(signal)) return
    // A kill(1) means the payload alone; a terminal that is closed means all of its foreground.
    if (signal === 'SIGHUP' && hadTerminal && !hasTerminal()) {
      process.kill(child.pid, hangUp)
      // As the kernel does, for what is stopped would never get it: disassociate_ctty() in drivers/tty/tty_jobctrl.c.
      child.kill('SIGCONT')
    } else child.kill(signal)
  })
  // First all of the sandbox stops, then we, by the signal's own action: there is none where no shell could continue us. A payload
  // of the same session has stopped by itself.
  const stop = () => {
    if (!sharesSession) process.kill(child.pid, suspend)
    process.off('SIGTSTP', stop)
    process.kill(process.pid, 'SIGTSTP')
    process.on('SIGTSTP', stop)
    child.kill('SIGCONT')
  }
  process.on('SIGTSTP', stop)
  return {
    end() {
      forwarding.end()
      process.off('SIGTSTP', stop)
    },
    had: forwarding.had,
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
