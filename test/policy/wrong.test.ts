/**
 * What is said of a wrong policy: of every key of every kind of object, with a value of a wrong type, misspelt, missing, or with a
 * second kind's key beside it. One mistake is one fault, which begins with the path of the key.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as v from 'valibot'
import { checkPolicy, PolicyError } from '../../src/index.js'
import { type LimitUnit, limitRows } from '../../src/policy/limitRows.js'
import { limitsSchema } from '../../src/policy/limitsSchema.js'
import { entrySchemas, policySchema } from '../../src/policy/schema.js'
import { comparisonNames, ociSchema, profileSchema } from '../../src/seccomp/profileSchema.js'

type Fields = Record<string, unknown>

/** Of kinds whose keys exclude one another, or have words of their own; each key is in one of these. */
const spelled: Readonly<Record<string, readonly Fields[]>> = {
  bind: [
    {
      bind: '/a',
      from: 'b',
      writable: true,
      beneath: '/',
      recursive: true,
      optional: true,
      devices: true,
      noexec: true,
      suid: true,
    },
    { bind: '/a', fd: 3 },
  ],
  proc: [{ proc: '/proc', subset: 'pid', hidepid: 'invisible', masked: false }],
  file: [
    { file: '/f', content: 'x', mode: '0644', owner: { gid: 1 }, mount: 'readonly' },
    { file: '/f', fd: 3 },
    { file: '/f', authorities: true },
  ],
  overlay: [
    { overlay: '/o', lower: ['l'], upper: { upper: 'u', work: 'w' } },
    { overlay: '/o', lower: ['l'], upper: 'tmpfs' },
  ],
}
/** What is right for the keys of any other kind. */
const values = ['/a', true, '1M', 5, { uid: 1, gid: 2 }]
const entries: Readonly<Record<string, readonly Fields[]>> = Object.fromEntries(
  Object.entries(entrySchemas).map(([kind, schema]) => {
    const fitting = Object.entries(schema.entries).map(([key, one]) => [key, values.find((value) => v.is(one, value))])
    return [kind, spelled[kind] ?? [Object.fromEntries(fitting)]]
  }),
)

const range = { inside: 2000, outside: 1, count: 1 }
const tests: Fields[] = comparisonNames.map((name) =>
  name === 'in' || name === 'notIn' ? { arg: 0, mask: 7, [name]: [1, 2] } : { arg: 0, mask: 7, [name]: 1 },
)
const profile = {
  default: { errno: 'EPERM' },
  newer: 'log',
  abis: ['i386'],
  rules: [{ calls: ['read'], when: tests, capability: 'CAP_CHOWN', where: 'noNetwork', do: { trace: 1 } }],
}
const oci = {
  defaultAction: 'SCMP_ACT_ALLOW',
  defaultErrnoRet: 1,
  defaultErrno: 'EPERM',
  architectures: ['SCMP_ARCH_X86_64'],
  archMap: [],
  flags: [],
  listenerPath: '',
  listenerMetadata: '',
  syscalls: [
    {
      names: ['read'],
      action: 'SCMP_ACT_ERRNO',
      errnoRet: 1,
      errno: 'EPERM',
      args: [{ index: 0, value: 1, valueTwo: 2, op: 'SCMP_CMP_EQ' }],
      comment: '',
      includes: { caps: [], arches: [], minKernel: '4.8' },
      excludes: {},
    },
  ],
}
const ofUnit: Readonly<Record<LimitUnit, unknown>> = {
  ...{ size: 5, positiveSize: '64M', time: '1s', count: 5, cores: 1, weight: 5, cpus: '0' },
  disk: { size: '1M', inodes: 5 },
  rates: { read: 5, write: 5, readOps: 5, writeOps: 5 },
  hugePages: { '2M': '4M' },
}
const limits = {
  ...Object.fromEntries(Object.entries(limitRows).map(([name, { unit }]) => [name, ofUnit[unit]])),
  memoryHigh: '32M',
  required: false,
}
const policies: readonly Fields[] = [
  ...Object.values(entries).flatMap((all) =>
    all.map((entry) => ({ filesystem: [entry], ...(entry.authorities ? { network: { inspect: true } } : {}) })),
  ),
  {
    preset: 'system',
    network: {
      ...{ allow: ['a.example.com:443'], deny: ['10.0.0.0/8:*'], publish: ['0:80'], proxy: 3128, authorities: '' },
      ...{ inspect: ['a.example.com:443'], requests: ['GET https://a.example.com/'] },
      secrets: [{ env: 'KEY', value: 'x', for: 'a.example.com:443', header: 'x-key', placeholder: 'sk-00000000' }],
    },
  },
  {
    preset: 'system',
    root: { writable: true, size: '1M' },
    identity: { uid: 5, gid: 6, user: 'me', group: 'us', ranges: { uids: [{ ...range }], gids: [{ ...range }] } },
    hostname: 'h',
    domainname: 'd',
    env: { set: { A: 'a' }, inherit: ['B'] },
    cwd: '/',
    argv0: 'x',
    umask: '022',
    rlimits: { nofile: { soft: 1, hard: 2 }, cpu: 1 },
    capabilities: ['CAP_CHOWN'],
    landlock: 'on',
    mounts: 'fixed',
    disableUserns: true,
    session: 'new',
    dieWithParent: true,
    init: 'payload',
    network: 'none',
    filesystem: [],
  },
  { fill: { program: ['sh'], path: '/bin' } },
  { fill: { program: 'sh' } },
  {
    namespaces: {
      ...{
        user: { path: 'u' },
        mount: 'new',
        pid: { pid: 5 },
        net: { path: 'n' },
        ipc: 'new',
        uts: 'host',
        cgroup: 'new',
      },
      time: { boottime: 1, monotonic: 2 },
    },
  },
  { namespaces: { user: 'host', time: { pid: 5 } } },
  { limits },
  { limits: { disk: 5 } },
  { seccomp: profile },
  { seccomp: oci },
]

