/** What a probe told, line by line, so that a difference has a name. */

export type Lines = ReadonlyMap<string, string>

/** Of proc_pid_status(5): its own numbers, how much memory and how many switches; and the room for descriptors that there once was. */
const counted =
  /^(Pid|Tgid|Ngid|PPid|NS[a-z]+|Vm[A-Za-z]+|Rss[A-Za-z]+|HugetlbPages|[a-z]*voluntary_ctxt_switches|FDSize)$/

/** Of proc_pid_stat(5), those that `status` does not have. */
const statFields = { tty: 7, flags: 9, priority: 18, nice: 19, 'exit signal': 38, 'real-time priority': 40, policy: 41 }

/** PF_SUPERPRIV of linux/sched.h, which acct(5) tells: it used a right once, such as that to give up the others, and it says nothing of now. */
const usedRight = 0x100

/** Of getauxval(3): addresses. */
const addresses = [3, 7, 9, 15, 24, 25, 26, 31, 33]

const rows = (text: string) => text.split('\n').filter((line) => line !== '')

const listed = (text: string) => rows(text).map((line, index): [string, string] => [`${index + 1}`, line])

const split: Readonly<Record<string, (text: string) => [string, string][]>> = {
  '/proc/self/status': (text) =>
    rows(text).flatMap((line): [string, string][] => {
      const [name = '', value = ''] = line.split(/:\s*(.*)/s)
      // How many signals wait is the user's count, whose limit is the process's own.
      return counted.test(name) ? [] : [[name, name === 'SigQ' ? value.replace(/.*\//, '') : value]]
    }),
  '/proc/self/stat': (text) => {
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return Object.entries(statFields).map(([name, number]) => {
      const value = fields[number - 3]!
      return [name, name === 'flags' ? `0x${(Number(value) & ~usedRight).toString(16)}` : value]
    })
  },
  // A file of the host may be replaced meanwhile: proc_pid_mountinfo(5) then says that what is shown was deleted.
  '/proc/self/mountinfo': (text) => listed(text.replaceAll('//deleted', '')),
  '/proc/self/limits': (text) =>
    rows(text).map((line) => [line.slice(0, 26).trim(), line.slice(26).trim().replaceAll(/\s+/g, ' ')]),
  '/proc/self/environ': (text) => listed(text.replaceAll('\0', '\n')),
  '/proc/self/cmdline': (text) => listed(text.replaceAll('\0', '\n')),
  '/proc/self/auxv': (text) => {
    const bytes = Buffer.from(text, 'latin1')
    return Array.from({ length: bytes.length / 16 }, (_, index): [string, string] => [
      String(bytes.readBigUInt64LE(16 * index)),
      bytes.readBigUInt64LE(16 * index + 8).toString(16),
    ]).filter(([type]) => !addresses.includes(Number(type)))
  },
  // Of the flags of a file: how it was opened, O_APPEND and O_NONBLOCK. O_LARGEFILE says by which call.
  descriptors: (text) =>
    rows(text).map((line) => {
      const [fd = '', flags, file] = line.split(' ')
      return [fd, `${flags} ${Number(file) & 0o6003}`]
    }),
}

export function linesOf(sections: ReadonlyMap<string, string>): Lines {
  const lines = [...sections].flatMap(([name, text]): [string, string][] => {
    const parts = split[name]
    return parts === undefined || /^\d{20}$/.test(text)
      ? [[name, signed(text)]]
      : parts(text).map(([part, value]) => [`${name} ${part}`, value])
  })
  return new Map(lines)
}

/** -errno is a number that needs all of its 64 bits. */
const signed = (text: string) => (/^\d{20}$/.test(text) ? String(BigInt.asIntN(64, BigInt(text))) : text.trimEnd())

/**
 * The same without what numbers a sandbox: which mount, device, peer group, namespace and cgroup it is of all that the kernel has.
 * @param callers links to the namespaces that are not of the sandbox
 */
export function unnumbered(lines: Lines, callers: readonly string[]): Lines {
  const serials = new Map<string, number>()
  const serial = (kind: string) => (number: string) => {
    const known = serials.get(kind + number) ?? serials.size
    serials.set(kind + number, known)
    return `${known}`
  }
  return new Map(
    [...lines].flatMap(([name, value]): [string, string][] => {
      // At this word the command of a sandbox that is entered waits.
      if (name === '/proc/self/cmdline 2') return []
      if (name.startsWith('/proc/self/ns/')) return [[name, callers.includes(value) ? "the caller's" : 'its own']]
      if (name === '/proc/self/cgroup') return [[name, value.replaceAll(/\bvial\.[^/\n]*/g, 'vial')]]
      if (!name.startsWith('/proc/self/mountinfo')) return [[name, value]]
      const [mount = '', above = '', device = '', ...rest] = value.split(' ')
      const text = rest.join(' ').replaceAll(/\b(?<=shared:|master:)\d+/g, serial('peers'))
      const numbers = [mount, above].map(serial('mount'))
      return [[name, [...numbers, device.replace(/^0:\d+/, serial('device')), text].join(' ')]]
    }),
  )
}

/** Each line that the two do not share, with what it is in both. */
export function differences(
  one: Lines,
  other: Lines,
): Record<string, readonly [string | undefined, string | undefined]> {
  const names = new Set([...one.keys(), ...other.keys()])
  return Object.fromEntries(
    [...names]
      .filter((name) => one.get(name) !== other.get(name))
      .map((name) => [name, [one.get(name), other.get(name)]]),
  )
}
