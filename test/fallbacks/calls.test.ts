/**
 * Every system call that a vial makes, taken away, one at a time and in one of the ways that hosts have, or both by `npm run stress`: the sandbox is made
 * another way, or the error names the call; and the question that doctor asks finds that call and no other.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { compile } from '../../src/compile/compile.js'
import { calls, type NeededCall, type RefusedCall, refusedCalls } from '../../src/host/calls.js'
import { hostArchitecture } from '../../src/host/thisHost.js'
import type { Policy } from '../../src/index.js'
import { type ErrnoName, errno, errnoMessage } from '../../src/kernel/errno.js'
import type { SyscallName } from '../../src/kernel/syscalls.js'
import { launch } from '../../src/launcher/launch.js'
import { isTried } from '../support/share.js'
import { ordinary, workDirectory } from '../support/user.js'
import { without } from './without.js'

const main = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))
const library = new URL('../../src/host/calls.js', import.meta.url).href

type Answer = ErrnoName
const answers: readonly Answer[] = ['ENOSYS', 'EPERM']

/** What becomes of `vial run -- echo made`: with any other call it is not made, and the error names the call. */
const made: Partial<Record<NeededCall, readonly Answer[]>> = {
  ppoll: answers,
  setpgid: answers,
  kill: answers,
  pidfd_send_signal: answers,
  timer_create: answers,
  timer_settime: answers,
  clone3: answers,
  setdomainname: answers,
  mount: answers,
  openat2: answers,
  fchmodat: answers,
  unlinkat: answers,
  fchown: answers,
  fstatfs: answers,
  capget: answers,
  memfd_create: answers,
  sendfile: answers,
  execveat: answers,
  setresuid: answers,
  setresgid: answers,
  keyctl: answers,
  landlock_create_ruleset: answers,
  // As for a caller whose own hard limits are lower, or who keeps its groups.
  prlimit64: ['EPERM'],
  setgroups: ['EPERM'],
}

/** Without them there is no Node that works; a vial by itself ends, at least. */
const nodeNeeds: Partial<Record<NeededCall, readonly Answer[]>> = {
  eventfd2: answers,
  wait4: answers,
  geteuid: answers,
  clone3: ['EPERM'],
}

const namesOf = (refused: readonly RefusedCall[]) => refused.map((one) => `${one.call} ${one.answer}`)
/** Around this process there may be a filter, as inside a vial. */
const refusedAnyway = namesOf(refusedCalls())

const home = workDirectory(ordinary, 'calls')
function run(call: NeededCall, answer: Answer, command: string, args: readonly string[]) {
  return spawnSync(without([call], answer), [command, ...args], {
    encoding: 'utf8',
    cwd: home,
    env: { PATH: process.env.PATH, HOME: home },
    timeout: 20_000,
    killSignal: 'SIGKILL',
    ...(process.getuid?.() === 0 ? { uid: ordinary.uid, gid: ordinary.gid } : {}),
  })
}

const vial = join(home, 'vial')
writeFileSync(vial, compile({ preset: 'system' }).bytes)
chmodSync(vial, 0o755)

