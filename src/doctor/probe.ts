/** What this kernel allows the caller: asked with sandboxes that run nothing, and with tiny executables. */
import { ask } from '../host/asked.js'
import { AT, BPF, CLONE, FSOPEN, LANDLOCK, MS, OPEN_TREE, PR, SECCOMP } from '../kernel/flags.js'
import { pack, structs } from '../kernel/structs.js'
import { systemFault } from '../kernel/systemError.js'
import type { Policy } from '../policy/schema.js'
import { sandbox } from '../run/sandbox.js'
import { CommandError, HostError, VialError } from '../text/error.js'

/** Nothing when the sandbox can be made, else the sentence that says why not. */
export async function whyNot(policy: Policy): Promise<VialError | undefined> {
  try {
    // A directory is no program: when that is all that is wrong, everything before it went well.
    await sandbox(policy, '/').run('/')
    return undefined
  } catch (error) {
    if (error instanceof CommandError) return undefined
    return error instanceof VialError
      ? error
      : new HostError(systemFault(error), { code: (error as NodeJS.ErrnoException).code, cause: error })
  }
}

/** fsopen(2), open_tree(2) and mount_setattr(2), the youngest of what is needed, in a user namespace. */
export const askMountApi = () =>
  ask((call, b) => {
    call('unshare', CLONE.NEWUSER | CLONE.NEWNS)
    call('fsopen', b.text('tmpfs'), FSOPEN.CLOEXEC)
    call('open_tree', AT.FDCWD, b.text('/'), OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT.RECURSIVE)
    const attributes = b.bytes(pack(structs.mount_attr, { propagation: MS.PRIVATE }), 8)
    call('mount_setattr', AT.FDCWD, b.text('/'), AT.RECURSIVE, attributes, structs.mount_attr.size)
  })

/** The ABI number: landlock_create_ruleset(2) with LANDLOCK_CREATE_RULESET_VERSION. */
export const askLandlock = () => ask((call) => call('landlock_create_ruleset', 0, 0, LANDLOCK.CREATE_RULESET_VERSION))

/** Loads a filter that allows everything. */
export const askSeccomp = () =>
  ask((call, b) => {
    const filter = b.bytes(pack(structs.sock_filter, { code: BPF.RET, k: SECCOMP.RET_ALLOW }), 8)
    const program = b.reserve(structs.sock_fprog.size)
    b.store(32, program, structs.sock_fprog.fields.len.offset, 1)
    b.store(64, program, structs.sock_fprog.fields.filter.offset, filter)
    call('prctl', PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call('seccomp', SECCOMP.SET_MODE_FILTER, 0, program)
  })
