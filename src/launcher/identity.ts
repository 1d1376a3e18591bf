/** Code for namespaces and ids: what the monitor does before it clones init, and how privileges are dropped. */
import { capabilities } from '../kernel/capabilities.js'
import { AT, CLONE, IFF, AF, PR, SIOC, SOCK, WAIT } from '../kernel/flags.js'
import { pack, structs } from '../kernel/structs.js'
import type { Operand, Slot } from '../machine/instruction.js'
import type { MapLine, NamespaceName, Step } from '../plan/step.js'
import type { LauncherContext } from './context.js'

type StepOf<Kind extends Step['do']> = Extract<Step, { do: Kind }>
type Identity =
  | 'join'
  | 'newUser'
  | 'newTime'
  | 'loopback'
  | 'hostname'
  | 'domainname'
  | 'identity'
  | 'capabilities'
  | 'noNewPrivs'
  | 'chdir'

export const cloneFlag: Record<NamespaceName, number> = {
  user: CLONE.NEWUSER,
  mount: CLONE.NEWNS,
  pid: CLONE.NEWPID,
  net: CLONE.NEWNET,
  ipc: CLONE.NEWIPC,
  uts: CLONE.NEWUTS,
  cgroup: CLONE.NEWCGROUP,
  time: CLONE.NEWTIME,
}

const lastCapability = Math.max(...Object.values(capabilities))

