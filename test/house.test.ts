/** The house in order: which room may import from which, CONTRIBUTING.md, and that no imports go in a circle. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'

const top = fileURLToPath(new URL('../../', import.meta.url))

/** From the ground up, as CONTRIBUTING.md has them from the top down: a room imports only from those before it. */
const rooms = [
  'text',
  'kernel',
  'machine',
  'assembly',
  'seccomp',
  'policy',
  'fill',
  'plan',
  'launcher',
  'front',
  'cgroup',
  'cache',
  'host',
  'compile',
  'run',
  'bwrap',
  'doctor',
  'cli',
]

const files = readdirSync(join(top, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
  /\.c?ts$/.test(name),
)
/** tsc(1) says whether a file is there; one that is not is a text in a program that is written. */
const importing = /^(?:import|export)\b[^'"]*?\bfrom '(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm
function importsOf(file: string): string[] {
  const found = [...readFileSync(join(top, 'src', file), 'utf8').matchAll(importing)]
  return found
    .map(([, named, loaded]) => join(dirname(file), (named ?? loaded)!).replace(/\.(c?)js$/, '.$1ts'))
    .filter((target) => files.includes(target))
}
const imports: ReadonlyMap<string, readonly string[]> = new Map(files.map((file) => [file, importsOf(file)]))

test('rooms import downwards only', () => {
  for (const [file, targets] of imports) {
    const room = rooms.indexOf(file.split('/')[0]!)
    if (!file.includes('/')) continue
    assert.ok(room >= 0, `src/${file} is in no room of CONTRIBUTING.md`)
    for (const target of targets) {
      const from = rooms.indexOf(target.split('/')[0]!)
      assert.ok(from >= 0 && from <= room, `src/${file} imports ${target}, which lies above it`)
    }
  }
})

test('CONTRIBUTING.md has the rooms in this order', () => {
  const listed = [...readFileSync(join(top, 'CONTRIBUTING.md'), 'utf8').matchAll(/^\| `src\/(\w+)` \|/gm)].map(
    (found) => found[1],
  )
  assert.deepEqual(listed.toReversed(), rooms)
})

test('no two files have one name', () => {
  const paths = new Map<string, string>()
  for (const file of files) {
    const name = basename(file).replace(/\..*$/, '')
    assert.equal(paths.get(name), undefined, `src/${file}`)
    paths.set(name, file)
  }
})

test('no imports go in a circle', () => {
  const done = new Set<string>()
  const visit = (file: string, way: readonly string[]): void => {
    assert.ok(!way.includes(file), `${[...way.slice(way.indexOf(file)), file].join(' imports ')}`)
    if (done.has(file)) return
    for (const target of imports.get(file) ?? []) visit(target, [...way, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
})

/** From a policy to bytes, the same facts give the same result: of the host, these rooms know what they are told. */
const pure = ['kernel', 'machine', 'assembly', 'seccomp', 'plan', 'launcher', 'front']

test('what compiles asks nothing of the host', () => {
  for (const file of files.filter((name) => pure.includes(name.split('/')[0]!))) {
    const source = readFileSync(join(top, 'src', file), 'utf8')
    assert.doesNotMatch(source, /from 'node:(?!path'|crypto')|\bprocess\.(?:env|cwd|get|arch)\b(?!`)/, `src/${file}`)
  }
})
