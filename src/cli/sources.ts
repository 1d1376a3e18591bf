/** What --ro and --rw name. */
import { existsSync, readdirSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { didYouMean } from '../policy/closest.js'
import type { PolicyFlags } from './options.js'
import { UsageError } from './parse.js'

/** `./config:/etc/conf` → both sides. */
export function sidesOf(value: string): { from: string; inside: string } {
  const colon = value.lastIndexOf(':/')
  const from = resolve(colon > 0 ? value.slice(0, colon) : value)
  return { from, inside: colon > 0 ? value.slice(colon + 1) : from }
}

/** @throws {UsageError} when a folder that --ro or --rw names is not there: sooner, and clearer, than the sandbox would. */
export function requireSources(flags: PolicyFlags): void {
  for (const { name, value } of flags.shown ?? []) {
    if (name === 'tmpfs') continue
    const { from } = sidesOf(value)
    if (existsSync(from)) continue
    const folder = dirname(from)
    let near = ''
    try {
      near = didYouMean(basename(from), readdirSync(folder))
    } catch {
      near = ` (${folder} is not there either, or is closed to this user)`
    }
    throw new UsageError(`--${name} ${value}: cannot bind ${from}: No such file or directory${near}`)
  }
}
