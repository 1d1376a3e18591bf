/**
 * A kernel that is told what to answer, for programs that the reference interpreter runs: it makes nothing, writes down each
 * call, and fails the one that a test chooses. A child runs to its end before its parent goes on.
 */
import { type ErrnoName, errno } from '../../src/kernel/errno.js'
import { CLONE, F, openFlags, POLL, S_IF, STATX, SUPER_MAGIC, TIOC } from '../../src/kernel/flags.js'
import { signals } from '../../src/kernel/signals.js'
import { type Layout, pack, structs } from '../../src/kernel/structs.js'
import type { SyscallName } from '../../src/kernel/syscalls.js'
import { pipesTaken } from '../../src/launcher/record.js'
import type { Program } from '../../src/machine/instruction.js'
import { type Answer, Machine, type Made } from '../machine/interpreter.js'

/** One call of one process: `1 init openat2(root, "proc") = 8`. */
export interface Call {
  readonly by: string
  readonly name: SyscallName
  readonly args: readonly string[]
  readonly result: string
  /** Of one that follows a path: what the process has open, by which a link of /proc leads. */
  readonly open?: Readonly<Record<number, string>>
}

/** They follow a path that the payload, or one before it, may have planted links on. */
const following = new Set<SyscallName>(['chdir', 'execve'])

export interface Script {
  /** Arguments of the vial, its own name first. */
  readonly argv: readonly string[]
  readonly env?: readonly string[]
  /** What comes from the caller by descriptors that it handed on; then each ends. */
  readonly given?: Readonly<Record<number, Uint8Array>>
  /** The payload's user is root outside too. */
  readonly root?: boolean
  /** The call, by its number in {@link Run.calls}, that fails, and with what. */
  readonly fail?: { readonly at: number; readonly with: ErrnoName }
}

export interface Run {
  readonly calls: readonly Call[]
  readonly status: number
  /** Written to standard error. */
  readonly said: string
  /** Written to any other descriptor, in hexadecimal. */
  readonly written: Readonly<Record<number, string>>
  /** What was executed, and with which environment; undefined: nothing was. */
  readonly executed?: { readonly argv: readonly string[]; readonly env: readonly string[] }
  /** Processes that were alive when the first one ended. */
  readonly left: readonly string[]
}

/** A sandbox that runs, and is entered: its place in /proc, and when it was started. */
export const monitor = { place: '/proc/42', start: '7' }
const stat = `42 (a ) name) S 1${' 0'.repeat(17)} ${monitor.start} 0 0\n`

const O_NONBLOCK = openFlags('x64').NONBLOCK

/** Of these calls the result is a new descriptor. */
const opening = new Set<SyscallName>([
  'openat',
  'openat2',
  'open_tree',
  'fsopen',
  'fsmount',
  'eventfd2',
  'pidfd_open',
  'socket',
  'signalfd4',
  'memfd_create',
  'landlock_create_ruleset',
])

/** An open file, which parent and child share. */
interface File {
  /** Where there is one its path. */
  readonly name: string
  nonblocking: boolean
  /** Of an eventfd(2). */
  count: bigint
  /** What is in a pipe, which both its ends share, or is still to come from the caller. */
  readonly held?: { bytes: Buffer }
}

/** A process that clone(2) made, and how it ended. */
interface Process {
  readonly name: string
  readonly pid: number
  readonly fds: Map<number, File>
  readonly children: Process[]
  ended?: { readonly status: number; reaped: boolean }
  /** How many user namespaces can still be made. */
  namespacesLeft?: number
}

/** What is at a path, on the host or in the new root: what has a dot in its last name is a file. */
function kindOf(path: string): keyof typeof S_IF {
  if (/^(stream|pipe)/.test(path)) return 'IFO'
  if (path.startsWith('given')) return 'DIR'
  if (/^\/dev\/\w+$/.test(path)) return 'CHR'
  return /\.\w+$/.test(path) ? 'REG' : 'DIR'
}

/** The caller hands on all descriptors up to this one. */
const lastGiven = 13