describe('a call that is taken away', () => {
  for (const [index, call] of (Object.keys(calls) as NeededCall[]).entries()) {
    for (const answer of answers.filter((_, way) => isTried(index, way))) {
      const works = made[call]?.includes(answer) ?? false
      const node = nodeNeeds[call]?.includes(answer) ?? false
      if (node) {
        test(`${call}, ${answer}: a vial by itself ends`, () => {
          const { status, signal } = run(call, answer, vial, ['/bin/true'])
          assert.deepEqual([status, signal], [works ? 0 : 125, null])
        })
        continue
      }

      test(`${call}, ${answer}: ${works ? 'it is made' : 'the error names it'}`, () => {
        const { status, stdout, stderr } = run(call, answer, process.execPath, [main, 'run', '--', 'echo', 'made'])
        if (works) assert.deepEqual([status, stdout, stderr], [0, 'made\n', ''])
        else {
          assert.equal(status, 125, stderr)
          assert.match(
            stderr,
            new RegExp(`^vial: cannot .*\n *refused here: .*\\b${call}\\b.* \\(${answer}\\).*; by .*systemd`),
          )
        }
      })

      test(`${call}, ${answer}: doctor names it, and no other`, () => {
        const code = `const { refusedCalls } = await import(${JSON.stringify(library)}); console.log(JSON.stringify(refusedCalls()))`
        const { stdout, stderr } = run(call, answer, process.execPath, ['--input-type=module', '-e', code])
        assert.equal(stderr, '')
        const found = namesOf(JSON.parse(stdout)).filter((name) => !refusedAnyway.includes(name))
        const name = `${call} ${answer}`
        // Permission is looked at first there, and an ordinary user has none.
        const hidden = refusedAnyway.includes(name) || (call === 'setgroups' && answer === 'EPERM')
        assert.deepEqual(found, hidden ? [] : [name])
      })
    }
  }
})

test('a call of one step is not named for another', () => {
  const policy = join(home, 'limits.json')
  writeFileSync(policy, JSON.stringify({ preset: 'system', rlimits: { nofile: 2 ** 40 } }), { mode: 0o644 })
  for (const call of ['keyctl', 'landlock_create_ruleset'] as const) {
    const { status, stderr } = run(call, 'EPERM', process.execPath, [main, 'run', '--policy', policy, '--', 'true'])
    assert.equal(status, 125)
    assert.match(stderr, /^vial: cannot limit nofile to .*\n *a hard limit cannot be raised/)
  }
})

for (const name of ['EPERM', 'ENOSYS', 'ELOOP', 'EOPNOTSUPP', 'EDQUOT', 'EUSERS', 'EBADFD'] as const) {
  test(`a vial by itself says ${name}`, () => {
    const { status, stderr } = run('fsopen', name, vial, ['/bin/true'])
    const spelled = !['EUSERS', 'EBADFD'].includes(name)
    assert.equal(status, 125)
    assert.equal(
      stderr.split('\n')[0],
      `vial: cannot make an empty root: ${spelled ? errnoMessage(errno[name]) : `error ${errno[name]}`}`,
    )
  })
}

/** Without these no program runs, Node neither. */
const everyProgram: readonly SyscallName[] = [
  'close',
  'dup3',
  'execve',
  'exit_group',
  'fcntl',
  'getcwd',
  'getpid',
  'ioctl',
  'lseek',
  'mmap',
  'openat',
  'pipe2',
  'pread64',
  'read',
  'readlinkat',
  'rt_sigaction',
  'rt_sigprocmask',
  'umask',
  'write',
]

test('the table has every call that a vial makes', () => {
  const policies: readonly Policy[] = [
    {},
    { preset: 'system', limits: { wallTime: '1s' } },
    {
      preset: 'system',
      filesystem: [
        { bind: '/f', from: '/tmp', writable: true },
        { bind: '/f/x', from: '/etc', optional: true },
        { file: '/f/y', content: 'x', owner: { uid: 0 } },
        { file: '/m', content: 'x', mount: 'readonly' },
        { overlay: '/o', lower: ['/usr'], upper: 'tmpfs' },
        { directory: '/d', mode: 0o4755 },
        { chmod: '/d', mode: 0o700 },
        { readonly: '/d' },
      ],
      namespaces: { time: { boottime: 1 } },
    },
    { preset: 'system', namespaces: { user: 'host' }, identity: { uid: 1, gid: 1 } },
  ]
  for (const policy of policies)
    for (const options of [{}, { descriptors: { status: 1 } }]) {
      const { program } = launch(compile(policy as never, options).plan, hostArchitecture())
      const emitted = program.instructions.flatMap((one) => (one.op === 'syscall' ? [one.name] : []))
      assert.deepEqual(
        [...new Set(emitted)].filter((name) => !(name in calls) && !everyProgram.includes(name)),
        [],
      )
    }
})
