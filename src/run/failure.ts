/** A step of a vial failed: the error that says so. Loaded when there is one, for no other run waits for it. */
import { getSystemErrorName } from 'node:util'
import { refusal } from '../host/calls.js'
import { whyNoUserNamespace } from '../host/userNamespace.js'
import { errnoMessage, errnoName } from '../kernel/errno.js'
import { printable } from '../text/printable.js'
import { systemHints } from '../kernel/systemError.js'
import type { LaunchedStep } from '../plan/step.js'
import { CommandError, SandboxError } from '../text/error.js'
import type { Failure } from './status.js'

/** What to do about errors that any path or call may give. */
const anywhere: Readonly<Record<string, string>> = {
  ...systemHints,
  // fuse_simple_request() in fs/fuse/dev.c.
  ENOTCONN: 'a FUSE mount on the way has lost its server: unmount it (fusermount3 -u), or mount it again',
  ESTALE: 'a network mount on the way has lost it: mount that again',
  EIO: 'a disk or a mount on the way fails: see dmesg',
  ENOMEM: 'no memory is left: in a cgroup around this process, or on this host',
  EUSERS: 'user namespaces lie 32 deep at most: user_namespaces(7)',
}

/**
 * @param steps those of the vial, by the numbers of its records; none where they are not known
 * @param named what the run itself named for a kind of step, such as its command
 */
export function failureError(
  { step: number, errno, detail }: Failure,
  steps: readonly LaunchedStep[],
  named: { readonly [Kind in NonNullable<LaunchedStep['do']>]?: string | undefined },
): SandboxError | CommandError {
  const step = steps[number]
  const code = getSystemErrorName(-errno)
  if (step === undefined) return new SandboxError(`cannot make the sandbox: ${errnoMessage(errno)}`, { code })
  const executes = step.do === 'execute'
  // A cause outside of the step says more than the step's own hint.
  const refused = executes ? undefined : refusal(code, step.do)
  const outside = refused ?? (step.do === 'newUser' ? whyNoUserNamespace(code) : undefined)
  const name = errnoName(errno)
  const hint = outside ?? (name === undefined ? undefined : (step.hints?.[name] ?? anywhere[name]))
  const own = step.do === undefined ? undefined : named[step.do]
  const what = own === undefined ? step.what : `${step.what} ${own}`
  const kind = executes ? CommandError : SandboxError
  const instead = name === undefined ? undefined : step.instead?.[name]
  if (instead !== undefined && detail !== undefined)
    return new kind(`cannot ${instead}${printable(detail)}`, { code, hint })
  return new kind(`cannot ${printable(what)}: ${errnoMessage(errno)}`, { code, hint })
}
