/**
 * Starts the command from bundled files (build/bundle.js). Node loads hundreds of kilobytes of modules one by one, and compiles
 * each function when it is first called; one file is read at once, and V8's code cache (`vm.Script`, `cachedData`) has what a
 * usual run calls. Each entry is a small bundle, with what it loads at once; `vial exec` is one, for it should start as fast as
 * `vial run`. Of what is loaded later, one bundle has what a run with limits needs, one what enters a sandbox with limits or ids of
 * its own, another all else.
 * Nothing of it is needed: V8 refuses a cache of another Node, and without the bundles the modules themselves are loaded.
 *
 * CommonJS, for the loader of ES modules takes 3 ms to start.
 */
import fs = require('node:fs')
import path = require('node:path')
import vm = require('node:vm')

type Entry = 'vial' | 'exec' | 'front'
type Part = 'limits' | 'own' | 'later'
type Name = Entry | Part

interface Main {
  main(args: readonly string[]): Promise<void>
}

interface Bundle {
  readonly script: vm.Script
  /** Where the code cache is, if there is one. */
  readonly cache: string
  readonly file: string
}

/** Those that were loaded. */
const bundles = new Map<Name, Bundle>()

/** The bundle as a script that is not yet run; undefined: there is none. */
function compileBundle(name: Name): Bundle | undefined {
  const directory = path.join(__dirname, 'bundle')
  const file = path.join(directory, `${name}.cjs`)
  const source = read(file)?.toString('latin1')
  if (source === undefined) return undefined
  // V8 compares no more of the source than its length: the first line says which build it is. Nor does it ask for which
  // architecture the cache was made, and dies of another's.
  const cache = path.join(directory, `${name}.${source.slice(2, source.indexOf('\n'))}.${process.arch}.v8cache`)
  const cachedData = read(cache)
  const script = new vm.Script(`(function(module,require,__filename){${source}\n})`, {
    filename: file,
    ...(cachedData === undefined ? {} : { cachedData }),
  })
  const bundle = { script, cache, file }
  bundles.set(name, bundle)
  return bundle
}

function runBundle({ script, file }: Bundle): unknown {
  const module = { exports: {} }
  const load = (name: string) => (name.startsWith('./') ? later(name.slice(2)) : require(name))
  script.runInThisContext()(module, load, file)
  return module.exports
}

type Modules = Readonly<Record<string, () => unknown>>

const parts = new Map<Part, Modules>()

/** A module of another bundle: `BUNDLE#PATH`. */
function later(name: string): unknown {
  const [part, path] = name.split('#') as [Part, string]
  let modules = parts.get(part)
  if (modules === undefined) {
    const bundle = compileBundle(part)
    if (bundle === undefined) throw new Error(`dist/src/cli/bundle/${part}.cjs is missing: install vial again`)
    modules = runBundle(bundle) as Modules
    parts.set(part, modules)
  }
  return modules[path]!()
}

async function start(entry: Entry, args: readonly string[] = process.argv.slice(2)): Promise<void> {
  const bundle = compileBundle(entry)
  const { main } = (bundle === undefined ? await loadModule(entry) : runBundle(bundle)) as Main
  await main(args)
}

const loadModule = (entry: Entry) => (entry === 'front' ? import('../bwrap/compileForFront.js') : import('./vial.js'))

function read(path: string): Buffer | undefined {
  try {
    return fs.readFileSync(path)
  } catch {
    return undefined
  }
}

export = { compileBundle, bundles, start }
