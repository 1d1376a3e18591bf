/** What takes long to make and seldom changes: packages and images, each under a name and a hash of what it is made of. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** `$XDG_CACHE_HOME/vial-lab`, else `~/.cache/vial-lab`. */
export const labCache = () =>
  join(process.env.XDG_CACHE_HOME?.startsWith('/') ? process.env.XDG_CACHE_HOME : join(homedir(), '.cache'), 'vial-lab')

/** The name of an entry: another ingredient, another name. */
export const entryName = (name: string, ingredients: unknown): string =>
  `${name}-${createHash('sha256').update(JSON.stringify(ingredients)).digest('hex').slice(0, 16)}`

/**
 * The path of an entry, which `make` makes at the path it is given if it is not there. Entries of the same name that
 * were made of something else are removed.
 */
export async function cached(
  name: string,
  ingredients: unknown,
  make: (path: string) => Promise<void>,
  directory = labCache(),
): Promise<string> {
  const entry = entryName(name, ingredients)
  const path = join(directory, entry)
  if (existsSync(path)) return path
  mkdirSync(directory, { recursive: true })
  const unfinished = join(directory, `unfinished-${process.pid}-${entry}`)
  try {
    await make(unfinished)
    for (const other of readdirSync(directory))
      if (other.startsWith(`${name}-`) && other.length === entry.length)
        rmSync(join(directory, other), { recursive: true })
    renameSync(unfinished, path)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
  return path
}