function faultsOf(policy: unknown): readonly string[] {
  try {
    checkPolicy(policy)
    return []
  } catch (error) {
    if (error instanceof PolicyError) return error.faults.map(String)
    throw error
  }
}

/** A key of an object in a policy, or an item of a list. */
interface Place {
  /** As a fault has it. */
  readonly path: string
  /** That of what it lies in. */
  readonly above: string
  readonly key: string
  readonly inList: boolean
  readonly value: unknown
  /** A copy of the policy, changed by what is done to the object or list that the place lies in. */
  changed(change: (owner: Fields) => void): unknown
  /** A copy with this value there. */
  put(value: unknown): unknown
}

function placesOf(policy: unknown, value: unknown = policy, way: readonly string[] = [], above = ''): Place[] {
  if (typeof value !== 'object' || value === null) return []
  const inList = Array.isArray(value)
  return Object.entries(value).flatMap(([key, inner]) => {
    const path = inList ? `${above}[${key}]` : `${above === '' ? '' : `${above}.`}${key}`
    const changed: Place['changed'] = (change) => {
      const copy = structuredClone(policy)
      change(way.reduce((at, name) => at[name] as Fields, copy as Fields))
      return copy
    }
    const put: Place['put'] = (value) =>
      changed((owner) => {
        owner[key] = value
      })
    return [
      { path, above: above === '' ? 'policy' : above, key, inList, value: inner, changed, put },
      ...placesOf(policy, inner, [...way, key], path),
    ]
  })
}

const places = policies.flatMap((policy) => placesOf(policy))
/** What only valibot, or only a programmer of the schema, would say. */
const jargon = / \| |undefined|\bArray\b|\bObject\b|\bstring\b|\bboolean\b|Invalid|[<>]=|!0|something else|null or/

/** What no single key shows. */
const betweenKeys = /contradict|needs (limits|namespaces|network)|joined from|beneath is|has both/

/** Keys of this kind are data: any other is right as well, or has a fault of its own. */
const isData = ({ path }: Place) => /^(env\.set|rlimits|limits\.hugepages)\.\w+$/.test(path)

