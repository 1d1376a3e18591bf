/** Policies that are wrong, and policies that are right but cannot be carried out. */
import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checkPolicy, compile, type Policy, PolicyError } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { callers, user, vial, workDirectory } from '../support/user.js'

const faultsOf = (policy: unknown): readonly string[] => {
  try {
    checkPolicy(policy)
    return []
  } catch (error) {
    if (error instanceof PolicyError) return error.faults.map(String)
    throw error
  }
}

const good = () => ({
  preset: 'system',
  filesystem: [
    { bind: '/a', from: 'b' },
    { tmpfs: '/t', size: '1M' },
    { file: '/f', content: 'x', mode: '0644' },
    { overlay: '/o', lower: ['l'], upper: 'tmpfs' },
    { symlink: '/s', to: 't' },
  ],
  namespaces: { net: 'new', time: { boottime: 1 } },
  identity: { uid: 5, gid: 6, user: 'me', ranges: { uids: [{ inside: 1000, outside: 1, count: 1 }], gids: [] } },
  env: { set: { A: 'a' }, inherit: ['B'] },
  rlimits: { nofile: 5, as: { soft: 1, hard: 2 } },
  capabilities: ['CAP_CHOWN'],
  hostname: 'h',
  cwd: '/',
})

const long = `/${'x/'.repeat(2500)}`
/** A place in the policy above, and values that are wrong there. */
const spoilt: Record<string, readonly unknown[]> = {
  preset: ['all', 5, null],
  'filesystem[0].bind': ['relative', '/a/../b', '', '/nul\0', long, `/${'n'.repeat(256)}`, 7, null],
  'filesystem[0].from': ['', 'nul\0', long, `a/${'é'.repeat(128)}`, {}],
  'filesystem[1].size': ['big', -1, 0, '0', 1.5, '5 apples', Number.NaN, []],
  'filesystem[1].inodes': [0, 1.5, '7'],
  'filesystem[2].mode': ['0888', -1, 0o10000, 'rwx', 0.5],
  'filesystem[2].content': [5, null, ['x']],
  'filesystem[2].owner': ['root', 5, null],
  'filesystem[3].lower': [[], 'text', null],
  'filesystem[3].upper': ['disk', { upper: 'x' }, 5],
  'filesystem[4].to': ['', 5, long],
  'namespaces.net': ['old', { pid: 0 }, { path: '' }, { pid: 1, path: 'x' }, 1],
  'namespaces.time': [{ boottime: 0.5 }, { monotonic: 2 ** 40 }, 'old'],
  'identity.uid': [-1, 2 ** 32 - 1, 0.5, '0', Number.NaN],
  'identity.user': ['a:b', '', 'a b', 'nul\0', 'two\nlines'],
  'identity.ranges': ['all', 5, { uids: [] }],
  'env.set.A': [5, 'nul\0', null],
  'env.inherit': [false, 'A', null],
  'env.inherit[0]': ['', 'A=B', 'nul\0'],
  'rlimits.nofile': ['many', -1, 1.5, { soft: 1 }, 'unlimited '],
  'rlimits.files': [5],
  capabilities: ['CAP_CHOWN', {}],
  'capabilities[0]': ['CHOWN', 'cap_chown', 5],
  hostname: ['x'.repeat(65), 'é'.repeat(33), 'a b', 'nul\0', 5],
  cwd: ['here', '/a/../b', ''],
  umask: ['rwx', 0o10000, -1],
  network: ['some', true],
  session: ['old', 1],
  init: ['systemd', 1],
  dieWithParent: ['yes', 0],
  colour: [1],
  'odd key': [1],
}
const places = Object.keys(spoilt)

function put(policy: unknown, path: string, value: unknown): void {
  const names = [...path.matchAll(/[^.[\]]+/g)].map(([name]) => name)
  const last = names.pop()!
  let at = policy as Record<string, unknown>
  for (const name of names) at = at[name] as Record<string, unknown>
  at[last] = value
}

/** As a fault writes it. */
const shown = (path: string) => (/ /.test(path) ? `["${path}"]` : path)

/** All paths in a value. */
function paths(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [path]
  const step = (key: string) =>
    Array.isArray(value) && /^\d+$/.test(key)
      ? `${path}[${key}]`
      : /^[\w-]+$/.test(key)
        ? `${path === '' ? '' : `${path}.`}${key}`
        : `${path}[${JSON.stringify(key)}]`
  return [path, ...Object.entries(value).flatMap(([key, inner]) => paths(inner, step(key)))]
}

