/** Code for namespaces and ids: what the monitor does before it clones init, and how privileges are dropped. */
import { routine } from '../assembly/routine.js'
import { copyText, cursorOf, decimal } from '../assembly/text.js'
import { variable, variables } from '../assembly/variables.js'
import { type CapabilityName, capabilities } from '../kernel/capabilities.js'
import { AT, CLONE, PR, WAIT } from '../kernel/flags.js'
import { limitFileOf, namespaces } from '../kernel/namespaces.js'
import type { Address, Operand, Slot } from '../machine/instruction.js'
import type { MapLine, Step } from '../plan/step.js'
import { enterCallersDirectory, enterNamedDirectory } from './execute.js'
import type { Code, LauncherContext } from './launcherContext.js'
import { capabilitySets, dropGroupsIfAllowed, hideFromOthers, spareSet } from './privileges.js'

type Identity =
  | 'join'
  | 'newUser'
  | 'mapUser'
  | 'newTime'
  | 'beforeInner'
  | 'innerUser'
  | 'assertNoUser'
  | 'hostname'
  | 'domainname'
  | 'identity'
  | 'callersCapabilities'
  | 'capabilities'
  | 'noNewPrivs'
  | 'chdir'
  | 'chdirNamed'
  | 'chdirBack'

const maskOf = (names: readonly CapabilityName[]) =>
  names.reduce((bits, name) => bits | (1n << BigInt(capabilities[name])), 0n)
const everyCapability = maskOf(Object.keys(capabilities) as CapabilityName[])
const lastCapability = Math.max(...Object.values(capabilities))

/** Whether there is a user namespace, where it may be left out. */
export const userMade = variable()
/** Who starts the vial. */
const caller = variables('uid', 'gid')
/** Opened while the host's /proc is there. */
const inner = variables('proc', 'limit')
const callersSet = variable()

