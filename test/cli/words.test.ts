/** Faults are said in the words of what was typed: flags to the command, keys to the library and to those who wrote a policy file. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { commands } from '../../src/cli/commands.js'
import { policyOptions, runOptions } from '../../src/cli/policyFlags.js'
import { type LimitFlag, type LimitUnit, limitRows } from '../../src/policy/limitRows.js'
import { evaluate } from '../support/evaluate.js'
import { user, vial, workDirectory } from '../support/user.js'

const caller = user
const cwd = workDirectory(caller, 'words')
const at = (name: string) => join(cwd, name)
mkdirSync(at('writable/part'), { recursive: true })
mkdirSync(at('other'), { recursive: true })
const file = (name: string, text: string, mode = 0o644) => {
  writeFileSync(at(name), text)
  chmodSync(at(name), mode)
  if (process.getuid!() === 0) chownSync(at(name), caller.uid, caller.gid)
  return at(name)
}
const text = file('text', 'no program')
const inner = file('inner', '#!/bin/sh\n', 0o700)
const script = file('script', `#!${inner}\n`, 0o755)
const wrongRule = file('wrong-rule', '{"default":"allow","rules":[{"calls":["raed"],"do":"allow"}]}')
const nothing = file('nothing', '{"default":{"errno":"EPERM"},"rules":[]}')
const typing = file('typing', '{"default":"allow","rules":[]}')

interface Fault {
  readonly option: string
  readonly flags: readonly string[]
  /** The same as a policy. */
  readonly policy: unknown
  /** What the command says, and the library. */
  readonly command: RegExp
  readonly library: RegExp
}
const fault = (option: string, flags: readonly string[], command: RegExp, policy: unknown, library: RegExp): Fault => ({
  option,
  flags,
  policy,
  command,
  library,
})
const limit = (option: string, value: string, words: string, key: string, policyValue: unknown) =>
  fault(
    option,
    [`--${option}`, value],
    new RegExp(`^vial: --${option} ${value}: ${words}`),
    { limits: { [key]: policyValue } },
    new RegExp(`^limits\\.${key}: ${words}`),
  )
/** Where there is no cgroup. */
const noGroup = (option: string, value: string, key: string, policyValue: unknown) =>
  fault(
    option,
    [`--${option}`, value],
    new RegExp(`^vial: cannot enforce --${option}: .*\\n(.*\\n)* +or with --limits-optional an rlimit`),
    { limits: { [key]: policyValue } },
    new RegExp(`^cannot enforce limits\\.${key}: .*\\n(.*\\n)* +or with limits\\.required: false an rlimit`),
  )
const show = (...filesystem: object[]) => ({ preset: 'system', filesystem })