/** A fault names what is there, or a key that is missing in what is there. */
function assertNamed(fault: string, policy: unknown): void {
  const known = new Set(paths(policy))
  const named = [...known, 'policy'].some((path) => path !== '' && fault.startsWith(`${path}: `))
  const parent = /^(.*)\.\w+: /.exec(fault)?.[1]
  assert.ok(named || (parent !== undefined && known.has(parent)), `${fault}\n${JSON.stringify(policy)}`)
  assert.ok(
    [...fault].every((letter) => letter >= ' '),
    JSON.stringify(fault),
  )
}

describe('wrong policies', () => {
  test('each wrong value alone is one fault at its place', () => {
    assert.deepEqual(faultsOf(good()), [])
    for (const [path, values] of Object.entries(spoilt)) {
      for (const value of values) {
        const policy = good()
        put(policy, path, value)
        const faults = faultsOf(policy)
        assert.ok(faults.length > 0, `${path} may be ${JSON.stringify(value)}`)
        for (const fault of faults) assert.ok(fault.startsWith(shown(path)), `${path}: ${fault}`)
      }
    }
  })

  test('200 policies with several faults: all are told at once', () => {
    // Not both of a place and what lies in it.
    const apart = places.filter((place) => !['identity.ranges', 'capabilities', 'env.inherit'].includes(place))
    const spoils = fc.uniqueArray(fc.tuple(fc.constantFrom(...apart), fc.nat()), {
      selector: ([path]) => path,
      minLength: 1,
      maxLength: 12,
    })
    fc.assert(
      fc.property(spoils, (chosen) => {
        const policy = good()
        for (const [path, number] of chosen) {
          const values = spoilt[path]!
          put(policy, path, values[number % values.length])
        }
        const faults = faultsOf(policy)
        for (const [path] of chosen)
          assert.ok(
            faults.some((fault) => fault.startsWith(shown(path))),
            `${path}\n${faults.join('\n')}`,
          )
        for (const fault of faults) assertNamed(fault, policy)
      }),
      { numRuns: 200, seed: 42 },
    )
  })

  test('anything at all, at any place: a fault that names it, and never a crash', () => {
    const anything = fc.anything({
      maxDepth: 3,
      withBigInt: true,
      withDate: true,
      withNullPrototype: true,
      withTypedArray: true,
    })
    fc.assert(
      fc.property(fc.constantFrom('', ...places), anything, (path, value) => {
        const policy: unknown = path === '' ? value : good()
        if (path !== '') put(policy, path, value)
        for (const fault of faultsOf(policy)) assert.equal(typeof fault, 'string')
      }),
      { numRuns: 1000, seed: 43 },
    )
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (text) => {
        const policy: unknown = JSON.parse(text)
        for (const fault of faultsOf(policy)) assertNamed(fault, policy)
      }),
      { numRuns: 500, seed: 44 },
    )
  })

  test('unknown keys are all named, however odd', () => {
    assert.deepEqual(faultsOf({ a: 1, b: { c: 1 }, 'x\x1b[2J': 1, identity: { d: 1, e: 2 } }).toSorted(), [
      '["x\\u001b[2J"]: is not a known key',
      'a: is not a known key',
      'b: is not a known key',
      'identity.d: is not a known key',
      'identity.e: is not a known key',
    ])
    assert.deepEqual(faultsOf([]), ['policy: must be an object, not a list'])
    assert.match(faultsOf('text')[0]!, /^policy: must be /)
    assert.match(faultsOf(undefined)[0]!, /^policy: must be /)
  })

  test('faults between keys', () => {
    const range = (inside: number, outside: number, count: number) => ({ inside, outside, count })
    const ids = (...uids: ReturnType<typeof range>[]) => ({ identity: { uid: 5, ranges: { uids, gids: [] } } })
    const cases: [unknown, RegExp][] = [
      [ids(range(0, 100, 6)), /^identity\.ranges\.uids\[0\]\.inside: overlaps/],
      [ids(range(10, 100, 5), range(14, 300, 1)), /^identity\.ranges\.uids\[1\]\.inside: overlaps/],
      [ids(range(10, 100, 5), range(20, 104, 1)), /^identity\.ranges\.uids\[1\]\.outside: overlaps/],
      [ids(range(10, 2 ** 32 - 3, 5)), /^identity\.ranges\.uids\[0\]\.count: goes beyond/],
      [{ rlimits: { nofile: { soft: 9, hard: 8 } } }, /^rlimits\.nofile\.soft: is above hard/],
      [{ rlimits: { as: { soft: 'unlimited', hard: '1G' } } }, /^rlimits\.as\.soft: is above hard/],
      [{ network: 'host', namespaces: { net: 'new' } }, /^network: /],
      [{ init: 'payload', namespaces: { pid: 'host' } }, /^init: /],
      [{ namespaces: { mount: 'host' }, preset: 'system' }, /^preset: /],
      [{ filesystem: [{ file: '/f' }] }, /^filesystem\[0\]: needs either content or fd/],
      [{ filesystem: [{ file: '/f', content: '', fd: 3 }] }, /^filesystem\[0\]: needs either/],
      [{ filesystem: [{ proc: '/' }] }, /^filesystem\[0\]\.proc: /],
    ]
    for (const [policy, fault] of cases) assert.match(faultsOf(policy).join('\n'), fault)
    assert.deepEqual(faultsOf(ids(range(0, 100, 5), range(6, 105, 5))), [])
  })

  test('what the host lacks is a fault of the policy too', () => {
    assert.throws(
      () => compile({ fill: { program: 'no-such-program' } }),
      (error: Error) => error instanceof PolicyError && /^fill\.program: /.test(error.message),
    )
    assert.throws(
      () => compile({ fill: { program: '/etc/hostname' } }),
      (error: Error) => error instanceof PolicyError && /^fill\.program: /.test(error.message),
    )
  })

  test('the command tells where a policy file is wrong', () => {
    const caller = user
    const directory = workDirectory(caller, 'policies')
    writeFileSync(join(directory, 'bad.json'), '{"colour": 1, "network": "some"}')
    writeFileSync(join(directory, 'broken.json'), '{"colour"')
    const bad = vial(caller, ['run', '--policy', join(directory, 'bad.json'), '--', 'true'])
    assert.deepEqual([bad.status, bad.stdout], [125, ''])
    assert.match(
      bad.stderr,
      /2 faults:\n {2}.*bad\.json: network: must be .*\n {2}.*bad\.json: colour: is not a known key\n$/,
    )
    assert.match(vial(caller, ['explain', join(directory, 'broken.json')]).stderr, /^vial: .*broken\.json:1:10: /)
    assert.match(
      vial(caller, ['explain', join(directory, 'absent.json')]).stderr,
      /^vial: cannot read the policy .*absent\.json does not exist/,
    )
  })
})

