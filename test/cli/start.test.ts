/** The command starts from its bundles and V8's code cache, and without either it does the same. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { buildOf } from '../../src/bwrap/frontFile.js'
import { callers, workDirectory } from '../support/user.js'

const top = resolve(fileURLToPath(import.meta.url), '../../../..')
const build = Buffer.from(buildOf()).toString('hex')
const names = ['exec', 'front', 'later', 'limits', 'own', 'vial'] as const
const cacheOf = (name: string) => `bundle/${name}.${build}.${process.arch}.v8cache`

/** A copy of the package, whose parts a test may take away. */
function copy(name: string): string {
  const directory = join(workDirectory(callers.at(-1)!, name), 'vial')
  mkdirSync(join(directory, 'dist'), { recursive: true })
  cpSync(join(top, 'package.json'), join(directory, 'package.json'))
  cpSync(join(top, 'dist/src'), join(directory, 'dist/src'), { recursive: true })
  symlinkSync(join(top, 'node_modules'), join(directory, 'node_modules'))
  return join(directory, 'dist/src/cli')
}

function run(cli: string, args: readonly string[], flags: readonly string[] = []) {
  const home = workDirectory(callers.at(-1)!, 'home')
  const { stdout, stderr, status } = spawnSync(process.execPath, [...flags, join(cli, 'main.cjs'), ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: home, XDG_RUNTIME_DIR: home },
  })
  return { stdout, stderr, status }
}

const lines = [
  ['run', '--', 'sh', '-c', 'echo out; echo err >&2; exit 3'],
  ['run', '--nonsense'],
  ['run', '--ro', '/nowhere', '--', 'true'],
  ['explain'],
  ['exec', 'none', 'true'],
  ['exec', '--nonsense'],
  ['exec', '--help'],
  ['--version'],
  ['help'],
]

test('the bundles are those of these modules, and their code caches are of them', () => {
  const cli = join(top, 'dist/src/cli')
  for (const name of names)
    assert.equal(readFileSync(join(cli, `bundle/${name}.cjs`), 'latin1').split('\n')[0], `//${build}`)
  assert.deepEqual(
    readdirSync(join(cli, 'bundle'))
      .filter((name) => name.endsWith('.v8cache'))
      .map((name) => `bundle/${name}`)
      .sort(),
    names.map(cacheOf),
  )
})

// A schema is what takes longest to load, and these check none: the policy is the caller's list of options, or is stored.
test('what is loaded at once has no schema in it', () => {
  for (const name of ['exec', 'front', 'own', 'vial'])
    assert.doesNotMatch(readFileSync(join(top, `dist/src/cli/bundle/${name}.cjs`), 'latin1'), /kind:"schema"/, name)
  assert.match(readFileSync(join(top, 'dist/src/cli/bundle/later.cjs'), 'latin1'), /kind:"schema"/)
})

test('V8 takes the code caches', () => {
  const require = createRequire(import.meta.url)
  const { compileBundle } = require('../../src/cli/start.cjs') as typeof import('../../src/cli/start.cjs')
  for (const name of names) assert.equal(compileBundle(name)!.script.cachedDataRejected, false)
})

test('a run whose vial is there loads no compiler', () => {
  const cli = copy('small')
  const echo = ['run', '--', 'echo', 'ran']
  assert.equal(run(cli, echo).stdout, 'ran\n')
  rmSync(join(cli, 'bundle/later.cjs'))
  assert.equal(run(cli, echo).stdout, 'ran\n')
  assert.match(run(cli, ['run', '--hostname', 'other', '--', 'true']).stderr, /later\.cjs is missing/)
})

test('what enters a named sandbox loads no compiler, with limits of its own neither if their vial is there', () => {
  const cli = copy('entered')
  const limited = ['--wall-time', '60s', '--output', '1M', 'entered', 'echo', 'limited']
  const echo = ['entered', 'echo', 'entered']
  assert.equal(run(cli, ['start', '--name', 'entered']).status, 0)
  try {
    assert.equal(run(cli, ['exec', ...limited]).stdout, 'limited\n')
    rmSync(join(cli, 'bundle/later.cjs'))
    assert.equal(run(cli, ['exec', ...echo]).stdout, 'entered\n')
    assert.equal(run(cli, ['exec', ...limited]).stdout, 'limited\n')
    assert.match(run(cli, ['exec', '--wall-time', '61s', ...echo]).stderr, /later\.cjs is missing/)
  } finally {
    run(join(top, 'dist/src/cli'), ['rm', '-f', 'entered'])
  }
})

test('with the bundles alone, with the modules alone, and as shipped, the command says the same', () => {
  const shipped = copy('shipped')
  const modules = copy('modules')
  rmSync(join(modules, 'bundle'), { recursive: true })
  const plain = copy('plain')
  for (const name of names) rmSync(join(plain, cacheOf(name)))
  for (const line of lines) {
    const expected = run(shipped, line)
    assert.deepEqual(run(plain, line), expected)
    assert.deepEqual(run(modules, line), expected)
  }
})

test('a code cache that is damaged, or of a V8 with other flags, is not used', () => {
  const cli = copy('damaged')
  const expected = run(cli, lines[0]!)
  assert.equal(expected.status, 3)
  // Flags that change what V8 compiles stand for another version of it.
  assert.deepEqual(run(cli, lines[0]!, ['--no-opt', '--stack-size=900']), expected)
  truncateSync(join(cli, cacheOf('vial')), 1000)
  assert.deepEqual(run(cli, lines[0]!), expected)
  writeFileSync(join(cli, cacheOf('vial')), 'no cache at all')
  assert.deepEqual(run(cli, lines[0]!), expected)
  writeFileSync(join(cli, cacheOf('vial')), '')
  assert.deepEqual(run(cli, lines[0]!), expected)
})

test('a code cache of another bundle is not used, even if that is as long', () => {
  const cli = copy('other')
  const file = join(cli, 'bundle/vial.cjs')
  const source = readFileSync(file, 'latin1')
  const other = source
    .replace(`//${build}`, `//${'0'.repeat(32)}`)
    // What runs at once comes out of the cache.
    .replace('Print what a sandbox does', 'PRINT WHAT A SANDBOX DOES')
  assert.equal(other.length, source.length)
  writeFileSync(file, other)
  assert.match(run(cli, ['help']).stdout, /PRINT WHAT A SANDBOX DOES/)
})
