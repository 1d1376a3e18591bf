/** What `vial start --foreground` does until its sandbox ends, as a supervisor has it of a service: signals, output, status. */
import { Readable } from 'node:stream'
import type { SignalName } from '../kernel/signals.js'
import { awaitEnd } from '../live/awaitEnd.js'
import { noEnd, sandboxNamed } from '../live/namedSandboxes.js'
import { stopSignalOf } from '../live/recordFile.js'
import type { RunningSandbox } from '../live/runningSandbox.js'
import { endOf } from '../live/sandboxEnd.js'
import { followLog } from '../live/sandboxLog.js'
import { signalSandbox } from '../live/signalSandbox.js'
import { stopSandbox } from '../live/stopSandbox.js'
import { passOn } from './passOn.js'
import { limitMet } from './report.js'
import { say } from './say.js'

export async function attendNamed(name: string): Promise<void> {
  const { home, found } = sandboxNamed(name)
  if (found.state === 'running') handSignalsOn(home, found)
  // As a stream, which waits for a slow reader while signals and the end are still heard.
  const passed =
    found.state === 'running' || found.state === 'ended' ? passOn(Readable.from(followLog(home, found)), 1) : undefined
  const end = await awaitEnd(home, name)
  await passed
  if (end?.state !== 'ended') throw noEnd(name, end)
  const { status, verdict } = endOf(end)
  const limit = limitMet(verdict)
  if (limit !== undefined) say(limit)
  process.exitCode = status
}

/** Signals that ask to end: a second one of them ends all. */
const asking = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const
/** What else is handed on, as by `vial run`: a program reads its configuration again, or opens its log. */
const telling = ['SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const

function handSignalsOn(home: string, found: RunningSandbox): void {
  const handOn = (signal: SignalName) => signalSandbox(found, signal)
  let asked = false
  for (const signal of telling) process.on(signal, () => handOn(signal))
  for (const signal of asking)
    process.on(signal, () => {
      if (asked) void stopSandbox(home, found, 0)
      // A supervisor, which knows no other, says that it is to end.
      else handOn(signal === 'SIGTERM' ? stopSignalOf(found.record) : signal)
      asked = true
    })
}
