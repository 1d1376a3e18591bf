/** The flags that say which directory a sandbox works on in a layer, and what of it is never written back. */
import { resolve } from 'node:path'
import type { WorkOptions } from '../live/workOptions.js'
import { protectedNames } from '../live/workProtection.js'
import { isWithin } from '../policy/path.js'
import type { FlagsOf, Option } from './policyFlags.js'

export const protectOptions = [
  {
    name: 'protect',
    value: 'NAME',
    many: true,
    about: 'never apply what is changed at this name, at any depth, besides the names that are protected anyhow',
  },
  { name: 'no-protect', about: 'protect no other names than those of --protect' },
] as const satisfies readonly Option[]

export const workOfFlags = (
  directory: string,
  { protect = [], 'no-protect': bare }: FlagsOf<typeof protectOptions>,
): WorkOptions & { readonly path: string } => ({
  path: resolve(directory),
  protect: [...(bare ? [] : protectedNames), ...protect],
})

/** Who stands in the directory is there inside, too. */
export function standingIn<Flags extends { readonly cwd?: string; readonly policy?: string }>(
  flags: Flags,
  { path }: WorkOptions,
): Flags {
  const here = process.cwd()
  return flags.cwd === undefined && flags.policy === undefined && isWithin(here, path) ? { ...flags, cwd: here } : flags
}
