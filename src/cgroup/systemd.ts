/**
 * A scope of our own from systemd: a part of the hierarchy that it hands to us, https://systemd.io/CGROUP_DELEGATION.
 * Asked for once, through busctl(1), which every systemd brings: a D-Bus library would be the largest dependency.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { systemFault } from '../kernel/systemError.js'
import type { Repair } from '../text/repair.js'
import type { Missing } from './group.js'
import { ourselves } from './owner.js'
import { byRoot } from './privilege.js'

// org.freedesktop.systemd1(5)
const systemd = 'org.freedesktop.systemd1'
const manager = ['/org/freedesktop/systemd1', `${systemd}.Manager`] as const
/** Milliseconds for one answer, and for the job that moves this process. */
const patience = 5000

/** systemd-run(1), systemd.resource-control(5). */
export const scopeOf: Repair = {
  repair: 'systemd-run --user --scope -p Delegate=yes COMMAND',
  further: 'this holds for one command; for a service, set Delegate=yes in its unit',
}

class BusError extends Error {}

/**
 * Moves this process into a scope of its own, unless the unit that it is in is delegated already.
 * @param bus Where the bus of the manager listens, `unix:path=…`; by default the caller's, and for root the system's.
 */
export function requestScope(bus = busAddress()): { readonly scope: string } | Missing {
  if (bus === undefined)
    return {
      missing: "there is no bus of the user's systemd",
      ...lingering(),
    }
  try {
    return { scope: delegatedUnit(bus) ?? newScope(bus) }
  } catch (error) {
    if (!(error instanceof BusError)) throw error
    return { missing: `systemd gives no scope: ${error.message}`, ...scopeOf }
  }
}

/** Whose systemd runs without a login: loginctl(1). */
function lingering(): Repair {
  const uid = process.geteuid!()
  return {
    repair: byRoot(`sudo loginctl enable-linger ${uid}`, 'kernel'),
    further: `then, in each shell: export XDG_RUNTIME_DIR=/run/user/${uid}`,
  }
}

/** As sd_bus_open_user(3) and sd_bus_open_system(3) find it. */
function busAddress(): string | undefined {
  const uid = process.geteuid!()
  if (uid === 0) return process.env.DBUS_SYSTEM_BUS_ADDRESS ?? 'unix:path=/run/dbus/system_bus_socket'
  const { DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR = `/run/user/${uid}` } = process.env
  if (DBUS_SESSION_BUS_ADDRESS !== undefined) return DBUS_SESSION_BUS_ADDRESS
  return existsSync(`${XDG_RUNTIME_DIR}/bus`) ? `unix:path=${XDG_RUNTIME_DIR}/bus` : undefined
}

/** Runs one command of busctl(1), and gives the data of its answer. */
function busctl(bus: string, command: 'call' | 'get-property', ...words: readonly string[]): unknown {
  const args = ['--json=short', `--address=${bus}`, command, systemd, ...words]
  const { stdout, stderr, error } = spawnSync('busctl', args, { encoding: 'utf8', timeout: patience })
  if (error !== undefined) throw new BusError(systemFault(error))
  // A failing call prints nothing else.
  if (stdout === '') throw new BusError(stderr.trim().split('\n').at(-1) ?? 'no answer')
  return (JSON.parse(stdout) as { data: unknown }).data
}

/** The unit that this process is in, if systemd leaves what is below it to us. */
function delegatedUnit(bus: string): string | undefined {
  try {
    const [path] = busctl(bus, 'call', ...manager, 'GetUnitByPID', 'u', String(process.pid)) as [string]
    const kind = { scope: 'Scope', service: 'Service' }[/_2e(scope|service)$/.exec(path)?.[1] ?? '']
    if (kind === undefined) return undefined
    if (busctl(bus, 'get-property', path, `${systemd}.${kind}`, 'Delegate') !== true) return undefined
    return String(busctl(bus, 'get-property', path, `${systemd}.Unit`, 'Id'))
  } catch (error) {
    // This manager does not know the process.
    if (error instanceof BusError) return undefined
    throw error
  }
}

/** `PIDs`: the processes to move; `CollectMode`: nothing stays in systemd's list when all in it have ended. */
const properties = [
  ['Description', 's', 'sandboxes of vial'],
  ['PIDs', 'au', '1', String(process.pid)],
  ['Delegate', 'b', 'true'],
  ['CollectMode', 's', 'inactive-or-failed'],
] as const

function newScope(bus: string): string {
  const { pid, start } = ourselves()
  const name = `vial-${pid}-${start}.scope`
  const body = [name, 'fail', String(properties.length), ...properties.flat(), '0']
  busctl(bus, 'call', ...manager, 'StartTransientUnit', 'ssa(sv)a(sa(sv))', ...body)
  // The answer only says that a job is queued.
  const clock = new Int32Array(new SharedArrayBuffer(4))
  for (let left = patience; left > 0; left -= 2) {
    if (readFileSync('/proc/self/cgroup', 'utf8').includes(`/${name}`)) return name
    Atomics.wait(clock, 0, 0, 2)
  }
  throw new BusError(`the process was not moved into ${name}`)
}
