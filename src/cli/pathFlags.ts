/** What --ro and --rw name. */
import { resolve } from 'node:path'
import type { FilesystemEntry } from '../policy/schema.js'
import type { Size } from '../policy/units.js'
import { UsageError } from './commandLine.js'
import { obstacleTo } from './obstacle.js'
import type { PolicyFlags } from './policyFlags.js'

/** `./config:/etc/conf` → both sides. `named`: the place inside was given. */
export function sidesOf(value: string): { from: string; inside: string; named: boolean } {
  const colon = value.lastIndexOf(':/')
  const named = colon > 0
  const from = resolve(named ? value.slice(0, colon) : value)
  return { from, inside: named ? value.slice(colon + 1) : from, named }
}

/**
 * The entry of a flag. Without a place of its own it says no `from`.
 * @param value of a tmpfs: its size is checked with the whole policy
 */
export const entryOf: Record<NonNullable<PolicyFlags['shown']>[number]['name'], (value: string) => FilesystemEntry> = {
  ro: (value) => bindOf(value, false),
  rw: (value) => bindOf(value, true),
  tmpfs(value) {
    const [place = '', size] = value.split(/:(.*)/s)
    return size === undefined ? { tmpfs: place } : { tmpfs: place, size: size as Size }
  },
}

function bindOf(value: string, writable: boolean): FilesystemEntry {
  const { from, inside, named } = sidesOf(value)
  return { bind: inside, writable, ...(named ? { from } : {}) }
}

/** @throws {UsageError} when what --ro or --rw names is not there: sooner, and clearer, than the sandbox would. */
export function requireSources(flags: PolicyFlags): void {
  for (const { name, value } of flags.shown ?? []) {
    if (name === 'tmpfs') continue
    const obstacle = obstacleTo(sidesOf(value).from)
    if (obstacle !== undefined) throw new UsageError(`--${name} ${value}: ${obstacle.words}`)
  }
}
