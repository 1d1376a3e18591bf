/**
 * What others enter a living sandbox by: init opens its namespaces while the host's /proc is there, and hands them to the monitor,
 * which holds them at fixed numbers (plan/handles.ts). They cannot be opened later: init is not dumpable, and its memory belongs to the
 * user namespace of the host, so that its /proc/PID/ns is closed to its own user (PTRACE_MODE_READ of ptrace(2)).
 *
 * What enters holds no right by that: setns(2) asks each time whether the caller owns the sandbox's user namespace.
 */
import { makeSealed } from '../assembly/sealed.js'
import { own } from '../assembly/variables.js'
import { AF, AT, MSG, SOCK } from '../kernel/flags.js'
import { namespaces } from '../kernel/namespaces.js'
import type { Operand } from '../machine/instruction.js'
import { groupHandle, namespaceHandles, programHandles } from '../plan/handles.js'
import { fewFiles } from '../plan/hints.js'
import type { Living } from '../plan/manner.js'
import type { Step } from '../plan/step.js'
import { keepEnd } from './descriptorCode.js'
import type { LauncherContext } from './launcherContext.js'
import { messageOf } from './message.js'
import { writeAll } from './openFiles.js'

/** What executes in a living sandbox: see {@link programHandles}. */
export type EntrantPrograms = Readonly<Record<keyof typeof programHandles, Uint8Array>>

/**
 * Of these programs, which all that enters executes. A command that is a link to /proc/self/exe executes its program once more: since that
 * one may not be read, the process is undumpable from its first instruction, execve(2), and nothing inside can take hold of the file by it.
 */
const onlyExecuted = 0o111

/** A pair of sockets, the first of which is the monitor's. */
const channel = own(({ b }: LauncherContext) => b.reserve(8))

export const handlesCode = {
  handOut(c: LauncherContext, step: Step<'handOut'>): void {
    const { b } = c
    const { message, descriptors } = messageOf(c, step.namespaces.length)
    const [socket, file] = b.temporaries(2)
    keepEnd(c, channel(c), 'write', socket)
    for (const [index, name] of step.namespaces.entries()) {
      const path = b.text(`/proc/self/ns/${namespaces[name].file}`)
      c.must('openat', AT.FDCWD, path, c.open.RDONLY | c.open.CLOEXEC, 0)
      b.store(32, descriptors, 4 * index, c.result)
    }
    c.must('sendmsg', socket, message, MSG.NOSIGNAL)
    for (const index of step.namespaces.keys()) {
      b.load(file, 32, descriptors, 4 * index)
      c.attempt('close', file)
    }
    // The monitor closes its end when it holds them all: it is told that the sandbox runs only when it can be entered.
    c.attempt('read', socket, b.reserve(8), 1)
    c.attempt('close', socket)
    // The payload could execute one as its own: a script's interpreter is found before the kernel closes them.
    for (const fd of Object.values(programHandles)) c.attempt('close', fd)
  },
}

/** In the monitor, before there is an init. */
export function prepareHandles(c: LauncherContext, programs: EntrantPrograms | undefined): void {
  if (programs === undefined) throw new Error('a living sandbox needs the programs that enter it')
  c.begin({
    what: 'make what others enter the sandbox by',
    why: 'its monitor holds it',
    hints: {
      EACCES: 'this host forbids to execute memory: sysctl vm.memfd_noexec is 2',
      EBADF: fewFiles,
      EMFILE: fewFiles,
    },
  })
  c.must('socketpair', AF.UNIX, SOCK.SEQPACKET | SOCK.CLOEXEC, 0, channel(c))
  const file = c.b.temporary()
  for (const [name, fd] of Object.entries(programHandles) as [keyof typeof programHandles, number][]) {
    const program = programs[name]
    const fill = () => writeAll(c, file, c.b.bytes(program), program.length)
    makeSealed(c, { to: file, fill, mode: onlyExecuted }, c.fail)
    moveTo(c, file, fd)
  }
}

/** In the monitor: what init hands out, unless it has ended before, and what the monitor has of its own. */
export function takeHandles(c: LauncherContext, { handedOut, ownNet, group }: Living): void {
  const { b } = c
  const { message, descriptors } = messageOf(c, handedOut.length)
  const [socket, file] = b.temporaries(2)
  keepEnd(c, channel(c), 'read', socket)
  c.must('recvmsg', socket, message, MSG.CMSG_CLOEXEC)
  b.when(c.result, 'ne', 0, () => {
    for (const [index, name] of handedOut.entries()) {
      b.load(file, 32, descriptors, 4 * index)
      moveTo(c, file, namespaceHandles[name])
    }
  })
  if (ownNet) {
    b.move(file, c.must('openat', AT.FDCWD, b.text('/proc/self/ns/net'), c.open.RDONLY | c.open.CLOEXEC, 0))
    moveTo(c, file, namespaceHandles.net)
  }
  for (const [index, fd] of group.entries()) moveTo(c, fd, groupHandle(index))
  c.attempt('close', socket)
}

/** What the monitor keeps open to its end. */
export const heldHandles = ({ handedOut, ownNet, group }: Living): number[] => [
  ...[...handedOut, ...(ownNet ? (['net'] as const) : [])].map((name) => namespaceHandles[name]),
  ...group.map((_, index) => groupHandle(index)),
  ...Object.values(programHandles),
]

function moveTo(c: LauncherContext, file: Operand, number: number): void {
  c.must('dup3', file, number, c.open.CLOEXEC)
  c.attempt('close', file)
}
