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
  'network',
  'run',
  'live',
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

const roomOf = (file: string) => file.split('/')[0]!

test('run knows of the launcher only the records that both ends share, and of no code', () => {
  for (const [file, targets] of imports)
    if (roomOf(file) === 'run')
      for (const target of targets) {
        assert.ok(!['machine', 'assembly', 'front'].includes(roomOf(target)), `src/${file} imports ${target}`)
        if (roomOf(target) === 'launcher') assert.equal(target, 'launcher/record.ts', `src/${file} imports ${target}`)
      }
})

/** The rooms of which commands are made. `policy` is what flags are turned into. */
const ofCommands = ['cli', 'text', 'policy', 'compile', 'run', 'live', 'bwrap', 'doctor']
/** What commands import from lower ones, and why no room between has it. */
const lower: Readonly<Record<string, string>> = {
  'cache/cacheDirectory.ts': 'vial cache',
  'cache/cacheEntries.ts': 'vial cache',
  'cache/contentVials.ts': 'vial run: where a vial is stored that is not remembered',
  'cache/rememberedVials.ts': 'vial run: a vial is found again by its flags before anything else is loaded',
  'cache/wholeFile.ts': 'vial compile: its file is written whole, as one of the cache is',
  'cgroup/garbage.ts': 'vial gc',
  'fill/complete.ts': 'what a preset and fill stand for: vial presets, and advice about a command that failed',
  'fill/findProgram.ts': 'advice about a program that is not seen inside',
  'fill/look.ts': 'vial run: whether what fill looked at is as it was',
  'fill/overRoot.ts': '--root',
  'front/format.ts': 'a vial of the front is warmed by the descriptor of none',
  'host/packagePlace.ts': 'vial --version',
  'host/thisHost.ts': 'vial doctor says who asks',
  'kernel/architecture.ts': '--arch',
  'kernel/errno.ts': 'the words for an error of a file that a flag names',
  'kernel/namespaces.ts': 'a flag of unshare(1) that vial has no need of',
  'kernel/signals.ts': 'vial kill: which signals completion offers',
  'kernel/systemError.ts': 'the words for an error of Node.js that no command expects',
  'plan/namedDescriptors.ts': '--listen-fds: which numbers the sockets have',
  'plan/security.ts': 'vial security prints it',
  'seccomp/profileSchema.ts': '--seccomp: the names of the profiles',
}

test('commands import compile, run, live, bwrap and doctor, and of lower rooms what the table says', () => {
  const found = new Set<string>()
  for (const [file, targets] of imports)
    if (roomOf(file) === 'cli')
      for (const target of targets.filter((one) => !ofCommands.includes(roomOf(one)))) {
        assert.ok(target in lower, `src/${file} imports ${target}`)
        found.add(target)
      }
  assert.deepEqual([...found].sort(), Object.keys(lower).sort(), 'the table has no more than there is')
})

/** Where a policy comes in, each of which checks it; from there it is handed on as accepted. */
const doors: Readonly<Record<string, string>> = {
  'cli/compileCommand.ts': 'a policy that --listen-fds has changed',
  'cli/flagsToPolicy.ts': 'a policy file, and what the flags make of it',
  'compile/compile.ts': 'the library: compile()',
  'live/attachSandbox.ts': 'the record of a sandbox',
  'live/liveSandbox.ts': 'the library: sandbox()',
  'live/workTree.ts': 'a policy that gets a layer over a directory of the host',
  'policy/check.ts': 'the library: checkPolicy()',
  'run/sandbox.ts': 'sandboxes of vial itself, as those of vial doctor',
}

