/** Writes the front: the fast `vial-bwrap`. */
import { createHash } from 'node:crypto'
import { chmodSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { key } from '../../front/format.js'
import type { Architecture } from '../../kernel/architecture.js'
import { front } from '../../front/program.js'
import { assemble } from '../../machine/assemble.js'
import { temporaryName } from '../../run/cache.js'
import { hostArchitecture } from '../../run/host.js'
import { optionWords } from './options.js'
import { sources } from '../place.js'

const script = join(sources, 'cli/bwrap/startFront.cjs')

/** The package's own command, which npm links. */
export const frontPath = join(sources, '../bin/vial-bwrap')

/** Says which code compiles, and for which machine, for a home may be shared by several: a hash of all of it. */
export function buildOf(folder = sources, architecture = hostArchitecture()): Uint8Array {
  const hash = createHash('sha256').update(architecture)
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))
  for (const name of files.sort())
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(folder, name)))
      .update('\0')
  return hash.digest().subarray(0, key.buildSize)
}

/** The front as an executable that lies at `path`; `node` is what compiles for it. */
export function compileFront(
  path: string,
  node = process.execPath,
  architecture: Architecture = hostArchitecture(),
): Uint8Array {
  const facts = {
    build: buildOf(sources, architecture),
    node,
    options: optionWords,
    script: { beside: relative(dirname(path), script), path: script },
  }
  return assemble(front(facts, architecture), architecture)
}

/** The same command as a script: slower by Node.js's start, and the same on every machine. */
const scriptForm = `#!/usr/bin/env node
import('../src/cli/bwrap/main.js').then(({ main }) => main(process.argv.slice(2)))
`

/** Writes the executable, whole or not at all. */
export function writeFront(path = frontPath): void {
  replace(path, compileFront(path))
}

export function writeScript(path = frontPath): void {
  // A file without an extension is a module or not, as the nearest package.json says; import() is in both.
  replace(path, Buffer.from(scriptForm))
}

function replace(path: string, content: Uint8Array): void {
  const temporary = temporaryName(path)
  try {
    writeFileSync(temporary, content, { flag: 'wx', mode: 0o755 })
    chmodSync(temporary, 0o755)
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}