const names = ['monitor', 'init', 'payload']
const firstPid = 100
const everySignal = 2n ** 64n - 1n

export function run(program: Program, script: Script): Run {
  const calls: Call[] = []
  const written: Record<number, Buffer[]> = {}
  let executed: Run['executed']
  const all: Process[] = []
  const spawn = (fds: ReadonlyMap<number, File>): Process => {
    const one = {
      name: names[all.length] ?? `process ${all.length}`,
      pid: firstPid + all.length,
      fds: new Map(fds),
      children: [],
    }
    all.push(one)
    return one
  }
  const stack = initialStack(script.argv, script.env ?? [])

  const execute = (machine: Machine, me: Process): void =>
    machine.run((call, at) => {
      const number = calls.length
      const args = call.args.map((_, index) => shown(call, index, at))
      // Before it is answered: the calls of a child come after the one that makes it.
      const entry = {
        by: me.name,
        name: call.name,
        args,
        ...(following.has(call.name)
          ? { open: Object.fromEntries([...me.fds].map(([fd, { name }]) => [fd, name])) }
          : {}),
      }
      calls.push({ ...entry, result: '' })
      const answer = script.fail?.at === number ? -BigInt(errno[script.fail.with]) : answerTo(call, at, me)
      calls[number] = { ...entry, result: answer === 'ended' ? '' : told(answer) }
      return answer
    })

  const answerTo = (call: Made, machine: Machine, me: Process): Answer => {
    const number = (index: number) => Number(BigInt.asIntN(64, call.args[index] ?? 0n))
    const into = (index: number, bytes: Uint8Array, at = 0) =>
      machine.bytes(call.args[index]! + BigInt(at), bytes.length, true).set(bytes)
    const textAt = (index: number) => machine.text(call.args[index]!)
    const open = (name: string, nonblocking = false, held?: NonNullable<File['held']>): bigint => {
      let fd = 3
      while (me.fds.has(fd)) fd++
      me.fds.set(fd, { name, nonblocking, count: 0n, ...(held === undefined ? {} : { held }) })
      return BigInt(fd)
    }
    const take = (file: File, index: number, size: number): bigint => {
      const bytes = file.held!.bytes.subarray(0, size)
      file.held!.bytes = file.held!.bytes.subarray(bytes.length)
      if (bytes.length === 0 && file.nonblocking) return -BigInt(errno.EAGAIN)
      into(index, bytes)
      return BigInt(bytes.length)
    }
    const childHasEnded = () => me.children.some(({ ended }) => ended?.reaped === false)
    /** The path that a directory's descriptor and a path name. */
    const pathOf = (directory: number, path: string) =>
      path.startsWith('/')
        ? path
        : [me.fds.get(number(directory))?.name ?? '.', path].filter((part) => part !== '').join('/')
    switch (call.name) {
      case 'exit_group': {
        me.ended = { status: (number(0) & 0xff) << 8, reaped: false }
        return 'ended'
      }
      case 'execve':
      case 'execveat': {
        const [argv, env] = call.name === 'execve' ? [1, 2] : [2, 3]
        executed = { argv: strings(machine, call.args[argv]!), env: strings(machine, call.args[env]!) }
        me.ended = { status: 0, reaped: false }
        return 'ended'
      }
      case 'clone':
      case 'clone3': {
        const flags =
          call.name === 'clone'
            ? call.args[0]!
            : machine.bytes(call.args[0]!, 8, false).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
        const child = spawn(me.fds)
        me.children.push(child)
        execute(machine.fork((flags & BigInt(CLONE.VM)) !== 0n), child)
        return BigInt(child.pid)
      }
      case 'wait4': {
        const child = me.children.find(
          (one) => one.ended?.reaped === false && (number(0) === -1 || number(0) === one.pid),
        )
        if (child === undefined) return me.children.every((one) => one.ended?.reaped) ? -BigInt(errno.ECHILD) : 0n
        child.ended!.reaped = true
        if (call.args[1] !== 0n)
          into(1, pack({ size: 4, fields: { status: { offset: 0, size: 4 } } }, { status: child.ended!.status }))
        return BigInt(child.pid)
      }
      case 'rt_sigtimedwait': {
        // Pending are the ends of children, and the caller's word that it has its ends of the pipes; init without a payload is to end.
        const waitedFor = machine.bytes(call.args[0]!, 8, false)
        const mask = Buffer.from(waitedFor).readBigUInt64LE()
        const pending = childHasEnded()
          ? signals.SIGCHLD
          : me.children.length === 0 && mask === everySignal
            ? signals.SIGTERM
            : pipesTaken
        return (mask >> BigInt(pending - 1)) & 1n ? BigInt(pending) : BigInt(pipesTaken)
      }
      case 'ppoll': {
        // A look that does not wait: the other one is alive. What waits has one source ready: its signals when a child has ended, else its first.
        if (call.args[2] !== 0n) return 0n
        const { size, fields } = structs.pollfd
        const polls = Array.from({ length: number(1) }, (_, index) => BigInt(index * size))
        const fdAt = (at: bigint) => Buffer.from(machine.bytes(call.args[0]! + at, 4, false)).readInt32LE()
        const ofSignals = polls.find((at) => me.fds.get(fdAt(at))?.name === 'signalfd4')
        const ready = childHasEnded() ? (ofSignals ?? 0n) : 0n
        for (const at of polls)
          machine.bytes(call.args[0]! + at + BigInt(fields.revents.offset), 1, true).set([at === ready ? POLL.IN : 0])
        return 1n
      }
      case 'recvfrom':
        // An answer of netlink(7), in which all is well.
        return me.fds.get(number(0))!.held === undefined ? 36n : take(me.fds.get(number(0))!, 1, number(2))
      case 'statx': {
        const path = pathOf(0, textAt(1))
        into(
          4,
          pack(structs.statx, {
            stx_mask: STATX.BASIC_STATS,
            stx_nlink: 1,
            stx_mode: S_IF[kindOf(path)] | 0o755,
            stx_ino: 1,
            // The overflow id of user_namespaces(7).
            stx_uid: script.root ? 0 : 65534,
          }),
        )
        return 0n
      }
      case 'fstatfs': {
        const isTerminals = me.fds.get(number(0))?.name === '/dev/pts'
        into(1, pack(structs.statfs, { f_type: isTerminals ? SUPER_MAGIC.DEVPTS : SUPER_MAGIC.PROC }))
        return 0n
      }
      case 'getcwd': {
        const here = Buffer.from('/here\0')
        into(0, here)
        return BigInt(here.length)
      }
      case 'mmap':
        return machine.map(number(1))
      case 'kill':
        // No other process is left.
        return number(0) === -1 ? -BigInt(errno.ESRCH) : 0n
      case 'sendmsg':
        return 1n
      case 'recvmsg': {
        // As many descriptors as the structure has room for: msg_control, whose length includes a header.
        const header = Buffer.from(machine.bytes(call.args[1]!, structs.msghdr.size, false))
        const control = header.readBigUInt64LE(structs.msghdr.fields.msg_control.offset)
        const used = Buffer.from(machine.bytes(control, 8, false)).readBigUInt64LE()
        const fds = Array.from({ length: (Number(used) - structs.cmsghdr.size) / 4 }, () => Number(open('handed out')))
        machine
          .bytes(control + BigInt(structs.cmsghdr.size), 4 * fds.length, true)
          .set(new Uint8Array(new Int32Array(fds).buffer))
        return 1n
      }
      case 'socketpair':
      case 'pipe2': {
        const held = { bytes: Buffer.alloc(0) }
        const nonblocking = call.name === 'pipe2' && (number(1) & O_NONBLOCK) !== 0
        const ends = [open('pipe', nonblocking, held), open('pipe', nonblocking, held)].map(Number)
        into(call.name === 'pipe2' ? 0 : 3, new Uint8Array(new Int32Array(ends).buffer))
        return 0n
      }
      case 'read':
      case 'pread64': {
        const file = me.fds.get(number(0))
        if (file?.name === `${monitor.place}/stat`) {
          into(1, Buffer.from(stat))
          return BigInt(stat.length)
        }
        if (file?.name === 'signalfd4') {
          into(1, new Uint8Array(new Uint32Array([signals.SIGCHLD]).buffer))
          return 128n
        }
        if (file?.name === 'pipe') return take(file, 1, number(2))
        if (file?.name !== 'eventfd2') return 0n
        // One that waits is woken by its parent, which goes on later.
        if (file.count === 0n && file.nonblocking) return -BigInt(errno.EAGAIN)
        into(1, new Uint8Array(new BigUint64Array([file.count || 1n]).buffer))
        file.count = 0n
        return 8n
      }
      case 'write': {
        const bytes = Buffer.from(machine.bytes(call.args[1]!, number(2), false))
        const fd = number(0)
        const file = me.fds.get(fd)
        if (file?.name === 'pipe') file.held!.bytes = Buffer.concat([file.held!.bytes, bytes])
        else if (file?.name === 'eventfd2') file.count += bytes.readBigUInt64LE()
        else if (file?.name.endsWith('/max_user_namespaces')) me.namespacesLeft = Number(bytes.toString())
        else if (file === undefined || /^(stream|given)/.test(file.name)) written[fd] = [...(written[fd] ?? []), bytes]
        return call.args[2]!
      }
      case 'dup3':
        me.fds.set(number(1), me.fds.get(number(0)) ?? { name: '', nonblocking: false, count: 0n })
        return call.args[1]!
      case 'close_range': {
        const [from, to] = [number(0), number(1)]
        if (number(2) === 0) for (const fd of [...me.fds.keys()]) if (fd >= from && fd <= to) me.fds.delete(fd)
        return 0n
      }
      case 'close':
        return me.fds.delete(number(0)) ? 0n : -BigInt(errno.EBADF)
      case 'getpid':
        return BigInt(me.pid)
      case 'getppid':
        return BigInt(me.pid - 1)
      case 'geteuid':
      case 'getegid':
        return 1000n
      case 'getpgid':
        return 7n
      case 'landlock_create_ruleset':
        return call.args[0] === 0n ? 7n : open(call.name)
      case 'unshare':
        if ((number(0) & CLONE.NEWUSER) === 0 || me.namespacesLeft === undefined) return 0n
        return me.namespacesLeft-- > 0 ? 0n : -BigInt(errno.ENOSPC)
      case 'readlinkat': {
        const fd = /^\/proc\/self\/fd\/(\d+)$/.exec(pathOf(0, textAt(1)))?.[1]
        const file = fd === undefined ? undefined : me.fds.get(Number(fd))
        if (file === undefined) return -BigInt(errno.EINVAL)
        const path = Buffer.from(`/${file.name}`)
        into(2, path)
        return BigInt(path.length)
      }
      case 'faccessat':
        // There is one processor.
        return /\/cpu[1-9]\d*$/.test(textAt(1)) ? -BigInt(errno.ENOENT) : 0n
      case 'fcntl':
        if (number(1) === F.SETFL) me.fds.get(number(0))!.nonblocking = (number(2) & O_NONBLOCK) !== 0
        return number(1) === F.GET_SEALS ? BigInt(F.SEAL_WRITE) : 0n
      case 'ioctl':
        // Standard output is no terminal.
        return number(1) === TIOC.GWINSZ ? -BigInt(errno.ENOTTY) : 0n
    }
    if (!opening.has(call.name)) return 0n
    if (call.name === 'openat' || call.name === 'openat2' || call.name === 'open_tree')
      return open(pathOf(0, textAt(1)))
    return open(call.name, call.name === 'eventfd2' && (number(1) & O_NONBLOCK) !== 0)
  }

  const first = spawn(
    new Map(
      Array.from({ length: lastGiven + 1 }, (_, fd) => [
        fd,
        {
          name: `${fd < 3 ? 'stream' : 'given'} ${fd}`,
          nonblocking: false,
          count: 0n,
          held: { bytes: Buffer.from(script.given?.[fd] ?? []) },
        },
      ]),
    ),
  )
  execute(Machine.of(program, stack), first)
  const said = Buffer.concat(written[2] ?? []).toString()
  return {
    calls,
    status: first.ended!.status >> 8,
    said,
    written: Object.fromEntries(
      Object.entries(written).map(([fd, parts]) => [fd, Buffer.concat(parts).toString('hex')]),
    ),
    ...(executed === undefined ? {} : { executed }),
    left: all.filter((one) => one.ended === undefined).map((one) => one.name),
  }
}

