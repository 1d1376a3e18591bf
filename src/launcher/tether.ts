/**
 * Who connects the network of a sandbox that has a private one: pasta(1), twice, and a process of ours that holds both to the sandbox's life.
 *
 * How this file thinks. pasta has to stay outside, in the host's network, and goes on without a word when what it connects is gone. So the monitor
 * clones a process before there is an init: the tether, pid 1 of a pid namespace of its own. It dies with the monitor, however that dies, and
 * the kernel then kills all in its namespace: pasta, whatever that forks. The tether is in the sandbox's user namespace, and so pasta is.
 *
 * pasta sends on whatever it gets, also to 127.0.0.1: there it would be the host's. A payload needs no privilege to have its kernel send that to a
 * device (SO_BINDTODEVICE, IP_PKTINFO), and no route forbids it (ip_route_output_key_hash_rcu() in net/ipv4/route.c). So there is another network
 * namespace between the two: one pasta connects that to the host, and the other one, which is in it, the sandbox to that. What is sent to a
 * loopback address ends there, where nothing listens; no payload has any right in it.
 *
 * Whoever is first in the sandbox's network namespace, the monitor or init, sends it to the tether, which starts both and answers when they have gone
 * to the background: then the device is there, with its addresses and routes. No payload runs before.
 *
 * pasta takes a namespace by a path, and opens that with fewer rights than it was started with. /proc/PID/fd of a process with more is
 * closed to it then, ptrace(2), so that the tether binds each namespace to a file in a mount namespace of its own, as ip-netns(8) does.
 */
import { copyText, descriptorPath } from '../assembly/text.js'
import { own, variable } from '../assembly/variables.js'
import { capabilities } from '../kernel/capabilities.js'
import { errno } from '../kernel/errno.js'
import { AF, AT, CLONE, MS, MSG, PR, SIGMASK, SOCK, WAIT } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import type { Operand, Slot } from '../machine/instruction.js'
import { connecting } from '../plan/plan.js'
import type { Step } from '../plan/step.js'
import { closeAllBut, keepEnd } from './descriptorCode.js'
import type { LauncherContext } from './launcherContext.js'
import { messageOf } from './message.js'
import { capabilitySets } from './privileges.js'
import { record } from './record.js'
import { maskSize } from './signalMask.js'
import { tieToMonitor } from './tie.js'

/** What the tether answers: an errno or 0, of 64 bits, and a text that says more of {@link endedBadly}, with its NUL. */
const answerSize = 8 + record.detail.size
/** No call that the tether makes gives it. */
const endedBadly = errno.ENETDOWN

/** A pair of sockets, the first of which is the sandbox's. */
const pair = own(({ b }: LauncherContext) => b.reserve(8))
const sandboxsEnd = variable()
/** In the monitor: the tether. */
const tetherOf = variable()

/** Files that each host has and pasta does not read: the namespaces lie there, for the tether and pasta alone. */
const places = { between: '/proc/loadavg', sandboxs: '/proc/version' } as const

/** Enough to enter the network namespace, to make its device, and to use ports below 1024 outside where the caller may. */
const kept = ['CAP_SYS_ADMIN', 'CAP_NET_ADMIN', 'CAP_NET_BIND_SERVICE'] as const

/** In the monitor, before there is an init. */
export function prepareTether(c: LauncherContext): void {
  const step = connecting(c.plan)
  if (step === undefined) return
  const { b } = c
  c.begin(step)
  c.must('socketpair', AF.UNIX, SOCK.SEQPACKET | SOCK.CLOEXEC, 0, pair(c))
  // Its end sends no signal: no wait4(2) without __WCLONE finds it.
  b.move(tetherOf(b), c.must('clone', CLONE.NEWPID | CLONE.NEWNS, 0, 0, 0, 0))
  b.when(tetherOf(b), 'eq', 0, () => b.scope(() => beTether(c, step)))
  keepEnd(c, pair(c), 'read', sandboxsEnd(b))
}