export const identityCode: Code<Identity> = {
  join(c, step) {
    const { b } = c
    const file = b.temporary()
    if (typeof step.from === 'number') b.move(file, step.from)
    else b.move(file, c.must('openat', AT.FDCWD, b.text(step.from), c.open.RDONLY | c.open.CLOEXEC, 0))
    // Once inside, it may be too late: a caller who is root takes no group along.
    if (step.namespace === 'user') dropGroupsIfAllowed(c)
    c.must('setns', file, namespaces[step.namespace].flag)
    c.attempt('close', file)
  },

  newUser(c, step) {
    const { b } = c
    const { uid, gid } = caller(b)
    // Asked before: afterwards both read as the overflow id.
    b.move(uid, c.must('geteuid'))
    b.move(gid, c.must('getegid'))
    if (step.map.byHelper) {
      runHelpers(c, step)
      return
    }
    const without = b.label()
    c.attempt('unshare', CLONE.NEWUSER)
    c.whenFailed(() => b.jump(step.optional ? without : c.fail))
    // user_namespaces(7): gid_map of an unprivileged writer needs setgroups denied first.
    writeFile(c, '/proc/self/setgroups', b.text('deny'), 4)
    writeMap(c, '/proc/self/uid_map', step.map.uids, uid)
    writeMap(c, '/proc/self/gid_map', step.map.gids, gid)
    b.place(without)
  },

  mapUser(c, step) {
    const { b } = c
    const without = b.label()
    if (c.plan.world.clone.ifPossible.includes('user')) b.branch(userMade(b), 'eq', 0, without)
    // user_namespaces(7): gid_map of an unprivileged writer needs setgroups denied first.
    writeFile(c, '/proc/self/setgroups', b.text('deny'), 4)
    writeMap(c, '/proc/self/uid_map', step.map.uids, 0)
    writeMap(c, '/proc/self/gid_map', step.map.gids, 0)
    b.place(without)
  },

  /** The sandbox may have no /proc, or hide it: what `innerUser` needs of it is opened while the host's is there. */
  beforeInner(c, step) {
    const { b } = c
    const flags = c.open.CLOEXEC
    b.move(inner(b).proc, c.must('openat', AT.FDCWD, b.text('/proc'), c.open.PATH | flags, 0))
    if (!step.last) return
    const limit = b.text(limitFileOf('user'))
    b.move(inner(b).limit, c.must('openat', AT.FDCWD, limit, c.open.WRONLY | flags, 0))
  },

  /** user_namespaces(7): a limit of 1 in the outer namespace is used up by the inner one, which cannot change it. */
  innerUser(c, step) {
    const { b } = c
    const [uid, gid] = b.temporaries(2)
    const { proc, limit } = inner(b)
    b.move(uid, c.must('geteuid'))
    b.move(gid, c.must('getegid'))
    if (step.last) {
      c.must('write', limit, b.text('1'), 1)
      c.attempt('close', limit)
    }
    c.must('unshare', CLONE.NEWUSER)
    writeFile(c, 'self/uid_map', mapText(c, step.map.uids, uid), cursorOf(b), proc)
    writeFile(c, 'self/gid_map', mapText(c, step.map.gids, gid), cursorOf(b), proc)
    c.attempt('close', proc)
  },

  assertNoUser(c) {
    c.attempt('unshare', CLONE.NEWUSER)
    c.whenFailed(
      () => {},
      () => {
        c.failWith('EPERM')
      },
    )
  },

  newTime(c, step) {
    c.must('unshare', CLONE.NEWTIME)
    if (step.boottime === 0 && step.monotonic === 0) return
    // time_namespaces(7): lines of clock, seconds, nanoseconds.
    const text = `monotonic ${step.monotonic} 0\nboottime ${step.boottime} 0\n`
    writeFile(c, '/proc/self/timens_offsets', c.b.text(text), text.length)
  },

  hostname(c, step) {
    c.must('sethostname', c.b.text(step.name), Buffer.byteLength(step.name))
  },

  domainname(c, step) {
    c.must('setdomainname', c.b.text(step.name), Buffer.byteLength(step.name))
  },

  identity(c, step) {
    if (step.groups === 'drop') c.must('setgroups', 0, 0)
    if (step.groups === 'dropIfAllowed') dropGroupsIfAllowed(c)
    // Capabilities stay until `capabilities` drops them by name.
    c.must('prctl', PR.SET_KEEPCAPS, 1, 0, 0, 0)
    c.must('setresgid', step.gid, step.gid, step.gid)
    c.must('setresuid', step.uid, step.uid, step.uid)
    // Other ids make a process what the sysctl fs.suid_dumpable says: PR_SET_DUMPABLE(2const).
    hideFromOthers(c)
    // They stay permitted, but leaving uid 0 takes them out of the effective set, which the next steps need.
    const { b } = c
    const { header, sets } = capabilitySets(c)
    const permitted = b.temporary()
    c.must('capget', header, sets)
    for (const half of [0, 12]) {
      b.load(permitted, 32, sets, half + 4)
      b.store(32, sets, half, permitted)
    }
    c.must('capset', header, sets)
  },

  noNewPrivs(c) {
    c.must('prctl', PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0)
  },

  callersCapabilities(c) {
    readSet(c, 'effective', callersSet(c.b))
  },

  /** capabilities(7): what is kept is put into every set, so that it outlives the execve of any program. */
  capabilities(c, step) {
    const { b } = c
    const { header, sets } = capabilitySets(c)
    const [kept, bit] = b.temporaries(2)
    if ('without' in step.keep) {
      b.compute(kept, callersSet(b), 'and', everyCapability & ~maskOf(step.keep.without))
      if (step.keep.with.length > 0) {
        const permitted = b.temporary()
        readSet(c, 'permitted', permitted)
        b.compute(kept, kept, 'or', maskOf(step.keep.with))
        b.compute(kept, kept, 'and', permitted)
      }
    } else b.move(kept, maskOf(step.keep))
    const each = (then: (which: Slot, keep: Slot) => void) => {
      const which = b.temporary()
      b.move(which, 0)
      b.loop(({ leave }) => {
        b.when(which, 'gt', lastCapability, leave)
        b.compute(bit, kept, 'shr', which)
        b.compute(bit, bit, 'and', 1)
        then(which, bit)
        b.compute(which, which, 'add', 1)
      })
    }
    // EINVAL: a capability that this kernel does not know.
    if (step.bounding)
      each((which, keep) => {
        b.when(keep, 'eq', 0, () => c.mustUnless('EINVAL', 'prctl', PR.CAPBSET_DROP, which, 0, 0, 0))
      })
    if (step.boundingOnly) return
    const spare = spareSet(b)
    if (step.spare !== undefined) {
      readSet(c, 'permitted', spare)
      b.compute(spare, spare, 'and', maskOf([step.spare]))
    }
    for (const [index, half] of [0, 0, 0, 1, 1, 1].entries()) {
      b.compute(bit, kept, 'shr', 32 * half)
      if (step.spare !== undefined && index % 3 === 1) {
        const also = b.temporary()
        b.compute(also, spare, 'shr', 32 * half)
        b.compute(bit, bit, 'or', also)
      }
      b.store(32, sets, 4 * index, bit)
    }
    c.must('prctl', PR.CAP_AMBIENT, PR.CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    c.must('capset', header, sets)
    if ('without' in step.keep || step.keep.length > 0)
      each((which, keep) => {
        b.when(keep, 'ne', 0, () => c.mustUnless('EINVAL', 'prctl', PR.CAP_AMBIENT, PR.CAP_AMBIENT_RAISE, which, 0, 0))
      })
  },

  chdirBack(c) {
    enterCallersDirectory(c)
  },

  chdir(c, step) {
    c.must('chdir', c.b.text(step.path))
  },

  chdirNamed(c) {
    enterNamedDirectory(c)
  },
}

/** One set of capget(2), of which each has two halves. */
function readSet(c: LauncherContext, which: 'effective' | 'permitted', to: Slot): void {
  const { b } = c
  const { header, sets } = capabilitySets(c)
  const low = b.temporary()
  const at = which === 'effective' ? 0 : 4
  c.must('capget', header, sets)
  b.load(to, 32, sets, 12 + at)
  b.compute(to, to, 'shl', 32)
  b.load(low, 32, sets, at)
  b.compute(to, to, 'or', low)
}

function writeFile(c: LauncherContext, path: string, text: Operand, length: Operand, from: Operand = AT.FDCWD): void {
  writeNamed(c, { directory: from, name: c.b.text(path), content: text, size: length })
}

const writeNamed = routine(
  'writeFile',
  { takes: ['directory', 'name', 'content', 'size'] },
  (c: LauncherContext, { directory, name, content, size }) => {
    const file = c.b.temporary()
    c.b.move(file, c.must('openat', directory, name, c.open.WRONLY | c.open.CLOEXEC, 0))
    c.must('write', file, content, size)
    c.attempt('close', file)
  },
)

function writeMap(c: LauncherContext, path: string, lines: readonly MapLine[], caller: Operand): void {
  writeFile(c, path, mapText(c, lines, caller), cursorOf(c.b))
}

/** The lines of a map; their length is left in `map.cursor`. */
function mapText(c: LauncherContext, lines: readonly MapLine[], caller: Operand): Address {
  const { b } = c
  const buffer = b.reserve(lines.length * 36)
  const cursor = cursorOf(b)
  b.move(cursor, buffer)
  for (const line of lines) {
    decimal(b, cursor, line.inside === 'caller' ? caller : line.inside)
    copyText(b, cursor, b.text(' '))
    decimal(b, cursor, line.outside === 'caller' ? caller : line.outside)
    copyText(b, cursor, b.text(` ${line.count}\n`))
  }
  b.compute(cursor, cursor, 'sub', buffer)
  return buffer
}

/**
 * A helper process is forked while we are still outside, waits until the user namespace exists, and then writes our maps:
 * itself if it is root, else by newuidmap(1) and newgidmap(1).
 */
function runHelpers(c: LauncherContext, step: Step<'newUser'>): void {
  const { b } = c
  const self = b.reserve(24)
  const cursor = cursorOf(b)
  b.move(cursor, self)
  decimal(b, cursor, c.attempt('getpid'))
  const pipes = b.reserve(8)
  const [readEnd, writeEnd, helper, status] = [b.temporary(), b.temporary(), b.temporary(), b.reserve(8)]
  c.must('pipe2', pipes, c.open.CLOEXEC)
  b.load(readEnd, 32, pipes)
  b.load(writeEnd, 32, pipes, 4)
  const programs = [
    ['uid_map', '/usr/bin/newuidmap', step.map.uids, caller(b).uid],
    ['gid_map', '/usr/bin/newgidmap', step.map.gids, caller(b).gid],
  ] as const
  b.move(helper, c.must('clone', 17, 0, 0, 0, 0))
  b.when(helper, 'eq', 0, () => {
    c.attempt('close', writeEnd)
    // End of file: the namespace is there (or the monitor is dead, and newuidmap finds no process).
    c.attempt('read', readEnd, pipes, 1)
    for (const [index, [map, program, lines, caller]] of programs.entries()) {
      const run = () => {
        writeMapOf(c, self, map, lines, caller)
        c.whenFailed(
          () => {},
          () => c.exit(0),
        )
        const argv = b.reserve(8 * (lines.length * 3 + 3))
        const words: Operand[] = [b.text(program), self]
        const number = (id: number | 'caller') => {
          if (id !== 'caller') return b.text(String(id))
          const digits = b.reserve(24)
          b.move(cursor, digits)
          decimal(b, cursor, caller)
          return digits
        }
        for (const line of lines) {
          words.push(number(line.inside), number(line.outside), b.text(String(line.count)))
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

/** Writes a map of another process, named by the digits of its pid. The result is that of the last system call. */
function writeMapOf(c: LauncherContext, pid: Address, map: string, lines: readonly MapLine[], caller: Slot): void {
  const { b } = c
  const path = b.reserve(40)
  const cursor = cursorOf(b)
  b.move(cursor, path)
  for (const part of [b.text('/proc/'), pid, b.text(`/${map}`)]) copyText(b, cursor, part)
  c.attempt('openat', AT.FDCWD, path, c.open.WRONLY | c.open.CLOEXEC, 0)
  c.whenFailed(
    () => {},
    () => {
      const file = b.temporary()
      b.move(file, c.result)
      c.attempt('write', file, mapText(c, lines, caller), cursor)
    },
  )
}

/** Waits for a child; one that failed ends us with EPERM, unless it could tell why by our own means. */
function waitFor(c: LauncherContext, child: Slot, status: Operand): void {
  const { b } = c
  c.must('wait4', child, status, WAIT.ALL, 0)
  const code = b.temporary()
  b.load(code, 32, status)
  const { sandbox } = c.plan.start.manner.exit
  b.when(code, 'eq', sandbox << 8, () => c.exit(sandbox))
  b.when(code, 'ne', 0, () => {
    c.failWith('EPERM')
  })
}
