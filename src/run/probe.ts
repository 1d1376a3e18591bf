/** What this kernel allows the caller: each question is a tiny generated executable whose exit status is the errno. */
import { spawnSync } from 'node:child_process'
import { AT, CLONE, FSOPEN, OPEN_TREE } from '../kernel/flags.js'
import { errnoMessage, errnoName } from '../kernel/errno.js'
import { assemble } from '../machine/assemble.js'
import { Builder } from '../machine/builder.js'
import { storeVial } from './cache.js'
import { hostArchitecture } from './compile.js'

export interface Probe {
  readonly name: string
  readonly works: boolean
  /** The errno in words when it does not. */
  readonly error?: string
  readonly remedy?: string
}

type Code = (
  must: (...call: Parameters<Builder['syscall']> extends [unknown, ...infer Rest] ? Rest : never) => void,
  b: Builder,
) => void

const unshare =
  (flags: number): Code =>
  (must) =>
    must('unshare', flags)

/** Everything that is asked: name, code, what to do when it fails. */
const questions: readonly (readonly [string, Code, string])[] = [
  [
    'user namespace',
    unshare(CLONE.NEWUSER),
    'sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces=10000',
  ],
  ...(
    [
      ['mount namespace', CLONE.NEWNS],
      ['pid namespace', CLONE.NEWPID],
      ['net namespace', CLONE.NEWNET],
      ['ipc namespace', CLONE.NEWIPC],
      ['uts namespace', CLONE.NEWUTS],
      ['cgroup namespace', CLONE.NEWCGROUP],
      ['time namespace', CLONE.NEWTIME],
    ] as const
  ).map(
    ([name, flag]) =>
      [
        name,
        unshare(CLONE.NEWUSER | flag),
        `sysctl user.max_${name.split(' ')[0] === 'mount' ? 'mnt' : name.split(' ')[0]}_namespaces`,
      ] as const,
  ),
  [
    'mount API (fsopen, open_tree)',
    (must, b) => {
      must('unshare', CLONE.NEWUSER | CLONE.NEWNS)
      must('fsopen', b.text('tmpfs'), FSOPEN.CLOEXEC)
      must('open_tree', AT.FDCWD, b.text('/'), OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT.RECURSIVE)
    },
    'Linux 5.12 or newer',
  ],
  [
    'overlay in a user namespace',
    (must, b) => {
      must('unshare', CLONE.NEWUSER | CLONE.NEWNS)
      must('fsopen', b.text('overlay'), FSOPEN.CLOEXEC)
    },
    'Linux 5.11 or newer, and: modprobe overlay',
  ],
  // landlock_create_ruleset(2) with LANDLOCK_CREATE_RULESET_VERSION answers the ABI.
  ['landlock', (must) => must('landlock_create_ruleset', 0, 0, 1), 'boot with lsm=…,landlock'],
]

export function probeAll(): Probe[] {
  return questions.map(([name, code, remedy]) => {
    const b = new Builder()
    const result = b.slot('result')
    b.entry(b.slot('stack'))
    code((call, ...args) => {
      b.syscall(result, call, ...args)
      b.when(result, 'ge', -4095, () => {
        b.compute(result, 0, 'sub', result)
        b.syscall(result, 'exit_group', result)
      })
    }, b)
    b.syscall(result, 'exit_group', 0)
    const { status } = spawnSync(storeVial(assemble(b.finish(), hostArchitecture())), { stdio: 'ignore' })
    if (status === 0) return { name, works: true }
    return {
      name,
      works: false,
      error: status === null ? 'killed' : `${errnoName(status) ?? status}: ${errnoMessage(status)}`,
      remedy,
    }
  })
}
