/** Code for a network namespace of the sandbox's own. */
import { variable } from '../assembly/variables.js'
import { AF, CLONE, IFF, SIOC, SOCK } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import { connecting, listening, type Plan } from '../plan/plan.js'
import type { Step } from '../plan/step.js'
import type { LauncherContext } from './launcherContext.js'
import { listen } from './listenCode.js'
import { connectNet } from './tether.js'
import { monitorsPidfd } from './tie.js'

/** Whether init enters a network namespace that the monitor makes meanwhile: it takes the kernel as long as all the rest. */
export const netIsLate = (plan: Plan) => plan.world.init.some((step) => step.do === 'loopback' && step.enter)

/**
 * What the monitor keeps of it: the channel to Node.js. libuv takes the end of one for the end of what there is to read, though more sockets are on
 * their way: of each message with a descriptor recvmsg(2) gives less than was asked for, unix(7), and libuv ends at POLLHUP behind that.
 */
export const heldChannel = (plan: Plan): number[] => {
  const listens = listening(plan)
  return listens === undefined ? [] : [listens.channel]
}

/** An eventfd(2) tells init that it is there. */
const made = variable()

export function prepareNet(c: LauncherContext): void {
  c.b.move(made(c.b), c.must('eventfd2', 0, c.open.CLOEXEC))
}

/** What the monitor does of the namespace it does while init builds the rest; init is let in when all of it is there. */
export function makeNet(c: LauncherContext): void {
  const listens = listening(c.plan)
  const connects = connecting(c.plan)
  c.must('unshare', CLONE.NEWNET)
  if (listens !== undefined) {
    c.begin(listens)
    c.b.scope(() => bringUp(c))
    c.b.scope(() => listen(c, listens))
  }
  if (connects !== undefined) {
    c.begin(connects)
    c.b.scope(() => connectNet(c))
  }
  c.must('write', made(c.b), c.b.bytes(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), 8), 8)
}

function enterNet(c: LauncherContext): void {
  c.must('read', made(c.b), c.b.reserve(8), 8)
  c.must('setns', monitorsPidfd(c.b), CLONE.NEWNET)
}

export const networkCode = {
  loopback(c: LauncherContext, { enter }: Step<'loopback'>): void {
    if (enter) enterNet(c)
    if (!enter || listening(c.plan) === undefined) bringUp(c)
  },

  privateNetwork(c: LauncherContext): void {
    // By the monitor otherwise.
    if (!netIsLate(c.plan)) connectNet(c)
  },

  listen(c: LauncherContext, step: Step<'listen'>): void {
    // By the monitor otherwise.
    if (!netIsLate(c.plan)) listen(c, step)
    c.attempt('close', step.channel)
  },
}

function bringUp(c: LauncherContext): void {
  const { b } = c
  const socket = b.temporary()
  const { ifreq } = structs
  const request = b.reserve(ifreq.size)
  // netdevice(7): "lo" and its flags.
  b.store(32, request, 0, 0x6f6c)
  b.store(32, request, ifreq.fields.flags.offset, IFF.UP | IFF.RUNNING)
  b.move(socket, c.must('socket', AF.INET, SOCK.DGRAM | SOCK.CLOEXEC, 0))
  c.must('ioctl', socket, SIOC.SIFFLAGS, request)
}
