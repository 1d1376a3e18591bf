/**
 * A sandbox whose network is by name needs a process beside it as long as it runs. Unless `vial start` stays for it, the same command runs
 * once more, by itself: it starts the sandbox, tells this one, and keeps the network.
 */
import { fork } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { once } from 'node:events'
import { exitStatuses } from '../text/error.js'
import { write } from '../text/write.js'
import { ignoredSignals, ignoredVariable } from './ignored.js'

/** Names the process that a keeper was started by; it means nothing to any other process. */
const variable = 'VIAL_KEEPER_OF'

/** Whether this process is one. */
export function isKeeper(): boolean {
  const starter = process.env[variable]
  delete process.env[variable]
  const is = process.send !== undefined && starter === String(process.ppid)
  if (is) {
    // Until it is started, the sandbox ends with who asked for it.
    process.once('disconnect', leave)
    // One that could not start it ends.
    process.channel?.unref()
  }
  return is
}

const leave = () => process.exit(exitStatuses.sandbox)

/** The sandbox runs: nothing ties this process to its starter from now on. */
export function letStarterGo(): void {
  process.off('disconnect', leave)
  process.chdir('/')
  // The lowest that is free: open(2). Its reader then sees the end.
  closeSync(2)
  openSync('/dev/null', 'w')
  process.send!('started', () => process.disconnect())
}

/** Gives whether it has started the sandbox. What it says is said here, and its status is this one's. */
export async function startKeeper(): Promise<boolean> {
  const child = fork(process.argv[1]!, process.argv.slice(2), {
    // A session of its own: what the terminal sends is not for it.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...process.env, [variable]: String(process.pid), [ignoredVariable]: ignoredSignals().toString(16) },
  })
  child.stderr!.on('data', (bytes: Buffer) => write(2, bytes))
  const silent = once(child.stderr!, 'close')
  const started = await Promise.race([once(child, 'message').then(() => true), once(child, 'exit').then(() => false)])
  await silent
  if (started) child.unref()
  else process.exitCode = child.exitCode ?? exitStatuses.sandbox
  return started
}
