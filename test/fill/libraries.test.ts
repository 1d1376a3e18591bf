import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { test } from 'node:test'
import { findProgram } from '../../src/fill/findProgram.js'
import { LibraryResolver, parseCache, resolveLibraries } from '../../src/fill/libraries.js'
import { glob } from '../../src/fill/view.js'
import { notInstalled } from '../support/needs.js'
import { makeElf, output, withDirectory } from './tools.js'

/** Names and real paths by ldd(1), without the interpreter and the kernel's own. */
function ldd(file: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const [, name, to] of output('ldd', [file]).matchAll(/^\s+(\S+) => (\/\S+) \(/gm)) {
    found.set(name!, fs.realpathSync(to!))
  }
  return found
}

const names = ['bash', 'python3.11', 'python3', 'git', 'node', 'gcc', 'ld', 'perl', 'java', 'tar', 'curl', 'ssh', 'gdb']
const files = [
  ...names.flatMap((name) => findProgram(name) ?? []),
  ...glob('/usr/lib/gcc/*/*/cc1'),
  ...glob('/usr/lib/python3*/lib-dynload/_ssl*.so'),
  ...glob('/usr/lib/jvm/*/lib/libawt_xawt.so'),
]

for (const file of files) {
  test(`resolves the libraries of ${file} as ldd does`, { skip: notInstalled('ldd') }, () => {
    const { libraries, missing } = resolveLibraries(file)
    const absent = [...output('ldd', [fs.realpathSync(file)]).matchAll(/^\s+(\S+) => not found/gm)].map((one) => one[1])
    assert.deepEqual(new Set(missing.map((one) => one.name)), new Set(absent))
    const expected = ldd(fs.realpathSync(file))
    const found = new Map(libraries.flatMap((one) => (/^ld-/.test(one.name) ? [] : [[one.name, one.real]])))
    assert.deepEqual([...found].sort(), [...expected].sort())
  })
}

function directoryOf(directory: string, files: Record<string, Parameters<typeof makeElf>[0]>): void {
  for (const [name, shape] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(directory, name)), { recursive: true })
    fs.writeFileSync(path.join(directory, name), makeElf(shape), { mode: 0o755 })
  }
}

const found = (directory: string, file: string) => {
  const { libraries, missing } = new LibraryResolver('/nowhere').resolve(path.join(directory, file))
  return {
    found: libraries.map((one) => path.relative(directory, one.path)),
    missing: missing.map((one) => one.name),
  }
}

test('$ORIGIN is the directory of the real program, in both spellings', () =>
  withDirectory((directory) => {
    directoryOf(directory, {
      'app/bin/run': {
        interpreter: '/lib/ld',
        needed: ['liba.so', 'libb.so'],
        runpath: `$ORIGIN/../one:$\{ORIGIN}/../two`,
      },
      'app/one/liba.so': {},
      'app/two/libb.so': {},
    })
    fs.symlinkSync('app/bin/run', path.join(directory, 'run'))
    assert.deepEqual(found(directory, 'run'), { found: ['app/one/liba.so', 'app/two/libb.so'], missing: [] })
  }))

test('$LIB and $PLATFORM', () =>
  withDirectory((directory) => {
    directoryOf(directory, {
      run: { needed: ['liba.so', 'libb.so'], runpath: `$ORIGIN/$LIB:$ORIGIN/$\{PLATFORM}:$ORIGIN/$LIBRARY` },
      'lib/liba.so': {},
      'x86_64/libb.so': {},
    })
    assert.deepEqual(found(directory, 'run'), { found: ['lib/liba.so', 'x86_64/libb.so'], missing: [] })
  }))

test('RPATH is inherited by what is loaded, RUNPATH is not, and RUNPATH silences RPATH', () =>
  withDirectory((directory) => {
    directoryOf(directory, {
      rpath: { needed: ['liba.so'], rpath: '$ORIGIN/lib' },
      runpath: { needed: ['liba.so'], runpath: '$ORIGIN/lib' },
      both: { needed: ['liba.so'], rpath: '$ORIGIN/lib', runpath: '$ORIGIN/empty' },
      closed: { needed: ['libc.so'], rpath: '$ORIGIN/lib' },
      'lib/liba.so': { needed: ['libvialb.so'] },
      'lib/libvialb.so': {},
      'lib/libc.so': { needed: ['libvialb.so'], runpath: '$ORIGIN/empty' },
    })
    assert.deepEqual(found(directory, 'rpath'), { found: ['lib/liba.so', 'lib/libvialb.so'], missing: [] })
    assert.deepEqual(found(directory, 'runpath'), { found: ['lib/liba.so'], missing: ['libvialb.so'] })
    assert.deepEqual(found(directory, 'both'), { found: [], missing: ['liba.so'] })
    assert.deepEqual(found(directory, 'closed'), { found: ['lib/libc.so'], missing: ['libvialb.so'] })
  }))

test('libraries of another machine, damaged ones and loops are passed over', () =>
  withDirectory((directory) => {
    directoryOf(directory, {
      run: { needed: ['liba.so'], runpath: '$ORIGIN/arm:$ORIGIN/cut:$ORIGIN/loop:$ORIGIN/good' },
      'arm/liba.so': { machine: 183 },
      'cut/liba.so': {},
      'loop/other': {},
      'good/liba.so': { needed: ['libb.so'], runpath: '$ORIGIN' },
      'good/libb.so': { needed: ['liba.so'], runpath: '$ORIGIN' },
    })
    fs.truncateSync(path.join(directory, 'cut/liba.so'), 70)
    fs.symlinkSync('liba.so', path.join(directory, 'loop/liba.so'))
    assert.deepEqual(found(directory, 'run'), { found: ['good/liba.so', 'good/libb.so'], missing: [] })
  }))

