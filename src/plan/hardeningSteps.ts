/** Small steps that every sandbox of ours has, each against one thing that namespaces leave open. */
import type { CapabilityName } from '../kernel/capabilities.js'
import { SECBIT } from '../kernel/flags.js'
import type { RlimitName } from '../kernel/rlimits.js'
import type { Policy } from '../policy/schema.js'
import type { Step } from './step.js'

/** Limits of each process where the policy names none. A caller whose own is lower keeps that. */
export const defaultRlimits = {
  /**
   * No dump is so small, and that one byte also means to the kernel that no handler is called, while 0 means nothing for
   * a /proc/sys/kernel/core_pattern that pipes (coredump_pipe() in fs/coredump.c). The filter keeps the payload from
   * setting it to 0.
   */
  core: { value: 1, why: 'a crash leaves no file, and calls no handler of the host' },
  /** Each queued signal and each timer of the user's counts here and in the user namespaces above: getrlimit(2), kernel/ucount.c. */
  sigpending: { value: 1024, why: "queued signals do not use up the caller's, whose timers could then not be made" },
} as const satisfies { readonly [Name in RlimitName]?: { readonly value: number; readonly why: string } }

/** @param listening descriptors of sockets that a supervisor hands over, by --listen-fds */
export function streams(listening: readonly number[]): Step[] {
  return [
    {
      do: 'refuseFolders',
      fds: [0, 1, 2],
      what: 'hand on the standard streams',
      why: 'none of them is a directory, from which the whole host could be reached',
      hints: { EISDIR: 'standard input, output or error is a directory: give it a file, a pipe or /dev/null' },
    },
    ...(listening.length === 0 ? [] : [sockets(listening)]),
  ]
}

/** Unlike a descriptor of `passFds`, none of these is chosen by the caller of the vial: whatever has such a number is handed on. */
const sockets = (fds: readonly number[]): Step => ({
  do: 'refuseFolders',
  fds,
  what: `hand on descriptors ${fds[0]} to ${fds.at(-1)}`,
  why: 'sockets that a supervisor opened; none of them is a directory, from which the whole host could be walked',
  hints: {
    EISDIR: 'one of them is a directory: close it before the vial is started, or compile for fewer descriptors',
  },
})

export function beforeUserns(): Step[] {
  return [
    {
      do: 'dropGroups',
      what: 'give up supplementary groups, where the caller may',
      why: 'what they open is not for the payload; a caller other than root cannot drop them, setgroups(2)',
    },
  ]
}

export function beforeMounts(policy: Policy): Step[] {
  if (!policy.disableUserns) return []
  return [
    {
      do: 'limitUserns',
      what: 'forbid further user namespaces',
      why: 'no privilege over any namespace can be obtained inside',
      hints: {
        ENOENT: "the limit is in the host's /proc/sys/user, which is not there",
        EROFS: 'an outer container has made /proc/sys read-only',
      },
    },
  ]
}

/**
 * With no capability left, an empty bounding set and no_new_privs, nothing gives one back; the bits say so once more,
 * and for programs that look. With some kept, a uid that is 0 inside still gains no others by execve(2).
 */
export function beforeCapabilities(kept: readonly CapabilityName[], keysAreRefused: boolean): Step[] {
  const none = kept.length === 0 ? SECBIT.NO_CAP_AMBIENT_RAISE | SECBIT.NO_CAP_AMBIENT_RAISE_LOCKED : 0
  return [
    {
      do: 'newKeyring',
      // A user has 200 keys, and a keyring lives on for a while after its last process: keyrings(7).
      optional: keysAreRefused,
      what: 'join a session keyring of its own',
      why: "the caller's keys stay with the caller",
      hints: {
        EDQUOT:
          'the caller has too many keys (sysctl kernel.keys.maxkeys): wait until other sandboxes have ended, or let the filter refuse keyctl, add_key and request_key, as the profile default does',
      },
    },
    {
      do: 'secureBits',
      bits: SECBIT.NOROOT | SECBIT.NOROOT_LOCKED | SECBIT.KEEP_CAPS_LOCKED | none,
      what: 'set the secure bits',
      why: 'uid 0 means no privilege',
    },
  ]
}