const faults: readonly Fault[] = [
  limit('memory', '0', 'must not be 0', 'memory', 0),
  noGroup('memory', '64M', 'memory', '64M'),
  limit('pids', '0', 'must be at least 1', 'pids', 0),
  limit('pids', '-1', 'must be at least 1', 'pids', -1),
  noGroup('pids', '9', 'pids', 9),
  limit('cpus', '0', 'must be at least 0\\.01', 'cpu', 0),
  limit('cpus', '20000', 'must be at most 10000 cores', 'cpu', 20000),
  noGroup('cpus', '0.5', 'cpu', 0.5),
  limit('cpu-time', '0', 'must be at least a millisecond', 'cpuTime', 0),
  noGroup('cpu-time', '1s', 'cpuTime', '1s'),
  limit('wall-time', '0', 'must be at least a millisecond', 'wallTime', 0),
  limit('wall-time', '900000h', 'must be at most a hundred years', 'wallTime', '900000h'),
  limit('disk', '0', 'must not be 0', 'disk', 0),
  limit('file-size', '1X', 'must be a size', 'fileSize', '1X'),
  limit('output', '1X', 'must be a size', 'output', '1X'),
  fault('preset', ['--preset', 'sytem'], /^vial: --preset sytem: must be/, { preset: 'sytem' }, /^preset: must be/),
  fault(
    'fill',
    ['--fill', 'sh', '--fill', 'no-such'],
    /^vial: --fill.*: "no-such" was not found/,
    { fill: { program: ['sh', 'no-such'] } },
    /^fill\.program: "no-such" was not found/,
  ),
  fault(
    'fill',
    ['--fill', text],
    /^vial: --fill \S+text: "\S+text" is not an executable file/,
    { fill: { program: text } },
    /^fill\.program: /,
  ),
  fault(
    'fill',
    ['--fill', script],
    /^vial: --fill.*name it by --fill too/,
    { fill: { program: script } },
    /^fill\.program: .*name it by fill\.program too/,
  ),
  fault(
    'fill',
    ['--fill', 'sh', '--ro', '/'],
    /^vial: --ro \/: "\/" shows everything, and --fill only/,
    { fill: { program: 'sh' }, filesystem: [{ bind: '/' }] },
    /^filesystem\[0\]\.bind: "\/" shows everything, and fill only/,
  ),
  fault(
    'ro',
    ['--ro', '/usr/share', '--ro', '/'],
    /^vial: --ro \/: "\/" hides all/,
    show({ bind: '/usr/share' }, { bind: '/' }),
    /^filesystem\[1\]\.bind: "\/" hides all/,
  ),
  fault(
    'ro',
    ['--ro', at('writable/part'), '--rw', at('writable')],
    /^vial: --ro \S+part: is hidden whole by --rw \S+writable \(/,
    show({ bind: at('writable/part') }, { bind: at('writable'), writable: true }),
    /^filesystem\[0\]\.bind: is hidden whole by filesystem\[1\]\.bind \(/,
  ),
  fault(
    'rw',
    ['--rw', `${at('writable')}:/w`, '--ro', at('writable/part')],
    /^vial: --ro \S+part: --rw \S+:\/w leaves it writable at \/w\/part: write --ro \S+part:\/w\/part behind that, or --ro \S+ if/,
    show({ bind: '/w', from: at('writable'), writable: true }, { bind: at('writable/part') }),
    /^filesystem\[1\]\.bind: filesystem\[0\] leaves it writable at \/w\/part: write \{"bind":"\/w\/part","from":"\S+"\} behind/,
  ),
  fault(
    'tmpfs',
    ['--tmpfs', 'x'],
    /^vial: --tmpfs x: must be an absolute/,
    show({ tmpfs: 'x' }),
    /^filesystem\[0\]\.tmpfs: must be/,
  ),
  fault(
    'tmpfs',
    ['--tmpfs', '/a/..'],
    /^vial: --tmpfs \/a\/\.\.: must/,
    show({ tmpfs: '/a/..' }),
    /^filesystem\[0\]\.tmpfs: must/,
  ),
  fault(
    'tmpfs',
    ['--tmpfs', '/x:0'],
    /^vial: --tmpfs \/x:0: must not be 0/,
    show({ tmpfs: '/x', size: 0 }),
    /^filesystem\[0\]\.size: must not be 0/,
  ),
  fault(
    'tmpfs',
    ['--tmpfs', '/'],
    /^vial: --tmpfs \/: "\/" is the root/,
    show({ tmpfs: '/' }),
    /^filesystem\[0\]\.tmpfs: "\/" is the/,
  ),
  fault(
    'env',
    ['--env', 'A=1', '--env', '=x'],
    /^vial: --env =x: must be/,
    { env: { set: { '': 'x' } } },
    /^env\.set\[""\]: must be/,
  ),
  fault('network', ['--network', 'hots'], /^vial: --network hots: must be/, { network: 'hots' }, /^network: must be/),
  fault(
    'allow',
    ['--allow', 'web'],
    /^vial: --allow web: must be/,
    { network: { allow: ['web'] } },
    /^network\.allow\[0\]: must be/,
  ),
  fault(
    'deny',
    ['--deny', 'web'],
    /^vial: --deny web: must be/,
    { network: { deny: ['web'] } },
    /^network\.deny\[0\]: must be/,
  ),
  fault(
    'proxy',
    ['--proxy', '70000'],
    /^vial: --proxy 70000: must be a port/,
    { network: { proxy: 70000 } },
    /^network\.proxy: must be a port/,
  ),
  fault(
    'inspect',
    ['--inspect', 'web'],
    /^vial: --inspect web: must be/,
    { network: { inspect: ['web'] } },
    /^network\.inspect\[0\]: must be/,
  ),
  fault(
    'secret',
    ['--secret', 'KEY@a.example.com:443'],
    /^vial: --secret KEY@a\.example\.com:443: needs --inspect/,
    { network: { secrets: [{ env: 'KEY', for: 'a.example.com:443' }] } },
    /^network\.secrets\[0\]\.for: needs network\.inspect/,
  ),
  fault(
    'request',
    ['--request', 'GET /v1'],
    /^vial: --request GET \/v1: must be METHOD URL/,
    { network: { requests: ['GET /v1'] } },
    /^network\.requests\[0\]: must be METHOD URL/,
  ),
  fault(
    'publish',
    ['--publish', 'web'],
    /^vial: --publish web: must be/,
    { network: { publish: ['web'] } },
    /^network\.publish\[0\]: must be/,
  ),
  fault(
    'hostname',
    ['--hostname', 'a b'],
    /^vial: --hostname a b: must have/,
    { hostname: 'a b' },
    /^hostname: must have/,
  ),
  fault('cwd', ['--cwd', 'x'], /^vial: --cwd x: must be/, { cwd: 'x' }, /^cwd: must be/),
  fault(
    'cwd',
    ['--cwd', '/absent'],
    /^vial: cannot enter the working \w+ \/absent: .*\n +--cwd is not visible inside/,
    { preset: 'system', cwd: '/absent' },
    /^cannot enter the working \w+ \/absent: .*\n +cwd is not visible inside/,
  ),
  fault(
    'cwd',
    ['--cwd', '/etc/passwd'],
    /^vial: cannot enter the working .*\n +--cwd is no/,
    { preset: 'system', cwd: '/etc/passwd' },
    /^cannot enter the working .*\n +cwd is no/,
  ),
  fault(
    'uid',
    ['--uid', '-1'],
    /^vial: --uid -1: must not be negative/,
    { identity: { uid: -1 } },
    /^identity\.uid: must not/,
  ),
  fault(
    'gid',
    ['--gid', '4294967295'],
    /^vial: --gid 4294967295: is too/,
    { identity: { gid: 2 ** 32 - 1 } },
    /^identity\.gid: is too/,
  ),
  fault(
    'share-session',
    ['--share-session', '--seccomp', 'none'],
    /^vial: --seccomp none: must refuse .* beside --share-session: /,
    { session: 'host', seccomp: 'none' },
    /^seccomp: must refuse .* beside session: "host": /,
  ),
  fault(
    'seccomp',
    ['--share-session', '--seccomp', typing],
    /^vial: --seccomp \S+typing: must refuse .* beside --share-session: /,
    { session: 'host', seccomp: { default: 'allow', rules: [] } },
    /^seccomp: must refuse/,
  ),
  fault(
    'seccomp',
    ['--seccomp', wrongRule],
    /^vial: --seccomp \S+wrong-rule: rules\[0\]\.calls\[0\]: is not a system call/,
    { seccomp: { default: 'allow', rules: [{ calls: ['raed'], do: 'allow' }] } },
    /^seccomp\.rules\[0\]\.calls\[0\]: is not a system call/,
  ),
  fault(
    'seccomp',
    ['--seccomp', nothing],
    /^vial: --seccomp \S+nothing: refuses execve/,
    { seccomp: { default: { errno: 'EPERM' }, rules: [] } },
    /^seccomp: refuses execve/,
  ),
  ...(caller.uid === 0
    ? []
    : [
        fault(
          'root',
          ['--root'],
          /^vial: cannot .*\n +(root mode \(--root\) needs|forbidden here|refused here)/,
          { preset: 'system', namespaces: { user: 'host' } },
          /^cannot .*\n +(root mode \(namespaces\.user: "host"\) needs|forbidden here|refused here)/,
        ),
      ]),
]

/** Of a limit, the flag itself has no fault of its own. */
const faultless = ['limits-optional']

const flagNames = new Set(commands.flatMap(({ options }) => options.map(({ name }) => `--${name}`)))
const flagsIn = (words: string) => (words.match(/--[a-z][\w-]*/g) ?? []).filter((one) => flagNames.has(one))

/** Keys by their paths, names that only keys have, and keys with a value. */
const keys =
  /\b(limits|namespaces|identity|rlimits|env|fill|filesystem|seccomp)(\.[a-z]|\[)|\b(dieWithParent|disableUserns|memoryHigh|cpuTime|wallTime|fileSize|openFiles|cpuWeight|ioWeight)\b|\b(optional|recursive|mount|masked|beneath|landlock|session|init|proc|required|user)"?: ?(true|false|["{[\d])/
const withoutPaths = (words: string) => words.replaceAll(cwd, 'HERE')

describe('each fault of each flag', () => {
  for (const { option, flags, command } of faults)
    test(flags.join(' ').replaceAll(cwd, '.'), () => {
      const env = { VIAL_CGROUP: '/nonexistent' }
      const { status, stderr } = vial(caller, ['run', ...flags, '--', 'true'], { cwd, env })
      assert.equal(status, 125, stderr)
      assert.match(stderr, command)
      assert.doesNotMatch(withoutPaths(stderr), keys)
      // The options of the other commands, and what they say, are the same.
      if (!policyOptions.some(({ name }) => name === option) || /^vial: cannot e/.test(stderr)) return
      const explained = vial(caller, ['explain', ...flags, '--', 'true'], { cwd, env })
      if (explained.status !== 0) assert.match(explained.stderr, command)
    })

  test('is here', () => {
    const setting = runOptions.filter((one) => 'sets' in one).map(({ name }) => name)
    // Of the limits one of each unit is enough: their words follow from it.
    const unitOf = new Map(
      Object.values<{ readonly unit: LimitUnit; readonly flag?: LimitFlag }>(limitRows).map(({ unit, flag }) => [
        flag?.name,
        unit,
      ]),
    )
    const told = new Set([...faults.map(({ option }) => option), ...faultless, ...(caller.uid === 0 ? ['root'] : [])])
    assert.deepEqual(
      setting.filter(
        (name) => !told.has(name) && ![...told].some((one) => unitOf.get(one) === (unitOf.get(name) ?? name)),
      ),
      [],
    )
  })
})

test('the library says the same of keys', async () => {
  const before = process.env.VIAL_CGROUP
  process.env.VIAL_CGROUP = '/nonexistent'
  const told = await evaluate(
    caller,
    async ({ sandbox }, policies) => {
      const told: string[] = []
      process.env.VIAL_CGROUP = '/nonexistent'
      for (const policy of policies)
        told.push(
          await sandbox(policy as never)
            .run('true')
            .then(
              () => 'it ran',
              (error) => (error as Error).message,
            ),
        )
      return told
    },
    faults.map(({ policy }) => policy),
  )
  if (before === undefined) delete process.env.VIAL_CGROUP
  else process.env.VIAL_CGROUP = before
  for (const [index, message] of told.entries()) {
    const { library } = faults[index]!
    assert.match(message, library)
    assert.deepEqual(flagsIn(message), [], message)
  }
})

test('to those who wrote a policy file, the command says it of keys', () => {
  for (const { policy, library, option } of faults) {
    if (option === 'output') continue
    const path = file('policy.json', JSON.stringify(policy))
    const { stderr, status } = vial(caller, ['run', '--policy', path, '--', 'true'], {
      cwd,
      env: { VIAL_CGROUP: '/nonexistent' },
    })
    assert.equal(status, 125, JSON.stringify(policy))
    const plain = stderr
      .replace(/^vial: /, '')
      .replaceAll(` of ${path}`, '')
      .replaceAll(` in ${path}`, '')
      .replaceAll(`${path}: `, '')
    assert.match(plain, library)
    assert.deepEqual(flagsIn(stderr), [], stderr)
  }
})

const mixed: readonly (readonly [policy: object, flags: readonly string[], words: string])[] = [
  [
    { namespaces: { net: 'host' } },
    ['--network', 'private'],
    '--network private: "private" contradicts namespaces.net of FILE\n',
  ],
  [
    { namespaces: { net: 'new' } },
    ['--network', 'host'],
    '--network host: "host" contradicts namespaces.net of FILE\n',
  ],
  [
    { limits: { memoryHigh: '64M' } },
    ['--memory', '32M'],
    'FILE: limits.memoryHigh: must be below --memory, or it has no effect\n',
  ],
  [
    { limits: { memory: '32M' } },
    ['--pids', '5'],
    'cannot enforce limits.memory of FILE, --pids: VIAL_CGROUP is /nonexistent\n',
  ],
  [
    { rlimits: { fsize: 5 } },
    ['--file-size', '1M'],
    '--file-size 1M: says the same as rlimits.fsize of FILE; leave one of them out\n',
  ],
  [
    { identity: { ranges: { uids: [{ inside: 5, outside: 100000, count: 1 }], gids: [] } } },
    ['--root'],
    'FILE: identity.ranges: needs --root to be left out\n',
  ],
  [{ namespaces: { uts: 'host' } }, ['--hostname', 'x'], '--hostname x: needs namespaces.uts: "new" in FILE\n'],
  [{ namespaces: { mount: 'host' } }, ['--ro', '/usr'], '--ro /usr: needs namespaces.mount: "new" in FILE\n'],
  [
    { namespaces: { mount: 'host' } },
    ['--preset', 'system'],
    '--preset system: needs namespaces.mount: "new" in FILE\n',
  ],
  [
    { session: 'host' },
    ['--seccomp', 'none'],
    '--seccomp none: must refuse the ioctls TIOCSTI and TIOCLINUX beside session: "host" in FILE: the payload could type into the terminal\n',
  ],
  [
    { preset: 'system', filesystem: [{ bind: '/usr/share' }] },
    ['--tmpfs', '/usr'],
    'FILE: filesystem[0].bind: is hidden whole by --tmpfs /usr (/usr), which comes later\n',
  ],
]

describe('flags and a policy file: each is named by where it came from', () => {
  for (const [policy, flags, words] of mixed)
    test(flags.join(' '), () => {
      const path = file('mixed.json', JSON.stringify(policy))
      const { stderr, status } = vial(caller, ['run', '--policy', path, ...flags, '--', 'true'], {
        cwd,
        env: { VIAL_CGROUP: '/nonexistent' },
      })
      assert.equal(status, 125)
      const said = stderr.replaceAll(path, 'FILE')
      assert.ok(said.startsWith(`vial: ${words}`), said)
    })

  test('what is to be done is said where the limits are', () => {
    const env = { VIAL_CGROUP: '/nonexistent' }
    const path = file('limited.json', '{"limits":{"memory":"64M"}}')
    const said = (...flags: string[]) =>
      vial(caller, ['run', '--policy', path, ...flags, '--', 'true'], { cwd, env }).stderr
    assert.match(said(), / or with limits\.required: false in \S+limited\.json an rlimit/)
    assert.match(said('--pids', '5'), / or with --limits-optional an rlimit/)
  })
})

test('a vial that is compiled has no cgroup, and the flag is named', () => {
  const said = (...flags: string[]) => vial(caller, ['compile', '-o', at('vial'), ...flags], { cwd }).stderr
  assert.match(
    said('--memory', '64M'),
    /^vial: --memory 64M: a vial by itself makes no cgroup\n.* or with --limits-optional /,
  )
  const path = file('compiled.json', '{"limits":{"memory":"64M"}}')
  assert.match(
    said('--policy', path),
    /^vial: \S+compiled\.json: limits\.memory: a vial by itself .*\n.* or with limits\.required: false in \S+ /,
  )
})

test('the table of a report names its limits so, too', () => {
  const report = (...flags: string[]) =>
    vial(caller, ['run', '--report', 'table', ...flags, '--wall-time', '20s', '--', 'true'], { cwd }).stderr
  assert.match(report('--file-size', '1M'), /^--file-size +rlimit of each process\n/m)
  assert.match(report(), /^--wall-time +timer$/m)
  assert.doesNotMatch(report(), keys)
  const path = file('reported.json', '{"preset":"system","limits":{"fileSize":"1M"}}')
  assert.match(report('--policy', path), /^limits\.fileSize of \S+ +rlimit of each process\n/m)
})

test('a descriptor that the command has not is a fault of the policy', () => {
  const path = file('descriptor.json', '{"preset":"system","filesystem":[{"bind":"/x","fd":5}]}')
  const { status, stderr } = vial(caller, ['run', '--policy', path, '--', 'true'], { cwd })
  assert.equal(status, 125)
  assert.match(stderr, /^vial: \S+descriptor\.json: filesystem\[0\]\.fd: "vial run" hands on standard input/)
})

describe('a policy from <(…) is read once', () => {
  const main = resolve(fileURLToPath(import.meta.url), '../../../src/cli/main.cjs')
  const shell = (policy: object, line: string) =>
    spawnSync(
      'bash',
      [
        '-c',
        `vial() { "${process.execPath}" "${main}" "$@"; }; policy() { echo '${JSON.stringify(policy)}'; }; ${line}`,
      ],
      {
        cwd,
        encoding: 'utf8',
        timeout: 30_000,
        killSignal: 'SIGKILL',
        env: { PATH: process.env.PATH, HOME: cwd, VIAL_CGROUP: '/nonexistent' },
        ...(process.getuid!() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
      },
    )
  const named = { preset: 'system', hostname: 'from-a-pipe' }
  for (const [line, said] of [
    ['vial run --policy <(policy) -- hostname', /^from-a-pipe$/m],
    ['vial run --policy <(policy) --limits-optional --memory 1G -- hostname', /^from-a-pipe$/m],
    ['vial explain --policy <(policy)', /set the host name from-a-pipe/],
    ['vial explain <(policy) -- ls -l', /set the host name from-a-pipe[\s\S]* run ls -l /],
    ['vial explain --memory 1G <(policy)', /vial run would fail here: cannot enforce --memory: /],
    ['vial explain --security <(policy)', /^files$/m],
    ['vial compile --policy <(policy) -o one && ./one hostname', /^from-a-pipe$/m],
    ['vial compile <(policy) -o another && ./another hostname', /^from-a-pipe$/m],
  ] as const)
    test(line, () => {
      const { status, stdout, stderr } = shell(named, line)
      assert.equal(status, 0, stderr)
      assert.match(stdout, said)
    })

  for (const line of ['vial run --policy <(policy) -- true', 'vial explain <(policy)', 'vial compile -o no <(policy)'])
    test(`and its faults are told: ${line}`, () => {
      const { status, stderr } = shell({ cwd: 'x' }, line)
      assert.deepEqual([status, stderr], [125, 'vial: the policy: cwd: must be an absolute path inside the sandbox\n'])
    })

  test('as are those that only a run shows', () => {
    const { status, stderr } = shell({ preset: 'system', cwd: '/absent' }, 'vial run --policy <(policy) -- true')
    assert.equal(status, 125)
    assert.match(stderr, /\n +cwd of the policy is not visible inside/)
  })
})

test('so does the line about a limit of a process that ended the command', () => {
  const said = (...flags: string[]) =>
    vial(caller, ['run', ...flags, '--', 'sh', '-c', 'exec head -c 9000 /dev/zero > /tmp/f'], { cwd }).stderr
  assert.equal(said('--file-size', '100'), 'vial: ended by the limit: size of a file, --file-size\n')
  const path = file('ended.json', '{"preset":"system","limits":{"fileSize":100}}')
  assert.equal(said('--policy', path), `vial: ended by the limit: size of a file, limits.fileSize of ${path}\n`)
})
