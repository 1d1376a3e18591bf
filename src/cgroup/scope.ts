/** Run by systemd.ts: asks systemd for a scope, waits until the process is in it, and prints its name. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Message, sessionBus, Variant } from '@jellybrick/dbus-next'
import type { ScopeRequest } from './systemd.js'

// org.freedesktop.systemd1(5)
const systemd = 'org.freedesktop.systemd1'
const managerPath = '/org/freedesktop/systemd1'

const { bus: address, name, pid } = JSON.parse(process.argv[2]!) as ScopeRequest
const bus = sessionBus({ busAddress: address })
bus.on('error', fail as never)
try {
  process.stdout.write((await delegatedUnit()) ?? (await newScope()))
  bus.disconnect()
} catch (error) {
  fail(error as Error)
}

function fail(error: Error): never {
  process.stderr.write(`${error.message || error.name}\n`)
  process.exit(1)
}

async function call(
  path: string,
  iface: string,
  member: string,
  signature: string,
  body: unknown[],
): Promise<unknown[]> {
  const answer = await bus.call(new Message({ destination: systemd, path, interface: iface, member, signature, body }))
  return answer?.body ?? []
}

/** The unit that the process is in, if systemd leaves what is below it to us. */
async function delegatedUnit(): Promise<string | undefined> {
  try {
    const [path] = await call(managerPath, `${systemd}.Manager`, 'GetUnitByPID', 'u', [pid])
    const kind = { scope: 'Scope', service: 'Service' }[/_2e(scope|service)$/.exec(String(path))?.[1] ?? '']
    if (kind === undefined) return undefined
    const get = async (property: string, of: string) => {
      const [value] = await call(String(path), 'org.freedesktop.DBus.Properties', 'Get', 'ss', [of, property])
      return (value as Variant).value as unknown
    }
    if ((await get('Delegate', `${systemd}.${kind}`)) !== true) return undefined
    return String(await get('Id', `${systemd}.Unit`))
  } catch {
    // A process that this manager does not know.
    return undefined
  }
}

async function newScope(): Promise<string> {
  await call(managerPath, `${systemd}.Manager`, 'StartTransientUnit', 'ssa(sv)a(sa(sv))', [
    name,
    'fail',
    [
      ['Description', new Variant('s', 'sandboxes of vial')],
      ['PIDs', new Variant('au', [pid])],
      ['Delegate', new Variant('b', true)],
      // Nothing stays in systemd's list when all in it have ended.
      ['CollectMode', new Variant('s', 'inactive-or-failed')],
    ],
    [],
  ])
  // The answer only says that a job is queued.
  for (let left = 500; left > 0; left--) {
    if (readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/${name}`)) return name
    await sleep(10)
  }
  throw new Error(`the process was not moved into ${name}`)
}