test('a policy is checked where it comes in, and nowhere else', () => {
  const checks = /\b(?:parsePolicy|checkPolicy|acceptPolicy|acceptedLater)\(/
  const found = files.filter((file) => checks.test(readFileSync(join(top, 'src', file), 'utf8')))
  assert.deepEqual(found.sort(), Object.keys(doors).sort())
})

test('no two files have one name', () => {
  const paths = new Map<string, string>()
  for (const file of files) {
    const name = basename(file).replace(/\..*$/, '')
    assert.equal(paths.get(name), undefined, `src/${file}`)
    paths.set(name, file)
  }
})

test('a file that the code or a document speaks of is there', () => {
  const under = (room: string, kind: RegExp) =>
    readdirSync(join(top, room), { recursive: true, encoding: 'utf8' })
      .filter((name) => kind.test(name))
      .map((name) => join(room, name))
  const sources = ['src', 'test', 'bench', 'lab', 'examples'].flatMap((room) => under(room, /\.c?[tj]s$/))
  const readers = [
    ...under('src', /\.c?ts$/),
    ...under('docs', /\.md$/),
    'CONTRIBUTING.md',
    'SECURITY.md',
    'bench/README.md',
  ]
  for (const reader of readers)
    for (const [name] of readFileSync(join(top, reader), 'utf8').matchAll(/(?<![\w./'-])(?:\w+\/)*\w+\.c?ts\b/g))
      assert.ok(
        sources.some((source) => `/${source}`.endsWith(`/${name}`)),
        `${reader} speaks of ${name}`,
      )
})

test('files are short enough to be read in one sitting, or are tables', () => {
  const tables = ['kernel/flags.ts', 'kernel/syscalls.ts', 'kernel/syscalls32.ts', 'bwrap/bwrapOptions.ts']
  // One encoding after another, each on its own.
  const encoders = ['machine/arm64.ts']
  for (const file of files.filter((name) => ![...tables, ...encoders].includes(name)))
    assert.ok(readFileSync(join(top, 'src', file), 'utf8').split('\n').length <= 401, `src/${file}`)
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

const sourceOf = (file: string) => readFileSync(join(top, 'src', file), 'utf8')

/** Classes of errors by their name, with what each extends. */
const bases = new Map(
  files.flatMap((file) =>
    [...sourceOf(file).matchAll(/^(?:export )?(?:abstract )?class (\w+) extends (\w+)/gm)].map(
      ([, name, base]) => [name!, base!] as const,
    ),
  ),
)
function hasStage(name: string): boolean {
  const base = bases.get(name)
  return name === 'VialError' || (base !== undefined && hasStage(base))
}

/** Errors that have no stage, by class or file, and who takes them before a caller of the library could. */
const withoutStage: Readonly<Record<string, string>> = {
  CannotFill: 'fill/complete.ts makes a PolicyError of it',
  FilterTooLong: 'plan/policyFilter.ts makes a PolicyError of it',
  CannotLimit: 'cgroup/findWay.ts asks: it is why one way to a cgroup is none',
  BusError: 'cgroup/systemd.ts asks: it is what systemd answers',
  UsageError: 'a fault of the command line, of which there is no run',
  UnknownFlag: 'a UsageError',
  BwrapError: 'the drop-in has the words of bubblewrap, and one exit status for all',
  BwrapContradiction: 'bwrap/compileRequest.ts makes a BwrapError of it',
  Stop: '--help and --version of the drop-in',
  'bwrap/inheritedFds.ts': 'in the form of Node.js: the descriptor that --args names is not open',
  'cache/trust.ts': 'cache/cacheDirectory.ts makes a HostError of it, which names the cache',
  'cache/frontVials.ts': 'a file that is no entry: the reader goes on to the next',
  'live/hostDirectory.ts': 'its hostFailure makes a HostError of it',
  'cli/start.cts': 'there is no module yet: the installation is broken',
}
/** Here an error is a mistake of vial's own code, whatever a caller gives. */
const ownMistakes = ['kernel', 'machine', 'assembly', 'seccomp', 'plan', 'launcher']

test('what is thrown is of the base class of errors, and so has a stage', () => {
  const found = new Set<string>()
  for (const file of files)
    for (const [, name] of sourceOf(file).matchAll(/\b(?:throw |reject\(|throw Object\.assign\()new (\w+)/g)) {
      if (hasStage(name!)) continue
      const plain = ['Error', 'RangeError', 'TypeError'].includes(name!)
      if (plain && ownMistakes.includes(roomOf(file))) continue
      const known = plain ? file : name!
      assert.ok(known in withoutStage, `src/${file} throws ${name}`)
      found.add(known)
    }
  assert.deepEqual([...found].sort(), Object.keys(withoutStage).sort(), 'the table has no more than there is')
})

/** A sentence is for people: one that is asked what it says would be a decision that a better sentence changes. */
const asking = [
  /\b(?:message|hint|what|why|stderr|sentence)\)?[?!]?\.(?:startsWith|endsWith|includes|indexOf|match|matchAll|search)\(/,
  /\.(?:test|exec)\([^)]*\b(?:message|hint|what|why|stderr|sentence)\b/,
  /\b(?:message|hint|stderr|sentence) [!=]==? ['"`]/,
]

test('nothing decides by an English sentence', () => {
  for (const file of files)
    for (const line of sourceOf(file).split('\n'))
      for (const question of asking) assert.doesNotMatch(line, question, `src/${file}`)
})