const told = (answer: bigint): string => {
  const signed = BigInt.asIntN(64, answer)
  const name = signed < 0n && Object.entries(errno).find(([, number]) => BigInt(number) === -signed)?.[0]
  return name || signed.toString()
}

/** What some arguments point to. */
const pointees: { readonly [Name in SyscallName]?: readonly [index: number, layout: Layout] } = {
  openat2: [2, structs.open_how],
  mount_setattr: [3, structs.mount_attr],
  prlimit64: [2, structs.rlimit64],
  clone3: [0, structs.clone_args],
  capset: [1, structs.cap_user_data],
}

/** An argument as a reader of strace(1) knows it. */
function shown({ name, args }: Made, index: number, machine: Machine): string {
  const arg = args[index]!
  const [which, layout] = pointees[name] ?? []
  if (which === index && layout !== undefined && arg !== 0n) {
    const bytes = Buffer.from(machine.bytes(arg, layout.size, false))
    const fields = Object.entries(layout.fields).flatMap(([field, { offset, size }]) => {
      const value = size === 8 ? bytes.readBigUInt64LE(offset) : BigInt(bytes.readUIntLE(offset, size))
      return value === 0n ? [] : [`${field}: ${numeral(value)}`]
    })
    return `{${fields.join(', ')}}`
  }
  if (name === 'write' && index === 1)
    return JSON.stringify(Buffer.from(machine.bytes(arg, Number(args[2]), false)).toString('latin1'))
  const signed = BigInt.asIntN(64, arg)
  if (machine.find(arg, 1, false) === undefined) return numeral(signed)
  const text = textOf(machine, arg)
  return text === undefined ? '…' : JSON.stringify(text)
}

