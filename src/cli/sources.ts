/** What --ro and --rw name. */
import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { isWithin, normal } from '../policy/path.js'
import { obstacleTo } from './obstacle.js'
import type { PolicyFlags } from './options.js'
import { UsageError } from './parse.js'

/** `./config:/etc/conf` → both sides. `named`: the place inside was given. */
export function sidesOf(value: string): { from: string; inside: string; named: boolean } {
  const colon = value.lastIndexOf(':/')
  const named = colon > 0
  const from = resolve(named ? value.slice(0, colon) : value)
  return { from, inside: named ? value.slice(colon + 1) : from, named }
}

/**
 * A part of a writable directory that is to be read-only, but lies elsewhere inside: by a symbolic link, or since the directory has another
 * place. At its place in that directory it would stay writable. Whoever gives a place inside means that place only.
 * @throws {UsageError} that names the flag to write
 */
export function refuseOtherNames({ shown = [] }: PolicyFlags): void {
  const sides = shown.map(({ name, value }) => {
    const place = name === 'tmpfs' ? value.split(':')[0]! : sidesOf(value).inside
    return { name, value, place: normal(place) }
  })
  const written = sides.flatMap((side, index) => {
    return side.name === 'rw' ? [{ ...side, index, real: realPath(sidesOf(side.value).from) }] : []
  })
  if (written.length === 0) return
  for (const { name, value, place } of sides) {
    if (name !== 'ro' || sidesOf(value).named) continue
    const real = realPath(sidesOf(value).from)
    for (const { value: writable, place: top, index, real: realTop } of written) {
      if (!isWithin(real, realTop)) continue
      const seen = normal(`${top}/${real.slice(realTop.length)}`)
      if (seen === place || sides.some((other, at) => at > index && isWithin(seen, other.place))) continue
      throw new UsageError(
        `--ro ${value}: --rw ${writable} leaves it writable at ${seen}: write --ro ${real}${seen === real ? '' : `:${seen}`} behind that, or --ro ${value}:${place} if only this place is meant`,
      )
    }
  }
}

/** What is not there is complained about elsewhere. */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

/** @throws {UsageError} when what --ro or --rw names is not there: sooner, and clearer, than the sandbox would. */
export function requireSources(flags: PolicyFlags): void {
  for (const { name, value } of flags.shown ?? []) {
    if (name === 'tmpfs') continue
    const obstacle = obstacleTo(sidesOf(value).from)
    if (obstacle !== undefined) throw new UsageError(`--${name} ${value}: ${obstacle.words}`)
  }
}