for (const caller of callers) {
  test(`policies that cannot be carried out, by ${caller.name}`, async () => {
    const directory = workDirectory(caller, 'impossible')
    mkdirSync(join(directory, 'deep'))
    mkdirSync(join(directory, 'closed'), { mode: 0 })
    writeFileSync(join(directory, 'file'), '')
    symlinkSync('loop', join(directory, 'loop'))
    symlinkSync('b', join(directory, 'a'))
    symlinkSync('a', join(directory, 'b'))
    symlinkSync('/etc', join(directory, 'out'))
    const on = (...entries: NonNullable<Policy['filesystem']>): Policy => ({ preset: 'system', filesystem: entries })
    const at = (name: string) => join(directory, name)
    const data = { bind: '/data', from: directory }
    const cases: [Policy, RegExp][] = [
      [
        on({ bind: '/x', from: at('absent') }),
        /^cannot bind \S+absent on \/x: No such file or directory\n +the source does not exist/,
      ],
      [on({ bind: '/x', from: at('loop') }), /^cannot bind \S+loop on \/x: Too many levels of symbolic links\n +\S/],
      [on({ bind: '/x', from: at('a') }), /^cannot bind .*: Too many levels of symbolic links\n +\S/],
      [on({ bind: '/x', from: at('file/below') }), /^cannot bind .*file\/below on \/x: Not a directory\n +\S/],
      [
        on(data, { bind: '/data/loop', from: directory }),
        /^cannot bind .* on \/data\/loop: Too many levels of symbolic links\n +\S/,
      ],
      [
        on(data, { tmpfs: '/data/loop/under' }),
        /^cannot make the directory \/data\/loop: Too many levels|^cannot mount tmpfs on \/data\/loop\/under: Too many levels/,
      ],
      [
        on(data, { tmpfs: '/data/absent' }),
        /^cannot mount tmpfs on \/data\/absent: Read-only file system\n +the place does not exist/,
      ],
      [on(data, { bind: '/data/a/b/c', from: directory }), /^cannot make the directory \/data\/a.*: \S.*\n +\S/],
      [
        on(data, { bind: '/data/file/below', from: directory }),
        /^cannot .* \/data\/file.*: Not a directory\n +a file lies on the way/,
      ],
      [
        on(data, { bind: '/data/file', from: directory }),
        /^cannot bind .* on \/data\/file: Invalid argument\n +a file cannot/,
      ],
      [on(data, { bind: '/data/deep', from: at('file') }), /^cannot bind .* on \/data\/deep: \S.*\n +a file cannot/],
      [
        on({ file: '/f', content: '' }, { directory: '/f/below' }),
        /^cannot make the directory \/f\/below: Not a directory\n +\S/,
      ],
      [on({ file: '/f', content: '' }, { directory: '/f' }), /^cannot make the directory \/f: Not a directory\n +\S/],
      [on({ directory: '/d' }, { file: '/d', content: '' }), /^cannot write the file \/d: Is a directory\n +\S/],
      [on({ directory: '/d' }, { symlink: '/d', to: 'x' }), /^cannot link \/d to x: File exists\n +\S/],
      [on({ symlink: '/l', to: 'x' }, { symlink: '/l', to: 'y' }), /^cannot link \/l to y: File exists\n +\S/],
      [on({ file: '/usr/new', content: '' }), /^cannot write the file \/usr\/new: Read-only file system\n +\S/],
      [on({ readonly: '/absent' }), /^cannot make \/absent read-only: No such file or directory\n +\S/],
      [on({ chmod: '/absent', mode: 0 }), /^cannot set the mode of \/absent: No such file or directory\n +\S/],
      [
        on({ chmod: '/usr', mode: 0o755 }),
        /^cannot set the mode of \/usr: (Read-only file system|Operation not permitted)\n +\S/,
      ],
      [
        on({ tmpfs: '/t', size: 1 }, { file: '/t/f', content: 'x'.repeat(5000) }),
        /^cannot write the file \/t\/f: No space left on device\n +\S/,
      ],
      [on({ tmpfs: '/t', owner: { uid: 77 } }), /^cannot mount tmpfs on \/t: Invalid argument\n +\S/],
      [on({ directory: '/d', owner: { uid: 77 } }), /^cannot make the directory \/d: Invalid argument\n +\S/],
      [
        on({ overlay: '/o', lower: [at('absent')] }),
        /^cannot mount an overlay on \/o: No such file or directory\n +\S/,
      ],
      [
        on({ overlay: '/o', lower: [directory], upper: { upper: at('file'), work: at('deep') } }),
        /^cannot mount an overlay on \/o: \S.*\n +\S/,
      ],
      [
        { preset: 'system', cwd: '/absent' },
        /^cannot enter the working directory \/absent: No such file or directory\n +cwd is not visible/,
      ],
      [
        { preset: 'system', cwd: '/etc/passwd' },
        /^cannot enter the working directory \/etc\/passwd: Not a directory\n +\S/,
      ],
      [
        { preset: 'system', rlimits: { nofile: { soft: 1, hard: 2 ** 40 } } },
        /^cannot limit nofile to 1: Operation not permitted\n +a hard limit/,
      ],
    ]
    // Who owns the directory may enter it whatever its mode: in the sandbox's user namespace the owner has CAP_DAC_OVERRIDE.
    if (caller.uid !== process.getuid!())
      cases.push([
        on({ bind: '/x', from: at('closed/below') }),
        /^cannot bind .*: Permission denied\n +the caller may not/,
      ])
    // Put where the caller may open it, for a policy is too long an argument.
    const told = await evaluate(
      caller,
      async ({ sandbox }, policies) => {
        const told: string[] = []
        for (const policy of policies)
          told.push(
            await sandbox(policy)
              .run('true')
              .then(
                (result) => `ran: ${result.exitCode}`,
                (error) => `${error.name}: ${error.message}`,
              ),
          )
        return told
      },
      cases.map(([policy]) => policy),
    )
    const wrong = told.flatMap((message, index) => {
      const [, expected] = cases[index]!
      const plain = message.replace(/^(Sandbox|Command|Host|Limits)Error: /, '')
      return plain !== message && expected.test(plain) ? [] : [`${message}\n   is not ${expected}`]
    })
    assert.deepEqual(wrong, [], wrong.join('\n'))
  })
}
