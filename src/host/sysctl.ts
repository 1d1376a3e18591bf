/** Settings of the kernel's: sysctl(8), proc(5). */
import { constants } from 'node:fs'
import { join } from 'node:path'
import { byRoot, isConfined, textOf } from '../cgroup/privilege.js'
import { mayAccess } from '../text/attempt.js'
import type { Repair } from '../text/repair.js'

const fileOf = (name: string) => join('/proc/sys', ...name.split('.'))

/** What a setting of the kernel's has; undefined: this kernel lacks it. */
export const sysctl = (name: string): string | undefined => textOf(fileOf(name)).trim() || undefined

/** The command that changes a setting. Root of a user namespace may change those of its own below `user.`: namespaces(7). */
export function setting(name: string, value: number | string): Repair {
  const command = `sysctl -w ${name}=${value}`
  if (isConfined('kernel') && mayAccess(fileOf(name), constants.W_OK)) return { repair: command }
  return {
    repair: byRoot(`sudo ${command}`, 'kernel'),
    further: `to keep it after a boot: ${byRoot(`echo '${name} = ${value}' | sudo tee -a /etc/sysctl.d/60-vial.conf`, 'kernel')}`,
  }
}
