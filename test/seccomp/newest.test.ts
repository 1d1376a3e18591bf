/** Every call since Linux 5.1 is let through or refused on purpose, by each profile: one that is not judged here fails. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { abiFacts } from '../../src/kernel/abis.js'
import { architectures } from '../../src/kernel/architecture.js'
import { syscallNumbers } from '../../src/kernel/syscalls.js'
import { compileSeccomp } from '../../src/seccomp/compileProfile.js'
import { decide, readProgram } from './interpreter.js'
import { returns } from './naive.js'

type Answer = 'allow' | 'EPERM' | 'ENOSYS'
const values: Readonly<Record<Answer, number>> = {
  allow: returns.allow,
  EPERM: returns.errno + 1,
  ENOSYS: returns.errno + 38,
}

/** From here on all architectures give a call the same number. */
const first = 424

/** By name: what `default`, `strict` and `nested` answer. */
const judged: Readonly<Record<string, readonly [normal: Answer, strict: Answer, nested: Answer]>> = {
  // To a process that it made or has a descriptor of: as kill(2).
  pidfd_send_signal: ['allow', 'EPERM', 'allow'],
  pidfd_open: ['allow', 'EPERM', 'allow'],
  // Another process's descriptors and memory.
  pidfd_getfd: ['EPERM', 'EPERM', 'EPERM'],
  process_madvise: ['EPERM', 'EPERM', 'EPERM'],
  // Only of what is being killed, and what ptrace might read.
  process_mrelease: ['allow', 'EPERM', 'allow'],
  io_uring_setup: ['ENOSYS', 'EPERM', 'ENOSYS'],
  io_uring_enter: ['ENOSYS', 'EPERM', 'ENOSYS'],
  io_uring_register: ['ENOSYS', 'EPERM', 'ENOSYS'],
  // Mounts. Those that programs ask first, and then read mountinfo, do not exist.
  open_tree: ['EPERM', 'EPERM', 'allow'],
  open_tree_attr: ['ENOSYS', 'EPERM', 'allow'],
  move_mount: ['EPERM', 'EPERM', 'allow'],
  fsopen: ['EPERM', 'EPERM', 'allow'],
  fsconfig: ['EPERM', 'EPERM', 'allow'],
  fsmount: ['EPERM', 'EPERM', 'allow'],
  fspick: ['EPERM', 'EPERM', 'allow'],
  mount_setattr: ['EPERM', 'EPERM', 'allow'],
  statmount: ['ENOSYS', 'EPERM', 'allow'],
  listmount: ['ENOSYS', 'EPERM', 'allow'],
  quotactl_fd: ['EPERM', 'EPERM', 'EPERM'],
  // Flags and arguments in memory, where no filter sees them.
  clone3: ['ENOSYS', 'ENOSYS', 'allow'],
  openat2: ['allow', 'ENOSYS', 'allow'],
  // Files, as their elders without "at" or "2".
  close_range: ['allow', 'allow', 'allow'],
  faccessat2: ['allow', 'allow', 'allow'],
  fchmodat2: ['allow', 'EPERM', 'allow'],
  setxattrat: ['allow', 'EPERM', 'allow'],
  getxattrat: ['allow', 'EPERM', 'allow'],
  listxattrat: ['allow', 'EPERM', 'allow'],
  removexattrat: ['allow', 'EPERM', 'allow'],
  file_getattr: ['allow', 'EPERM', 'allow'],
  file_setattr: ['allow', 'EPERM', 'allow'],
  cachestat: ['allow', 'EPERM', 'allow'],
  epoll_pwait2: ['allow', 'allow', 'allow'],
  // Of the program itself: its memory, its threads, the rights that it gives up.
  memfd_secret: ['allow', 'EPERM', 'allow'],
  map_shadow_stack: ['allow', 'allow', 'allow'],
  mseal: ['allow', 'allow', 'allow'],
  futex_waitv: ['allow', 'allow', 'allow'],
  futex_wake: ['allow', 'allow', 'allow'],
  futex_wait: ['allow', 'allow', 'allow'],
  futex_requeue: ['allow', 'allow', 'allow'],
  landlock_create_ruleset: ['allow', 'EPERM', 'allow'],
  landlock_add_rule: ['allow', 'EPERM', 'allow'],
  landlock_restrict_self: ['allow', 'EPERM', 'allow'],
  lsm_get_self_attr: ['allow', 'EPERM', 'allow'],
  lsm_list_modules: ['allow', 'EPERM', 'allow'],
  // Another label for itself, such as an AppArmor profile.
  lsm_set_self_attr: ['EPERM', 'EPERM', 'EPERM'],
  // With CAP_SYS_NICE, as all that places memory.
  set_mempolicy_home_node: ['EPERM', 'EPERM', 'EPERM'],
}

/** Of kernels after 6.18, which the tables do not have: the C library does without. */
const newer = { listns: 470, rseq_slice_yield: 471 }

for (const architecture of architectures) {
  const calls = Object.entries(syscallNumbers[architecture]).filter(([, number]) => number >= first)

  test(`every call since Linux 5.1 is judged on ${architecture}`, () => {
    assert.deepEqual(calls.map(([name]) => name).sort(), Object.keys(judged).sort())
    const all = calls.map(([, number]) => number).sort((a, b) => a - b)
    assert.deepEqual(
      all,
      Array.from({ length: all.length }, (_, index) => first + index),
      'no number is left out',
    )
  })

  for (const [column, profile] of (['default', 'strict', 'nested'] as const).entries())
    test(`${profile} answers them so on ${architecture}`, () => {
      const code = readProgram(compileSeccomp(profile, { architecture, kernel: '6.18.0' })!.program)
      const ask = (number: number) =>
        decide(code, { number, arch: abiFacts[architecture].audit, args: Array(6).fill(0n) })
      for (const [name, number] of calls) assert.equal(ask(number), values[judged[name]![column]!], name)
      for (const [name, number] of Object.entries(newer)) assert.equal(ask(number), values.ENOSYS, name)
    })
}
