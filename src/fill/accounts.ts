import { Fault, PolicyError } from '../text/error.js'
import type { FillEntry } from './entry.js'

export interface Account {
  uid: number
  gid: number
  /** "root" for uid 0, else "user". */
  user?: string
  /** As the user. */
  group?: string
  /** "/root" for uid 0, else "/". */
  home?: string
  /** "localhost". */
  hostname?: string
  /** "/bin/sh". */
  shell?: string
  /** More lines of hosts(5); none. */
  hosts?: string
}

const NOBODY = 65534

/**
 * Writes /etc/passwd (passwd(5)), /etc/group (group(5)), /etc/hosts (hosts(5)) and /etc/hostname (hostname(5)) for one
 * account. root and nobody are listed too, unless the account has their number or their name.
 *
 * @throws {PolicyError} when a text would not stay within its field
 */
export function accountFiles(account: Account): FillEntry[] {
  const { uid, gid, hostname = 'localhost', shell = '/bin/sh', hosts = '' } = account
  const user = account.user ?? (uid === 0 ? 'root' : 'user')
  const group = account.group ?? (gid === 0 ? 'root' : user)
  const home = account.home ?? (uid === 0 ? '/root' : '/')
  for (const [field, text] of Object.entries({ user, group, home, hostname, shell })) {
    const separators = field === 'hostname' ? /\s|\0/ : field === 'group' || field === 'user' ? /[:,\s\0]/ : /[:\n\0]/
    if (separators.test(text) || (text === '' && field !== 'shell')) {
      const path = field === 'user' || field === 'group' ? `identity.${field}` : field
      throw new PolicyError([new Fault(path, `${JSON.stringify(text)} cannot be written to an account file`)])
    }
  }
  const users = distinct(
    { id: uid, name: user, line: `${user}:x:${uid}:${gid}:${user}:${home}:${shell}` },
    { id: 0, name: 'root', line: 'root:x:0:0:root:/root:/bin/sh' },
    { id: NOBODY, name: 'nobody', line: `nobody:x:${NOBODY}:${NOBODY}:nobody:/:/usr/sbin/nologin` },
  )
  const groups = distinct(
    { id: gid, name: group, line: `${group}:x:${gid}:` },
    { id: 0, name: 'root', line: 'root:x:0:' },
    { id: NOBODY, name: 'nogroup', line: `nogroup:x:${NOBODY}:` },
  )
  const names = hostname === 'localhost' ? 'localhost' : `localhost ${hostname}`
  return [
    { file: '/etc/group', content: groups },
    { file: '/etc/hostname', content: `${hostname}\n` },
    { file: '/etc/hosts', content: `127.0.0.1 ${names}\n::1 localhost ip6-localhost ip6-loopback\n${hosts}` },
    { file: '/etc/passwd', content: users },
  ]
}

interface Line {
  id: number
  name: string
  line: string
}

/** The first of `lines` wins over others of its number or name; they are written by number. */
function distinct(...lines: Line[]): string {
  const kept = lines.filter(
    (one, index) => !lines.slice(0, index).some((other) => other.id === one.id || other.name === one.name),
  )
  return kept
    .sort((a, b) => a.id - b.id)
    .map((one) => `${one.line}\n`)
    .join('')
}