/** By who is in the new network namespace: waits until it is connected. */
export function connectNet(c: LauncherContext): void {
  const { b } = c
  const [file, error] = b.temporaries(2)
  const { message, descriptors } = messageOf(c, 1)
  const answer = b.reserve(answerSize, 8)
  b.move(file, c.must('openat', AT.FDCWD, b.text('/proc/self/ns/net'), c.open.RDONLY | c.open.CLOEXEC, 0))
  b.store(32, descriptors, 0, file)
  c.must('sendmsg', sandboxsEnd(b), message, MSG.NOSIGNAL)
  c.attempt('close', file)
  c.must('recvfrom', sandboxsEnd(b), answer, answerSize, 0, 0, 0)
  // The tether was killed.
  b.when(c.result, 'eq', 0, () => c.failWith('ECONNRESET'))
  b.load(error, 64, answer)
  b.when(error, 'eq', endedBadly, () => b.compute(c.detail, answer, 'add', 8))
  b.when(error, 'ne', 0, () => {
    b.compute(c.result, 0, 'sub', error)
    b.jump(c.fail)
  })
  c.attempt('close', sandboxsEnd(b))
}

/** In the monitor, whose sandbox has ended: all of it has when this is over. */
export function endTether(c: LauncherContext): void {
  if (connecting(c.plan) === undefined) return
  c.attempt('kill', tetherOf(c.b), signals.SIGKILL)
  c.attempt('wait4', tetherOf(c.b), 0, WAIT.ALL, 0)
}

function beTether(c: LauncherContext, step: Step<'privateNetwork'>): void {
  const { b } = c
  const [socket, file, child, made] = b.temporaries(4)
  const answer = b.reserve(answerSize, 8)
  const [failed, ended] = [b.label(), b.label()]
  const must: Must = (...call) => {
    c.attempt(...call)
    c.onFailure(failed)
    return c.result
  }
  const tell = () => c.attempt('sendto', socket, answer, answerSize, MSG.NOSIGNAL, 0, 0)
  tieToMonitor(c, {})
  keepEnd(c, pair(c), 'write', socket)
  closeAllBut(c, [socket])
  // What the terminal sends is not for it.
  c.attempt('setsid')
  c.attempt('rt_sigprocmask', SIGMASK.SETMASK, b.bytes(new Uint8Array(maskSize), 8), 0, maskSize)
  openNothing(must, c, file)
  const { message, descriptors } = messageOf(c, 1)
  must('recvmsg', socket, message, MSG.CMSG_CLOEXEC)
  b.branch(c.result, 'eq', 0, ended)
  b.load(file, 32, descriptors)
  must('mount', 0, b.text('/'), 0, MS.REC | MS.PRIVATE, 0)
  must('mount', descriptorPath(c, file), b.text(places.sandboxs), 0, MS.BIND, 0)
  keepCapabilities(must, c)
  const pipe = b.reserve(8)
  must('pipe2', pipe, c.open.CLOEXEC | c.open.NONBLOCK)
  b.move(made, must('eventfd2', 0, c.open.CLOEXEC))
  const begin = (args: readonly string[], place: string, before = () => {}) => {
    b.move(child, must('clone', signals.SIGCHLD, 0, 0, 0, 0))
    b.when(child, 'eq', 0, () => {
      before()
      b.load(file, 32, pipe, 4)
      must('dup3', file, 2, 0)
      const words = [step.program, ...args, '--netns', place]
      must('execve', b.text(step.program), wordsOf(c, words), b.bytes(new Uint8Array(8), 8))
    })
  }
  const awaitReady = () => {
    const status = b.reserve(8)
    must('wait4', child, status, WAIT.ALL, 0)
    b.load(file, 32, status)
    b.when(file, 'ne', 0, () => {
      b.load(file, 32, pipe)
      b.store(64, answer, 0, endedBadly)
      lastLine(c, file, answer)
      // One that could not be executed has answered before.
      tell()
      c.exit(1)
    })
  }
  const word = b.bytes(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), 8)
  begin(step.outside, places.between, () => must('read', made, b.reserve(8), 8))
  must('unshare', CLONE.NEWNET)
  must('mount', b.text('/proc/self/ns/net'), b.text(places.between), 0, MS.BIND, 0)
  must('write', made, word, 8)
  awaitReady()
  begin(step.inside, places.sandboxs)
  awaitReady()
  tell()
  closeAllBut(c, [])
  b.loop(({ again }) => {
    c.attempt('wait4', -1, 0, WAIT.ALL, 0)
    c.whenFailed(() => b.jump(ended), again)
  })
  b.place(failed)
  b.compute(file, 0, 'sub', c.result)
  b.store(64, answer, 0, file)
  tell()
  b.place(ended)
  c.exit(0)
}

