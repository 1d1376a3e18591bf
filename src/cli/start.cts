/**
 * Starts the command from one bundled file. Node loads hundreds of kilobytes of modules one by one, and compiles each function
 * when it is first called; one file is read at once, and V8's code cache (`vm.Script`, `cachedData`) has what a usual run
 * calls. Neither is needed: V8 refuses a cache of another Node, and without the bundle the modules themselves are loaded.
 *
 * CommonJS, for the loader of ES modules takes 3 ms to start.
 */
import fs = require('node:fs')
import path = require('node:path')
import vm = require('node:vm')

type Entry = 'vial' | 'front'

interface Entries {
  readonly entries: Readonly<Record<Entry, () => Promise<{ main(args: readonly string[]): Promise<void> }>>>
}

const file = path.join(__dirname, 'bundle.cjs')

interface Bundle {
  readonly script: vm.Script
  /** Where the code cache is, if there is one. */
  readonly cache: string
}

/** The bundle as a script that is not yet run; undefined: there is none. */
function compileBundle(entry: Entry): Bundle | undefined {
  const source = read(file)?.toString('latin1')
  if (source === undefined) return undefined
  // V8 compares no more of the source than its length: the first line says which build it is.
  const cache = path.join(__dirname, `${entry}.${source.slice(2, source.indexOf('\n'))}.v8cache`)
  const cachedData = read(cache)
  const script = new vm.Script(`(function(module,require,__filename){${source}\n})`, {
    filename: file,
    ...(cachedData === undefined ? {} : { cachedData }),
  })
  return { script, cache }
}

function runBundle({ script }: Bundle): Entries {
  const module = { exports: {} }
  script.runInThisContext()(module, require, file)
  return module.exports as Entries
}

async function start(entry: Entry): Promise<void> {
  const bundle = compileBundle(entry)
  const { entries } = bundle === undefined ? ((await import('./entries.js')) as Entries) : runBundle(bundle)
  const { main } = await entries[entry]()
  await main(process.argv.slice(2))
}

function read(path: string): Buffer | undefined {
  try {
    return fs.readFileSync(path)
  } catch {
    return undefined
  }
}

export = { compileBundle, runBundle, start }