describe('of a wrong policy one fault names the key:', () => {
  test('the examples are right but for keys that exclude one another, and have every key', () => {
    for (const policy of policies) {
      const faults = faultsOf(policy).filter((fault) => !betweenKeys.test(fault))
      assert.deepEqual(faults, [])
    }
    const keysAt = (owner: RegExp) =>
      [...new Set(places.filter(({ above, inList }) => !inList && owner.test(above)).map(({ key }) => key))].sort()
    const keysOf = (schema: { entries: object }) => Object.keys(schema.entries).sort()
    assert.deepEqual(keysAt(/^policy$/), keysOf(policySchema))
    assert.deepEqual(keysAt(/^limits$/), keysOf(limitsSchema))
    assert.deepEqual(keysAt(/^seccomp$/), [...keysOf(profileSchema), ...keysOf(ociSchema)].sort())
    for (const [kind, schema] of Object.entries(entrySchemas))
      assert.deepEqual([...new Set(entries[kind]!.flatMap(Object.keys))].sort(), keysOf(schema), kind)
  })

  test('a value of a type that is right nowhere', () => {
    for (const { path, put } of places) {
      for (const value of [() => {}, Symbol.iterator]) {
        const faults = faultsOf(put(value))
        const [fault = '', ...more] = faults.filter((one) => one.startsWith(path))
        assert.deepEqual(more, [], path)
        assert.ok(fault.startsWith(`${path}: `), `${path}: ${faults}`)
        assert.doesNotMatch(fault, jargon)
      }
    }
  })

  test('a value of a type that is right elsewhere', () => {
    for (const { path, put } of places)
      for (const value of [null, true, 0.5, -1, 'no such word\0', '', [], {}, [[]], { no: { such: 'key' } }]) {
        for (const fault of faultsOf(put(value))) {
          if (!fault.startsWith(path)) continue
          assert.match(fault.slice(path.length), /^[.[:]/)
          assert.doesNotMatch(fault, jargon)
        }
      }
  })

  test('a misspelt key', () => {
    for (const place of places) {
      const { path, above, key, inList, changed } = place
      if (inList || isData(place)) continue
      const misspelt = `${key}${key.at(-1)}`
      const faults = faultsOf(
        changed((owner) => {
          owner[misspelt] = owner[key]
          delete owner[key]
        }),
      )
      const naming = faults.filter((fault) => fault.includes(misspelt))
      assert.equal(naming.length, 1, `${path}: ${faults}`)
      const [fault] = naming as [string]
      const ownPath = path.slice(0, -key.length) + misspelt
      assert.ok(
        fault === `${ownPath}: is not a known key (did you mean ${key}?)` ||
          (fault.startsWith(`${above}: has "${misspelt}", which is not a key of `) &&
            fault.endsWith(`; did you mean "${key}"?`)),
        fault,
      )
      // Nothing is said of the right key, as if it were missing.
      assert.ok(!faults.some((one) => one.startsWith(`${path}: `)), `${faults}`)
    }
  })

  test('a missing key, or one that is undefined', () => {
    const missing = new Set<string>()
    for (const { path, above, key, inList, changed, put } of places) {
      if (inList) continue
      const before = new Set(faultsOf(changed(() => {})))
      const without = faultsOf(changed((owner) => void delete owner[key])).filter(
        (fault) => !before.has(fault) && !betweenKeys.test(fault),
      )
      for (const fault of without) {
        assert.ok(fault.startsWith(`${path}: is missing`) || fault.startsWith(`${above}: `), `${path}: ${fault}`)
        assert.doesNotMatch(fault, jargon)
        missing.add(fault)
      }
      for (const fault of faultsOf(put(undefined))) assert.doesNotMatch(fault, jargon)
    }
    for (const fault of [
      'filesystem[0].lower: is missing',
      'filesystem[0]: needs "bind" beside "from", "writable", "beneath", "recursive", "optional", "devices", "noexec", "suid"',
      'filesystem[0].to: is missing',
      'filesystem[0].upper.work: is missing',
      'rlimits.nofile.hard: is missing',
      'identity.ranges.uids[0].count: is missing',
      'fill.program: is missing',
      'seccomp.rules[0].do: is missing',
      'seccomp: needs "default" beside "newer", "abis", "rules"',
    ])
      assert.ok(missing.has(fault), `${fault}\n${[...missing].join('\n')}`)
  })

  test('two kinds in one entry', () => {
    const kinds = Object.keys(entries)
    for (const [index, first] of kinds.entries())
      for (const second of kinds.slice(index + 1)) {
        const filesystem = [{ ...entries[first]![0], [second]: '/x' }]
        assert.deepEqual(faultsOf({ filesystem }), [
          `filesystem[0]: has "${first}" and "${second}": an entry has only one of them`,
        ])
      }
    const rule = { calls: ['read'], do: 'log' }
    const others: [unknown, string][] = [
      [{ namespaces: { net: { pid: 1, path: 'x' } } }, 'namespaces.net: has "pid" and "path": a namespace has'],
      [
        { seccomp: { default: { errno: 0, trace: 1 }, rules: [] } },
        'seccomp.default: has "errno" and "trace": an action has',
      ],
      [
        { seccomp: { default: 'log', rules: [{ ...rule, when: [{ arg: 0, eq: 1, in: [1] }] }] } },
        'seccomp.rules[0].when[0]: has "eq" and "in": a test has',
      ],
      [{ seccomp: { ...oci, default: 'log' } }, 'seccomp: has "defaultAction" and "default": a profile has'],
    ]
    for (const [policy, fault] of others) assert.deepEqual(faultsOf(policy), [`${fault} only one of them`])
  })

  test("another kind's key", () => {
    assert.deepEqual(faultsOf({ filesystem: [{ bind: '/x', size: '1M' }] }), [
      'filesystem[0].size: is a key of tmpfs, not of bind',
    ])
    assert.deepEqual(faultsOf({ filesystem: [{ proc: '/x', recursive: true }] }), [
      'filesystem[0].recursive: is a key of bind, readonly, not of proc',
    ])
  })

  test('a list in the place of an object, even an empty one', () => {
    for (const { path, value, put } of places) {
      if (typeof value !== 'object' || Array.isArray(value)) continue
      const faults = faultsOf(put([]))
      assert.ok(
        faults.some((fault) => fault.startsWith(`${path}: must be`)),
        `${path}: ${faults}`,
      )
    }
  })

  test('a value is quoted so that it fits on a line', () => {
    assert.deepEqual(faultsOf({ dieWithParent: 'a\n\x1b[2J' }), [
      'dieWithParent: must be true or false, not "a\\n\\u001b[2J"',
    ])
    assert.ok(faultsOf({ dieWithParent: 'x'.repeat(10_000) })[0]!.length < 120)
    assert.deepEqual(faultsOf({ filesystem: [{ 'bi\nnd': '/x' }] }), [
      'filesystem[0]: has "bi\\nnd", which is not a key of an entry; did you mean "bind"?',
    ])
  })
})

test('a variable may be called as a property of every object is', () => {
  const set = JSON.parse('{ "constructor": "a", "toString": "b", "prototype": "c" }')
  assert.deepEqual(checkPolicy({ env: { set } }).env?.set, set)
})
