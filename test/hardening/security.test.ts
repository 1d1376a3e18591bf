import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { compile, type Policy, security, type SecurityRow } from '../../src/index.js'
import type { Plan, Step } from '../../src/plan/step.js'
import { callers, vial, workFolder } from '../support/user.js'

const planOf = (policy: Policy) => compile(policy).plan
const lines = (rows: readonly SecurityRow[], part: 'stands' | 'open') =>
  rows.flatMap((row) => row[part].map((line) => `${row.attack}: ${line}`))
const system: Policy = { preset: 'system' }

/** What a change of the policy opens, and the wall that goes with it. */
const weaker: readonly (readonly [Policy, open: RegExp, gone: RegExp])[] = [
  [{ ...system, landlock: 'off' }, /files: no Landlock/, /files: Landlock/],
  [{ ...system, network: 'host' }, /network: the host's network/, /network: its own/],
  [{ ...system, namespaces: { pid: 'host' } }, /processes: .* in the host's pid namespace/, /processes: its own pid/],
  [{ ...system, namespaces: { ipc: 'host' } }, /ipc: the host's System V/, /ipc: its own System V/],
  [{ namespaces: { mount: 'host' } }, /files: the file tree is the host's/, /files: its own root/],
  [
    { ...system, capabilities: ['CAP_NET_RAW'] },
    /capabilities over its own namespaces: CAP_NET_RAW/,
    /no capability in/,
  ],
  [
    { ...system, namespaces: { user: 'host' }, capabilities: ['CAP_NET_RAW'] },
    /capabilities over the host: CAP_NET_RAW/,
    /its own user/,
  ],
  [
    { ...system, namespaces: { user: 'host' }, capabilities: ['CAP_MKNOD'] },
    /it may make device nodes/,
    /no node can be made/,
  ],
  [{ ...system, env: { inherit: true } }, /whole environment/, /of the caller's environment/],
  [{ ...system, dieWithParent: false }, /may outlive its parent/, /dies with its parent/],
  [
    { ...system, filesystem: [{ bind: '/w', from: '/srv', writable: true }] },
    /privileges: .* setuid where it may write/,
    /nothing/,
  ],
  [{ ...system, session: 'host' }, /reaches the caller's, before Linux 6\.12/, /terminal: a session of its own/],
  [{ ...system, init: 'payload' }, /pid 1 is the payload/, /pid 1, or what stands/],
  [{ ...system, filesystem: [{ bind: '/w', from: '/srv', writable: true }] }, /writable, .*\/srv on \/w/, /nothing/],
  [
    { ...system, filesystem: [{ bind: '/d', from: '/dev', devices: true }] },
    /device nodes work: bind \/dev on \/d/,
    /nothing/,
  ],
  [{ ...system, filesystem: [{ proc: '/proc', masked: false }] }, /\/proc is not covered/, /covered in \/proc/],
]

test('each weakening of a policy is said, and its wall no longer', () => {
  const usual = security(planOf(system))
  for (const [policy, open, gone] of weaker) {
    const rows = security(planOf(policy))
    assert.match(lines(rows, 'open').join('\n'), open)
    assert.doesNotMatch(lines(usual, 'open').join('\n'), open)
    if (gone.source === 'nothing') continue
    assert.doesNotMatch(lines(rows, 'stands').join('\n'), gone)
    assert.match(lines(usual, 'stands').join('\n'), gone.source.includes('no node') ? /no node/ : gone)
  }
})

test('what stands goes when its step goes', () => {
  const plan = planOf({ ...system, disableUserns: true })
  const kinds = [
    'pivot',
    'newUser',
    'closeFds',
    'refuseFolders',
    'noNewPrivs',
    'secureBits',
    'newKeyring',
    'guard',
    'limitUserns',
    'landlock',
    'session',
    'loopback',
    'capabilities',
    'rlimit',
    'chdir',
  ] as const
  const all = lines(security(plan), 'stands')
  for (const kind of kinds) {
    const without = (steps: readonly Step[]) => steps.filter((step) => step.do !== kind)
    const less: Plan = {
      ...plan,
      monitor: without(plan.monitor),
      init: without(plan.init),
      payload: without(plan.payload),
    }
    const left = lines(security(less), 'stands')
    assert.ok(
      all.some((line) => !left.includes(line)),
      kind,
    )
  }
})

test('a filter and limits that are there are said', () => {
  const plan = planOf(system)
  const filter = { do: 'filter', what: 'filter system calls by the profile x', why: '' } as unknown as Step
  const by = 'cgroup v2'
  const limits = ['memory', 'pids', 'cpuTime', 'wallTime', 'io'].map((name) => ({ name, value: '64', by }))
  const rows = security({ ...plan, payload: [filter, ...plan.payload] }, { limits })
  assert.match(
    lines(rows, 'stands').join('\n'),
    /kernel: a filter of system calls: .*profile x\n[\s\S]*resources: pids 64, held by cgroup v2/,
  )
  assert.doesNotMatch(lines(rows, 'open').join('\n'), /no filter|no limit on memory/)
  const half = security(plan, { limits: [limits[0]!, { name: 'cpuTime', value: '2s', by: 'none' }] })
  assert.match(lines(half, 'open').join('\n'), /resources: no limit on processes, CPU time or time: it may starve/)
  assert.match(lines(half, 'open').join('\n'), /resources: nothing here holds it to cpuTime/)
})

test('explain --security prints it for people and for programs', () => {
  const [caller] = callers
  const file = join(workFolder(caller!, 'explain'), 'policy.json')
  writeFileSync(
    file,
    JSON.stringify({
      ...system,
      filesystem: [{ directory: '/\u001b[2J' }, { bind: '/\u001b', from: '/srv', writable: true }],
    }),
  )
  const { stdout, stderr } = vial(caller!, ['explain', '--security', file])
  assert.match(stdout, /^files\n {2}\+ {2}its own root/, stderr)
  assert.match(stdout, /^ {2}- {2}what it writes to a terminal/m)
  assert.ok(!stdout.includes('\u001b'))
  const json = JSON.parse(vial(caller!, ['explain', '--security', '--json', file]).stdout) as { rows: SecurityRow[] }
  assert.deepEqual(
    json.rows.map(({ attack }) => attack),
    [
      'files',
      'devices',
      'processes',
      'network',
      'ipc',
      'kernel',
      'privileges',
      'terminal',
      'resources',
      'descriptors and environment',
    ],
  )
})
