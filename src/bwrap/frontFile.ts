/** Writes the front: the fast `vial-bwrap`. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { replaceFile } from '../cache/wholeFile.js'
import { key } from '../front/format.js'
import { front as programOf } from '../front/frontProgram.js'
import { sources } from '../host/packagePlace.js'
import { hostArchitecture } from '../host/thisHost.js'
import type { Architecture } from '../kernel/architecture.js'
import { assemble } from '../machine/assemble.js'
import { optionWords } from './bwrapOptions.js'
import { frontPath } from './installedFront.js'

const script = join(sources, 'cli/startFront.cjs')
/** `dist`. */
const built = dirname(sources)

export { frontPath }

/** How its path ends. */
const front = relative(dirname(built), frontPath)

/** Says which code compiles, and for which machine, for a home may be shared by several: a hash of all of it. */
export function buildOf(directory = sources, architecture = hostArchitecture()): Uint8Array {
  const hash = createHash('sha256').update(architecture)
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))
  for (const name of files.sort())
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(directory, name)))
      .update('\0')
  return hash.digest().subarray(0, key.buildSize)
}

/** The front as an executable; `node` is what compiles for it. */
export function compileFront(node = process.execPath, architecture: Architecture = hostArchitecture()): Uint8Array {
  const facts = {
    build: buildOf(sources, architecture),
    node,
    options: optionWords,
    script: {
      directory: dirname(script),
      name: basename(script),
      front,
      beside: relative(dirname(frontPath), dirname(script)),
    },
  }
  return assemble(programOf(facts, architecture), architecture)
}

/**
 * The same command as a script: slower by Node.js's start, and the same on every machine. As the executable, it turns to nothing
 * that lies beside a copy of it.
 */
const scriptForm = `#!/usr/bin/env node
if (typeof __filename === 'string' && __filename.endsWith('/${front}'))
  import('../src/bwrap/bwrapCommand.js').then(({ main }) => main(process.argv.slice(2)))
else {
  process.stderr.write('bwrap: this command was copied out of its package: make a link to it, or write it with: vial front -o FILE\\n')
  process.exitCode = 1
}
`

/** Writes the executable, whole or not at all. */
export function writeFront(path = frontPath): void {
  replaceFile(path, compileFront(), 0o755)
}

export function writeScript(path = frontPath): void {
  // A file without an extension is a module or not, as the nearest package.json says; import() is in both.
  replaceFile(path, Buffer.from(scriptForm), 0o755)
}
