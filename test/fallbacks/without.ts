/** Hosts without some system calls: a tiny executable loads a filter that answers for the kernel, and becomes a command. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hostArchitecture } from '../../src/host/thisHost.js'
import type { ErrnoName } from '../../src/kernel/errno.js'
import { PR, SECCOMP } from '../../src/kernel/flags.js'
import { structs } from '../../src/kernel/structs.js'
import type { SyscallName } from '../../src/kernel/syscalls.js'
import { assemble } from '../../src/machine/assemble.js'
import { Builder } from '../../src/machine/builder.js'
import { compileSeccomp } from '../../src/seccomp/compileProfile.js'
import { root, workDirectory } from '../support/user.js'

/**
 * An executable: `PATH-OF-IT COMMAND ARGUMENT…` runs COMMAND, a path, to which these calls do not exist (`ENOSYS`), or are
 * refused (`EPERM`). It sets no_new_privs, without which an ordinary user may load no filter.
 */
export function without(calls: readonly SyscallName[], answer: ErrnoName = 'ENOSYS'): string {
  const rules = [{ calls: [...calls], do: { errno: answer } }]
  const filter = compileSeccomp(
    { default: 'allow', abis: ['x32', 'i386', 'arm32'], rules },
    {
      architecture: hostArchitecture(),
      kernel: '',
    },
  )!.program
  const b = new Builder()
  const [stack, result, argv, envp] = b.temporaries(4)
  b.entry(stack)
  // argc, argv, NULL, envp, NULL: System V ABI, "Initial Stack and Register State".
  b.load(envp, 64, stack)
  b.compute(envp, envp, 'shl', 3)
  b.compute(envp, envp, 'add', stack)
  b.compute(envp, envp, 'add', 16)
  b.compute(argv, stack, 'add', 16)
  const program = b.reserve(structs.sock_fprog.size)
  b.store(32, program, structs.sock_fprog.fields.len.offset, filter.length / structs.sock_filter.size)
  b.store(64, program, structs.sock_fprog.fields.filter.offset, b.bytes(filter, 8))
  b.syscall(result, 'prctl', PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0)
  b.syscall(result, 'prctl', PR.SET_SECCOMP, SECCOMP.MODE_FILTER, program, 0, 0)
  b.when(result, 'eq', 0, () => {
    b.load(result, 64, argv)
    b.syscall(result, 'execve', result, argv, envp)
  })
  b.compute(result, 0, 'sub', result)
  b.syscall(result, 'exit_group', result)
  const path = join(workDirectory(root, 'without'), `${calls.join('-').slice(0, 100)}-${answer}`)
  writeFileSync(path, assemble(b.finish(), hostArchitecture()))
  for (const one of [path, join(path, '..'), join(path, '../..')]) chmodSync(one, 0o755)
  return path
}