const numeral = (value: bigint): string => (value > 4096n ? `0x${value.toString(16)}` : value.toString())

/** Undefined: it is no text, or an empty one may be anything. */
function textOf(machine: Machine, address: bigint): string | undefined {
  let text = ''
  for (let at = address; ; at++) {
    const byte = machine.find(at, 1, false)?.[0]
    if (byte === undefined) return undefined
    if (byte === 0) return text === '' ? undefined : text
    if (byte < 0x20 || byte > 0x7e) return undefined
    text += String.fromCharCode(byte)
  }
}

function strings(machine: Machine, address: bigint): string[] {
  const found: string[] = []
  for (let at = address; ; at += 8n) {
    const pointer = machine.bytes(at, 8, false).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
    if (pointer === 0n) return found
    found.push(machine.text(pointer))
  }
}

/** As execve(2) leaves it: argc, argv, envp, and the texts behind. */
function initialStack(argv: readonly string[], env: readonly string[]): Uint8Array {
  const words = 1 + argv.length + 1 + env.length + 1
  const texts = [...argv, ...env].map((text) => Buffer.from(`${text}\0`))
  const bytes = new Uint8Array(8 * words + texts.reduce((sum, text) => sum + text.length, 0))
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, BigInt(argv.length), true)
  let at = 8 * words
  texts.forEach((text, index) => {
    const word = index < argv.length ? 1 + index : 2 + index
    view.setBigUint64(8 * word, Machine.stack + BigInt(at), true)
    bytes.set(text, at)
    at += text.length
  })
  return bytes
}
