/** Why a test cannot run on this machine, as the value of its `skip`: false where it can. */
import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { askWay } from '../../src/cgroup/findWay.js'
import { askLandlock } from '../../src/doctor/probe.js'
import type { GroupLimitName } from '../../src/policy/limits.js'

/** What lies in a home directory is for its owner alone, and not for a sandbox. */
const isShared = (directory: string) => !`${directory}/`.startsWith(`${homedir()}/`)
/** An ordinary user's PATH leaves out the directories where Debian puts nginx, setcap and ldconfig. */
const directories = [...(process.env.PATH ?? '').split(':').filter(isShared), '/usr/local/sbin', '/usr/sbin', '/sbin']

/** Whether a program can be run: by name, or by path. */
export function installed(program: string): boolean {
  const paths = program.includes('/') ? [program] : directories.map((directory) => join(directory, program))
  return paths.some((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Which of these programs are not installed. */
export function notInstalled(...programs: readonly string[]): string | false {
  const absent = programs.filter((program) => !installed(program))
  return absent.length > 0 && `not installed: ${absent.join(', ')}`
}

/** Which of these are named in a text, as a document or an example names what it runs, and are not installed. */
export const namedButAbsent = (text: string, ...programs: readonly string[]): string | false =>
  notInstalled(...programs.filter((program) => new RegExp(`\\b${program}\\b`).test(text)))

export const notRoot: string | false = process.getuid?.() !== 0 && 'needs root'

/** landlock(7): from ABI 6, Linux 6.12, on a domain also holds in signals and abstract sockets. */
export const noScopes = (): string | false => askLandlock() < 6 && 'Landlock has no scopes before Linux 6.12'

/** What keeps the tests from groups of their own: root makes some for each of its callers, others need a delegated one. */
export function noGroups(...resources: readonly GroupLimitName[]): string | false {
  const way = askWay(resources)
  return 'missing' in way && way.missing
}