type Must = LauncherContext['attempt']

/** Standard streams that lead nowhere. */
function openNothing(must: Must, c: LauncherContext, file: Slot): void {
  c.b.move(file, must('openat', AT.FDCWD, c.b.text('/dev/null'), c.open.RDWR | c.open.CLOEXEC, 0))
  for (const fd of [0, 1, 2]) must('dup3', file, fd, 0)
}

/** In a user namespace no program that is executed has any, unless they are ambient: capabilities(7). */
function keepCapabilities(must: Must, c: LauncherContext): void {
  const { b } = c
  const { header } = capabilitySets(c)
  const mask = kept.reduce((bits, name) => bits | (1 << capabilities[name]), 0)
  const set = new Uint8Array(24)
  new Uint32Array(set.buffer).set([mask, mask, mask])
  must('capset', header, b.bytes(set, 8))
  for (const name of kept) must('prctl', PR.CAP_AMBIENT, PR.CAP_AMBIENT_RAISE, capabilities[name], 0, 0)
}

/** A list of texts, as execve(2) takes it. */
function wordsOf({ b }: LauncherContext, words: readonly string[]): Operand {
  const list = b.reserve(8 * (words.length + 1), 8)
  for (const [index, word] of words.entries()) b.store(64, list, 8 * index, b.text(word))
  return list
}

/** Behind the first word of the answer, the end of what was written to a pipe: of pasta, why it has ended. */
function lastLine(c: LauncherContext, pipe: Slot, answer: Operand): void {
  const { b } = c
  const most = 4096
  const buffer = b.reserve(most)
  const [at, end, byte, to, left] = b.temporaries(5)
  const newline = 10
  c.attempt('read', pipe, buffer, most - 1)
  c.whenFailed(() => b.move(c.result, 0))
  b.compute(end, buffer, 'add', c.result)
  /** Over what is a newline, or is none. */
  const goBack = (is: 'eq' | 'ne') =>
    b.loop(({ leave, again }) => {
      b.when(at, 'gt', buffer, () => {
        b.load(byte, 8, at, -1)
        b.when(byte, is, newline, () => {
          b.compute(at, at, 'sub', 1)
          again()
        })
      })
      leave()
    })
  b.move(at, end)
  // Of its own newlines none.
  goBack('eq')
  b.move(end, at)
  goBack('ne')
  b.compute(to, answer, 'add', 8)
  b.when(at, 'eq', end, () => copyText(b, to, b.text('it has ended without a word')))
  b.move(left, record.detail.size - 1)
  b.loop(({ leave }) => {
    b.when(at, 'eq', end, leave)
    b.when(left, 'eq', 0, leave)
    b.load(byte, 8, at)
    b.when(byte, 'lt', 32, () => b.move(byte, 63))
    b.when(byte, 'gt', 126, () => b.move(byte, 63))
    b.store(8, to, 0, byte)
    b.compute(at, at, 'add', 1)
    b.compute(to, to, 'add', 1)
    b.compute(left, left, 'sub', 1)
  })
}
