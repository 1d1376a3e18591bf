import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { hostArchitecture } from '../../src/host/thisHost.js'
import { compile, type Policy, profiles, type SecurityRow, security } from '../../src/index.js'
import type { Step } from '../../src/plan/step.js'
import { compileSeccomp } from '../../src/seccomp/compileProfile.js'
import type { SeccompProfile } from '../../src/seccomp/profileSchema.js'
import { withSteps } from '../support/plans.js'
import { callers, runAs, user, vial, workDirectory } from '../support/user.js'

const planOf = (policy: Policy) => compile(policy).plan
const lines = (rows: readonly SecurityRow[], part: 'stands' | 'open') =>
  rows.flatMap((row) => row[part].map((line) => `${row.attack}: ${line}`))
const system: Policy = { preset: 'system' }

/** The default filter, which lets these through as well. */
const letting = (...calls: SeccompProfile['rules'][number]['calls']): SeccompProfile => ({
  ...profiles.default,
  rules: [{ calls, do: 'allow' }, ...profiles.default.rules],
})
const rootMode = (...capabilities: NonNullable<Policy['capabilities']>): Policy => ({
  ...system,
  namespaces: { user: 'host' },
  identity: { uid: 1000, gid: 1000 },
  capabilities,
  filesystem: [{ bind: '/w', from: '/srv', writable: true }],
})

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
  [{ ...system, filesystem: [{ bind: '/host', from: '/' }] }, /command lines of all .*: bind \/ on \/host/, /nothing/],
  [
    { ...system, filesystem: [{ bind: '/p', from: '/proc' }] },
    /command lines of all .*: bind \/proc on \/p/,
    /nothing/,
  ],
  [
    { ...system, filesystem: [{ bind: '/d', from: '/srv/data/d' }] },
    /links on the way to what lies at \/d are followed wherever they lead/,
    /nothing/,
  ],
  [{ ...system, filesystem: [{ bind: '/host/run', from: '/run' }] }, /services .*\/host\/run$/m, /nothing/],
  [rootMode('CAP_SETUID'), /with CAP_SETUID it makes a file of root that is setuid in \/w/, /nothing/],
  [rootMode('CAP_CHOWN', 'CAP_FOWNER'), /with CAP_CHOWN and CAP_FOWNER it makes .* in \/w/, /nothing/],
  [rootMode('CAP_SETFCAP'), /with CAP_SETFCAP it makes a file with capabilities in \/w/, /nothing/],
  [{ ...system, seccomp: letting('fcntl') }, /files: a lease .* makes programs outside wait/, /files: no lease/],
  [{ ...system, seccomp: letting('io_setup') }, /may use up the AIO events/, /resources: no AIO/],
  [{ ...system, seccomp: letting('setrlimit') }, /a crash may run the host's handler/, /a crash runs no handler/],
  [{ ...system, rlimits: { core: 0 } }, /a crash may run the host's handler/, /a crash runs no handler/],
  [{ ...system, seccomp: 'nested' }, /user namespaces can be made inside/, /nothing/],
  [{ ...system, seccomp: letting('ioctl') }, /left so that no process can open it/, /can be used when it has ended/],
  [{ ...system, seccomp: letting('ioctl') }, /shows its devices and addresses/, /cannot be asked for that network's/],
  [
    { ...system, session: 'host' },
    /caller's session: it takes the terminal's foreground/,
    /terminal: a session of its own/,
  ],
  [
    { ...system, session: 'host', seccomp: letting('setpriority') },
    /change the priority of the caller's process group/,
    /terminal: a session of its own/,
  ],
  [
    { ...system, namespaces: { pid: 'host' }, seccomp: letting('prlimit64') },
    /limits, priority and processors of processes of the same user/,
    /processes: its own pid/,
  ],
  [
    { ...system, network: 'host', seccomp: letting('setsockopt') },
    /multicast groups can be joined/,
    /network: its own/,
  ],
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

test('a source that lies beneath a directory which it may not leave is no way elsewhere', () => {
  for (const entries of [
    [{ bind: '/d', from: '/srv/data/d', beneath: '/srv/data' }],
    [{ bind: '/usr' }],
  ] satisfies Policy['filesystem'][])
    assert.doesNotMatch(
      lines(security(planOf({ ...system, filesystem: entries })), 'open').join('\n'),
      /links on the way/,
    )
})

/** What no wall can keep out, or only one that programs of every day would miss: said of any policy, and in SECURITY.md. */
const open: readonly (readonly [explain: RegExp, document: RegExp])[] = [
  [/files: advisory locks/, /\*\*Locks\.\*\*/],
  [/files: inotify tells which files/, /inotify tells which files/],
  [/kernel: a handler that listens on a socket \(kernel\.core_pattern begins with @/, /the pattern begins with `@`/],
  [/kernel: where the caller's own hard limit of core is 0/, /the caller's own hard limit is 0/],
  [/privileges: supplementary groups/, /\*\*Supplementary groups/],
  [/terminal: what it writes to a terminal/, /\*\*What is written to a terminal\*\*/],
  [/terminal: of a terminal .* it reads what is typed/, /Of a terminal it reads what is typed/],
  [/resources: no limit .* inotify, queued signals, pipe buffers/, /inotify watches, queued signals, pipe buffers/],
  [/descriptors .*: the standard streams are .* \(lseek, ftruncate\)/, /\(lseek, ftruncate\)/],
]

test('what stays open is said of every policy, and in SECURITY.md', () => {
  const document = readFileSync(new URL('../../../SECURITY.md', import.meta.url), 'utf8').replace(/\s+/g, ' ')
  const rows = security(planOf({ ...system, filesystem: [{ bind: '/w', from: '/srv', writable: true }] }))
  const said = lines(rows, 'open').join('\n')
  for (const [line, sentence] of open) {
    assert.match(said, line)
    assert.match(document, sentence)
  }
  assert.match(lines(rows, 'stands').join('\n'), /cannot be opened again for more; a pipe or memfd can/)
  assert.match(document, /a pipe or a memfd can/)
})

test('where a namespace is shared, the filter is the wall, and said', () => {
  const stands = (policy: Policy) => lines(security(planOf({ ...system, ...policy })), 'stands').join('\n')
  assert.match(stands({ namespaces: { pid: 'host' } }), /limits, priority and processors of itself alone/)
  assert.match(stands({ network: 'host' }), /no multicast group/)
  const shared = stands({ session: 'host' })
  assert.match(shared, /the filter keeps it from typing/)
  assert.match(shared, /the filter keeps it from changing the priority of the caller's process group/)
})

test('/proc of a shared session is read-only: autogroup is the share of all of it', () => {
  const proc = (policy: Policy) =>
    planOf({ ...system, ...policy }).world.init.find((step) => step.do === 'mount' && step.type === 'proc')
  assert.equal((proc({}) as Step<'mount'>).flags.readonly, false)
  assert.equal((proc({ session: 'host' }) as Step<'mount'>).flags.readonly, true)
  assert.doesNotMatch(lines(security(planOf({ ...system, session: 'host' })), 'open').join('\n'), /autogroup/)
  const uncovered: Policy = { ...system, session: 'host', filesystem: [{ proc: '/proc', masked: false }] }
  assert.match(lines(security(planOf(uncovered)), 'open').join('\n'), /autogroup/)
})

// As the sentences have it; the accomplice is a user who runs the file.
test('capabilities of root mode, with a place to write, make a file of root outside', {
  skip: process.getuid?.() === 0 ? false : 'needs root',
}, () => {
  const root = callers.find(({ uid }) => uid === 0)!
  const made = (code: string, ...capabilities: NonNullable<Policy['capabilities']>) => {
    const directory = workDirectory(root, `accomplice/${capabilities.join('-') || 'none'}`)
    chmodSync(directory, 0o777)
    const policy: Policy = {
      ...rootMode(...capabilities),
      filesystem: [{ bind: '/w', from: directory, writable: true }],
    }
    const { error, stderr } = runAs(root, policy, 'python3', ['-c', `import os\nopen('/w/x', 'w').close()\n${code}`])
    const file = statSync(join(directory, 'x'))
    const capability = spawnSync('getcap', [join(directory, 'x')], { encoding: 'utf8' }).stdout
    return {
      uid: file.uid,
      setuid: (file.mode & 0o4000) !== 0,
      capability: /cap_\w+/.exec(capability)?.[0],
      error,
      stderr,
    }
  }
  const setuid = "os.setuid(0); os.unlink('/w/x'); open('/w/x', 'w').close(); os.chmod('/w/x', 0o4755)"
  const owner = "os.chown('/w/x', 0, 0); os.chmod('/w/x', 0o4755)"
  // VFS_CAP_REVISION_2 with CAP_SETUID, effective: linux/capability.h.
  const capability =
    "os.setxattr('/w/x', 'security.capability', bytes.fromhex('0100000280000000000000000000000000000000'))"
  const isRoots = ({ uid, setuid }: ReturnType<typeof made>) => uid === 0 && setuid
  for (const found of [made(setuid, 'CAP_SETUID'), made(owner, 'CAP_CHOWN', 'CAP_FOWNER')])
    assert.ok(isRoots(found), found.error ?? found.stderr)
  const capable = made(capability, 'CAP_SETFCAP')
  assert.equal(capable.capability, 'cap_setuid', capable.error ?? capable.stderr)
  for (const code of [setuid, owner, capability]) {
    const found = made(code)
    assert.ok(!isRoots(found) && found.capability === undefined)
  }
})

test('what stands goes when its step goes', () => {
  const plan = planOf({ ...system, disableUserns: true })
  const kinds = [
    'pivot',
    'newUser',
    'closeFds',
    'refuseDirectories',
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
    const less = withSteps(plan, (step) => (step.do === kind ? [] : [step]))
    const left = lines(security(less), 'stands')
    assert.ok(
      all.some((line) => !left.includes(line)),
      kind,
    )
  }
})

test('a filter and limits that are there are said', () => {
  const plan = planOf(system)
  const { program } = compileSeccomp('strict', { architecture: hostArchitecture(), kernel: '6.18.0' })!
  const filter: Step = { do: 'filter', program, flags: 0, what: 'filter system calls by the profile x', why: '' }
  const by = 'cgroup v2'
  const limits = ['memory', 'pids', 'cpuTime', 'wallTime', 'io'].map((name) => ({ name, value: '64', by }))
  const rows = security(
    withSteps(plan, (step) => (step.do === 'filter' ? [filter] : [step])),
    { limits },
  )
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
  const caller = user
  const file = join(workDirectory(caller!, 'explain'), 'policy.json')
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
