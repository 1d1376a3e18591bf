/** What this caller may do by itself, and how the rest can be asked of root: capabilities(7), proc_pid_status(5), user_namespaces(7). */
import { constants, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { capabilities } from '../kernel/capabilities.js'
import { attempt, mayAccess } from '../text/attempt.js'

/** Whether it is among this process's effective capabilities. */
export function hasCapability(name: keyof typeof capabilities): boolean {
  const effective = BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(textOf('/proc/self/status'))?.[1] ?? 0}`)
  return (effective & (1n << BigInt(capabilities[name]))) !== 0n
}

/** What a command of root's changes: files such as those of /etc, or what the kernel keeps for all: settings, modules, mounts, groups. */
type Changes = 'files' | 'kernel'

/** Whether no command that this process starts, sudo included, can change it. */
export function isConfined(changes: Changes): boolean {
  // The first user namespace maps every id. Without /proc nothing is known.
  const map = textOf('/proc/self/uid_map')
  if (map === '') return false
  if (!/^\s*0\s+0\s+4294967295\s*$/.test(map)) return true
  return process.geteuid!() === 0
    ? changes === 'kernel' && !hasCapability('CAP_SYS_ADMIN')
    : /^NoNewPrivs:\s*1/m.test(textOf('/proc/self/status'))
}

/** A command with `sudo` in it, as this caller can have it done. */
export function byRoot(command: string, changes: Changes): string {
  const bare = command.replaceAll('sudo ', '')
  if (isConfined(changes)) return `as root, outside of the sandbox or container around this process: ${bare}`
  if (process.geteuid!() === 0) return bare
  return isOnPath('sudo') ? command : `as root: ${bare}`
}

/** Whether PATH has this program for the caller. */
export function isOnPath(program: string): boolean {
  return (process.env.PATH ?? '').split(':').some((directory) => mayAccess(join(directory, program), constants.X_OK))
}

/** Of a file; nothing where it cannot be read. */
export function textOf(path: string): string {
  return attempt(() => readFileSync(path, 'utf8')) ?? ''
}
