/**
 * A scope of our own from systemd: a part of the hierarchy that it hands to us, https://systemd.io/CGROUP_DELEGATION.
 * Asked for once, by a short process of its own: D-Bus is a conversation, and a sandbox starts at once.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Missing } from './group.js'
import { ourselves } from './owner.js'

/** Whose manager: root's is the system's. */
export interface ScopeRequest {
  /** Where its bus listens, `unix:path=…`. */
  readonly bus: string
  readonly name: string
  readonly pid: number
}

const script = fileURLToPath(new URL('scope.js', import.meta.url))

/** Moves this process into a scope of its own, unless the unit that it is in is delegated already. */
export function requestScope(bus = busAddress()): { readonly scope: string } | Missing {
  const { pid, start } = ourselves()
  if (bus === undefined)
    return {
      missing: "there is no bus of the user's systemd",
      remedy: 'loginctl enable-linger, log in again, and set XDG_RUNTIME_DIR=/run/user/$(id -u)',
    }
  const request: ScopeRequest = { bus, name: `vial-${pid}-${start}.scope`, pid }
  const { stdout, stderr, error } = spawnSync(process.execPath, [script, JSON.stringify(request)], {
    encoding: 'utf8',
    timeout: 10_000,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (stdout !== '') return { scope: stdout }
  const reason = error?.message ?? stderr.trim().split('\n').at(-1) ?? ''
  return {
    missing: `systemd gives no scope: ${reason}`,
    remedy: 'systemd-run --user --scope -p Delegate=yes COMMAND',
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
