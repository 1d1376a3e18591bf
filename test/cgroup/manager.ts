/** Plays systemd on a bus: see systemd.test.ts. Prints each call as a line of JSON. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Message, MessageType, sessionBus, Variant } from '@jellybrick/dbus-next'

const { address, scope, delegated, refuses } = JSON.parse(process.argv[2]!) as {
  address: string
  scope: string
  delegated?: boolean
  refuses?: boolean
}
const unit = '/org/freedesktop/systemd1/unit/already_2escope'
const bus = sessionBus({ busAddress: address })
const say = (...words: unknown[]) => process.stdout.write(`${JSON.stringify(words)}\n`)
const plain = (properties: [string, Variant][]) =>
  Object.fromEntries(properties.map(([name, { value }]) => [name, value]))

bus.addMethodHandler((message: Message) => {
  if (message.type !== MessageType.METHOD_CALL) return false
  const answer = (signature: string, ...body: unknown[]) => bus.send(Message.newMethodReturn(message, signature, body))
  const refuse = (kind: string, text: string) => bus.send(Message.newError(message, `org.freedesktop.${kind}`, text))
  const { member, body } = message
  if (member === 'GetUnitByPID') {
    say(member, ...body)
    if (delegated) answer('o', unit)
    else refuse('systemd1.NoUnitForPID', 'no unit')
    return true
  }
  if (member === 'Get') {
    say(member, ...body)
    answer('v', body[1] === 'Delegate' ? new Variant('b', true) : new Variant('s', 'already.scope'))
    return true
  }
  if (member === 'StartTransientUnit') {
    const [name, mode, properties] = body as [string, string, [string, Variant][]]
    say(member, name, mode, plain(properties))
    if (refuses) refuse('DBus.Error.InteractiveAuthorizationRequired', 'Interactive authentication required.')
    else {
      for (const pid of plain(properties).PIDs as number[]) writeFileSync(join(scope, 'cgroup.procs'), String(pid))
      answer('o', '/org/freedesktop/systemd1/job/1')
    }
    return true
  }
  return false
})
await bus.requestName('org.freedesktop.systemd1', 0)
process.stdout.write('ready\n')