export const identityCode: { [Kind in Identity]: (c: LauncherContext, step: StepOf<Kind>) => void } = {
  join(c, step) {
    const file = c.b.temporary()
    c.b.move(file, c.must('openat', AT.FDCWD, c.b.text(step.path), c.open.RDONLY | c.open.CLOEXEC, 0))
    c.must('setns', file, cloneFlag[step.namespace])
    c.attempt('close', file)
  },

  newUser(c, step) {
    const { b } = c
    const uid = b.slot('caller.uid')
    const gid = b.slot('caller.gid')
    // Asked before: afterwards both read as the overflow id.
    b.move(uid, c.attempt('geteuid'))
    b.move(gid, c.attempt('getegid'))
    if (step.map.byHelper) {
      runHelpers(c, step)
      return
    }
    c.must('unshare', CLONE.NEWUSER)
    // user_namespaces(7): gid_map of an unprivileged writer needs setgroups denied first.
    writeFile(c, '/proc/self/setgroups', b.text('deny'), 4)
    writeMap(c, '/proc/self/uid_map', step.map.uids, uid)
    writeMap(c, '/proc/self/gid_map', step.map.gids, gid)
  },

  newTime(c, step) {
    c.must('unshare', CLONE.NEWTIME)
    if (step.boottime === 0 && step.monotonic === 0) return
    // time_namespaces(7): lines of clock, seconds, nanoseconds.
    const text = `monotonic ${step.monotonic} 0\nboottime ${step.boottime} 0\n`
    writeFile(c, '/proc/self/timens_offsets', c.b.text(text), text.length)
  },

  loopback(c) {
    const { b } = c
    const socket = b.temporary()
    const { ifreq } = structs
    const request = b.reserve(ifreq.size)
    // netdevice(7): "lo" and its flags.
    b.store(32, request, 0, 0x6f6c)
    b.store(32, request, ifreq.fields.flags.offset, IFF.UP | IFF.RUNNING)
    b.move(socket, c.must('socket', AF.INET, SOCK.DGRAM | SOCK.CLOEXEC, 0))
    c.must('ioctl', socket, SIOC.SIFFLAGS, request)
    c.attempt('close', socket)
  },

  hostname(c, step) {
    c.must('sethostname', c.b.text(step.name), Buffer.byteLength(step.name))
  },

  domainname(c, step) {
    c.must('setdomainname', c.b.text(step.name), Buffer.byteLength(step.name))
  },

  identity(c, step) {
    if (step.dropGroups) c.must('setgroups', 0, 0)
    // Capabilities stay until `capabilities` drops them by name.
    c.must('prctl', PR.SET_KEEPCAPS, 1, 0, 0, 0)
    c.must('setresgid', step.gid, step.gid, step.gid)
    c.must('setresuid', step.uid, step.uid, step.uid)
  },

  noNewPrivs(c) {
    c.must('prctl', PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0)
  },

  capabilities(c, step) {
    const { b } = c
    const kept = new Set(step.keep.map((name) => capabilities[name]))
    const mask = step.keep.reduce((bits, name) => bits | (1n << BigInt(capabilities[name])), 0n)
    const header = b.bytes(pack(structs.cap_user_header, { version: 0x20080522 }), 8)
    const which = b.temporary()
    b.move(which, 0)
    b.loop(({ leave }) => {
      const next = b.label()
      b.when(which, 'gt', lastCapability, leave)
      for (const number of kept) b.branch(which, 'eq', number, next)
      // EINVAL: a capability that this kernel does not know.
      c.mustUnless('EINVAL', 'prctl', PR.CAPBSET_DROP, which, 0, 0, 0)
      b.place(next)
      b.compute(which, which, 'add', 1)
    })
    const low = Number(mask & 0xffffffffn)
    const high = Number(mask >> 32n)
    const words = Uint32Array.from([low, low, low, high, high, high])
    c.must('prctl', PR.CAP_AMBIENT, PR.CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    c.must('capset', header, b.bytes(new Uint8Array(words.buffer), 8))
    if (step.ambient) for (const number of kept) c.must('prctl', PR.CAP_AMBIENT, PR.CAP_AMBIENT_RAISE, number, 0, 0)
  },

  chdir(c, step) {
    c.must('chdir', c.b.text(step.path))
  },
}

function writeFile(c: LauncherContext, path: string, text: Operand, length: Operand): void {
  const { b } = c
  const file = b.slot('file')
  b.move(file, c.must('openat', AT.FDCWD, b.text(path), c.open.WRONLY | c.open.CLOEXEC, 0))
  c.must('write', file, text, length)
  c.attempt('close', file)
}

function writeMap(c: LauncherContext, path: string, lines: readonly MapLine[], caller: Slot): void {
  const { b } = c
  const buffer = b.reserve(lines.length * 36)
  const cursor = b.slot('map.cursor')
  b.move(cursor, buffer)
  for (const line of lines) {
    b.copyText(cursor, b.text(`${line.inside} `))
    b.decimal(cursor, line.outside === 'caller' ? caller : line.outside)
    b.copyText(cursor, b.text(` ${line.count}\n`))
  }
  b.compute(cursor, cursor, 'sub', buffer)
  writeFile(c, path, buffer, cursor)
}

/**
 * A helper process is forked while we are still outside, waits until the user namespace exists, and then runs
 * newuidmap(1) or newgidmap(1) on us.
 */
function runHelpers(c: LauncherContext, step: StepOf<'newUser'>): void {
  const { b } = c
  const self = b.reserve(24)
  const cursor = b.slot('map.cursor')
  b.move(cursor, self)
  b.decimal(cursor, c.attempt('getpid'))
  const pipes = b.reserve(8)
  const [readEnd, writeEnd, helper, status] = [b.temporary(), b.temporary(), b.temporary(), b.reserve(8)]
  c.must('pipe2', pipes, c.open.CLOEXEC)
  b.load(readEnd, 32, pipes)
  b.load(writeEnd, 32, pipes, 4)
  const programs = [
    ['/usr/bin/newuidmap', step.map.uids, b.slot('caller.uid')],
    ['/usr/bin/newgidmap', step.map.gids, b.slot('caller.gid')],
  ] as const
  b.move(helper, c.must('clone', 17, 0, 0, 0, 0))
  b.when(helper, 'eq', 0, () => {
    c.attempt('close', writeEnd)
    // End of file: the namespace is there (or the monitor is dead, and newuidmap finds nobody).
    c.attempt('read', readEnd, pipes, 1)
    for (const [index, [program, lines, caller]] of programs.entries()) {
      const run = () => {
        const argv = b.reserve(8 * (lines.length * 3 + 3))
        const words: Operand[] = [b.text(program), self]
        for (const line of lines) {
          const outside = b.reserve(24)
          b.move(cursor, outside)
          b.decimal(cursor, line.outside === 'caller' ? caller : line.outside)
          words.push(b.text(String(line.inside)), outside, b.text(String(line.count)))
        }
        words.forEach((word, at) => {
          b.store(64, argv, 8 * at, word)
        })
        c.must('execve', b.text(program), argv, b.bytes(new Uint8Array(8), 8))
      }
      if (index === programs.length - 1) {
        run()
        break
      }
      const child = b.temporary()
      b.move(child, c.must('clone', 17, 0, 0, 0, 0))
      b.when(child, 'eq', 0, run)
      waitFor(c, child, status)
    }
  })
  c.must('unshare', CLONE.NEWUSER)
  c.attempt('close', writeEnd)
  c.attempt('close', readEnd)
  waitFor(c, helper, status)
}

/** Waits for a child; one that failed ends us with EPERM, its own words are already on standard error. */
function waitFor(c: LauncherContext, child: Slot, status: Operand): void {
  const { b } = c
  c.must('wait4', child, status, WAIT.ALL, 0)
  const code = b.temporary()
  b.load(code, 32, status)
  b.when(code, 'ne', 0, () => {
    b.move(c.result, -1)
    b.jump(c.fail)
  })
}