test('a library that is loaded already answers to its soname', () =>
  withDirectory((directory) => {
    directoryOf(directory, {
      run: { needed: ['libone.so', 'libviala.so.1'], runpath: '$ORIGIN' },
      'libone.so': { soname: 'libviala.so.1' },
    })
    assert.deepEqual(found(directory, 'run'), { found: ['libone.so'], missing: [] })
  }))

test('the real loader agrees about $ORIGIN', { skip: notInstalled('gcc', 'ldd') }, () =>
  withDirectory((directory) => {
    fs.mkdirSync(path.join(directory, 'lib'))
    fs.writeFileSync(path.join(directory, 'a.c'), 'int a(void) { return 7; }\n')
    fs.writeFileSync(path.join(directory, 'm.c'), 'int a(void); int main(void) { return a(); }\n')
    output('gcc', ['-shared', '-fPIC', '-o', `${directory}/lib/liba.so`, `${directory}/a.c`])
    output('gcc', ['-o', `${directory}/m`, `${directory}/m.c`, `-L${directory}/lib`, '-la', '-Wl,-rpath,$ORIGIN/lib'])
    assert.equal(spawnSync(path.join(directory, 'm')).status, 7)
    const { libraries } = resolveLibraries(path.join(directory, 'm'))
    assert.equal(libraries[0]?.path, path.join(directory, 'lib/liba.so'))
    assert.equal(ldd(path.join(directory, 'm')).get('liba.so'), libraries[0]?.real)
  }),
)

/** A cache in the present format, with offsets from its own beginning. */
function newCache(entries: [string, string, number][]): Buffer {
  const start = 48 + 24 * entries.length
  const bytes = Buffer.alloc(start)
  bytes.write('glibc-ld.so.cache1.1')
  bytes.writeUInt32LE(entries.length, 20)
  let strings = ''
  entries.forEach(([name, file, flags], index) => {
    bytes.writeInt32LE(flags, 48 + 24 * index)
    bytes.writeUInt32LE(start + strings.length, 52 + 24 * index)
    bytes.writeUInt32LE(start + strings.length + name.length + 1, 56 + 24 * index)
    strings += `${name}\0${file}\0`
  })
  return Buffer.concat([bytes, Buffer.from(strings)])
}

function oldCache(count: number): Buffer {
  const bytes = Buffer.alloc(16 + 12 * count)
  bytes.write('ld.so-1.7.0')
  bytes.writeUInt32LE(count, 12)
  return bytes
}

const ENTRIES: [string, string, number][] = [
  ['liba.so', '/arm/liba.so', 0x0a03],
  ['liba.so', '/x/liba.so', 0x0303],
]
const EXPECTED = ENTRIES.map(([name, file, flags]) => ({ name, path: file, flags, hwcap: 0n }))

test('the cache: the present format, also behind the old one', () => {
  assert.deepEqual(parseCache(newCache(ENTRIES)), EXPECTED)
  for (const count of [0, 1, 2]) {
    const old = oldCache(count)
    const padding = Buffer.alloc((8 - (old.length % 8)) % 8)
    assert.deepEqual(parseCache(Buffer.concat([old, padding, newCache(ENTRIES)])), EXPECTED)
  }
})

test('the cache: the old format alone', () => {
  const bytes = oldCache(1)
  bytes.writeInt32LE(3, 16)
  bytes.writeUInt32LE(0, 20)
  bytes.writeUInt32LE(8, 24)
  assert.deepEqual(parseCache(Buffer.concat([bytes, Buffer.from('liba.so\0/x/liba.so\0')])), [
    { name: 'liba.so', path: '/x/liba.so', flags: 3, hwcap: 0n },
  ])
})

test('the cache: cut off or foreign files give what is whole in them', () => {
  const whole = newCache(ENTRIES)
  for (let length = 0; length < whole.length; length++) {
    assert.ok(parseCache(whole.subarray(0, length)).length <= 2)
    assert.ok(parseCache(Buffer.concat([oldCache(1), whole.subarray(0, length)])).length <= 2)
  }
  assert.deepEqual(parseCache(Buffer.from('something else that is longer than any header of a cache')), [])
})

test('the cache: the same as ldconfig prints', { skip: !fs.existsSync('/sbin/ldconfig') && 'no ldconfig' }, () => {
  const printed = [...output('/sbin/ldconfig', ['-p']).matchAll(/^\t(\S+) \(.*\) => (\S+)$/gm)]
  const parsed = parseCache(fs.readFileSync('/etc/ld.so.cache'))
  assert.deepEqual(
    parsed.map((one) => `${one.name} ${one.path}`),
    printed.map((one) => `${one[1]} ${one[2]}`),
  )
})

test('the cache leads to libraries of the right machine only', () =>
  withDirectory((directory) => {
    directoryOf(directory, { run: { needed: ['libvial.so'] }, 'arm/libvial.so': { machine: 183 }, 'x/libvial.so': {} })
    const cache = path.join(directory, 'cache')
    const at = (kind: string) => path.join(directory, kind, 'libvial.so')
    fs.writeFileSync(
      cache,
      newCache([
        ['libvial.so', at('arm'), 0x0303],
        ['libvial.so', at('arm'), 0x0a03],
        ['libvial.so', at('x'), 0x0303],
      ]),
    )
    const { libraries } = new LibraryResolver(cache).resolve(path.join(directory, 'run'))
    assert.deepEqual(
      libraries.map((one) => one.path),
      [at('x')],
    )
  }))
