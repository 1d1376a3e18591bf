/** Code for a network namespace of the sandbox's own. */
import { variable } from '../assembly/variables.js'
import { AF, CLONE, IFF, SIOC, SOCK } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Plan } from '../plan/plan.js'
import type { Step } from '../plan/step.js'
import type { LauncherContext } from './launcherContext.js'

/** Whether init enters a network namespace that the monitor makes meanwhile: it takes the kernel as long as all the rest. */
export const netIsLate = (plan: Plan) => plan.world.init.some((step) => step.do === 'loopback' && step.enter)

/** Of the monitor, which is in the namespace that it made. */
export const monitorsPidfd = variable()
/** An eventfd(2) tells init that it is there. */
const made = variable()

export function prepareNet(c: LauncherContext): void {
  c.b.move(made(c.b), c.must('eventfd2', 0, c.open.CLOEXEC))
}

export function makeNet(c: LauncherContext): void {
  c.must('unshare', CLONE.NEWNET)
  c.must('write', made(c.b), c.b.bytes(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), 8), 8)
}

function enterNet(c: LauncherContext): void {
  c.must('read', made(c.b), c.b.reserve(8), 8)
  c.must('setns', monitorsPidfd(c.b), CLONE.NEWNET)
}

export const networkCode = {
  loopback(c: LauncherContext, step: Step<'loopback'>): void {
    if (step.enter) enterNet(c)
    const { b } = c
    const socket = b.temporary()
    const { ifreq } = structs
    const request = b.reserve(ifreq.size)
    // netdevice(7): "lo" and its flags.
    b.store(32, request, 0, 0x6f6c)
    b.store(32, request, ifreq.fields.flags.offset, IFF.UP | IFF.RUNNING)
    b.move(socket, c.must('socket', AF.INET, SOCK.DGRAM | SOCK.CLOEXEC, 0))
    c.must('ioctl', socket, SIOC.SIFFLAGS, request)
  },
}
