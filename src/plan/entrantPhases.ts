/** The phases that harden a process that comes to be in a sandbox. */
import type { Scope } from '../kernel/landlock.js'
import { RLIM_INFINITY } from '../kernel/rlimits.js'
import { structs } from '../kernel/structs.js'
import { hints } from './hints.js'
import { landlockRules } from './landlockRules.js'
import { isShared, type Making, when } from './making.js'
import type { CapabilityChoice } from './specification.js'
import type { Step } from './step.js'

const heldIn: Readonly<Record<Scope, string>> = { signals: 'no signal', abstractSockets: 'no abstract socket' }

export const entrantPhases = {
  identity: ({ ids: { uid, gid, change }, namespaces: { user } }) =>
    when(change, ({ groups }) => ({
      do: 'identity',
      uid,
      gid,
      groups,
      what: `become ${uid}:${gid}`,
      why: 'the payload is not the caller',
      hints: isShared(user) ? hints.rootMode : hints.identity,
    })),

  keyring: ({ hardening: { keyring } }) =>
    when(keyring !== 'no', () => ({
      do: 'newKeyring',
      // A user has 200 keys, and a keyring lives on for a while after its last process: keyrings(7).
      optional: keyring === 'ifQuota',
      what: 'join a session keyring of its own',
      why: "the caller's keys stay with the caller",
      hints: {
        EDQUOT:
          'the caller has too many keys (sysctl kernel.keys.maxkeys): wait until other sandboxes have ended, or let the filter refuse keyctl, add_key and request_key, as the profile default does',
      },
    })),

  secureBits: ({ hardening }) =>
    when(hardening.secureBits, (bits) => ({
      do: 'secureBits',
      bits,
      what: 'set the secure bits',
      why: 'uid 0 means no privilege',
    })),

  noNewPrivs: () => [
    { do: 'noNewPrivs', what: 'set no_new_privs', why: 'no setuid program or file capability gives anything back' },
  ],

  capabilities: ({ hardening }) => when(hardening.capabilities, (chosen) => capabilityStep(chosen, chosen.spare)),

  session: ({ hardening: { session } }) =>
    when(session === 'new', () => ({
      do: 'session',
      what: 'start a new session',
      why: "the payload cannot push input into the caller's terminal",
    })),

  terminal: ({ start: { terminal }, namespaces: { mount } }) =>
    when(terminal, () => ({
      do: 'terminal',
      devices: isShared(mount) ? 'hosts' : 'own',
      what: 'make a terminal for the command',
      why: "it gets none of the caller's",
      hints: hints.terminal,
    })),

  landlock({ hardening: { landlock, scopes }, filesystem, descriptors }, init) {
    const files =
      filesystem === undefined
        ? undefined
        : { rules: landlockRules(init), streams: descriptors.streams, passed: descriptors.passed }
    const held = (['signals', 'abstractSockets'] as const)
      .filter((scope) => scopes?.includes(scope) ?? true)
      .map((scope) => heldIn[scope])
      .join(' and ')
    return when(landlock !== undefined, () => ({
      do: 'landlock',
      required: landlock === 'required',
      files,
      ...(scopes === undefined ? {} : { scopes }),
      what: 'restrict the payload by Landlock',
      why:
        files === undefined
          ? `${held} reaches outside`
          : `a second wall behind the mounts: no write but where one is writable${held === '' ? '' : `, ${held} outside`}`,
      hints: hints.landlock,
    }))
  },

  umask: ({ hardening }) =>
    when(hardening.umask, (mask) => ({
      do: 'umask',
      mask,
      what: `set the umask ${mask.toString(8).padStart(4, '0')}`,
      why: 'the policy names it',
    })),

  rlimits: ({ hardening: { rlimits } }) =>
    rlimits.map(({ name, soft, hard, why, ifAllowed }) => ({
      do: 'rlimit',
      name,
      soft,
      hard,
      what: `limit ${name} to ${soft === RLIM_INFINITY ? 'unlimited' : soft}`,
      why,
      ...(ifAllowed ? { ifAllowed } : { hints: hints.rlimit }),
    })),

  readFilters: ({ hardening: { filterFds } }) =>
    when(filterFds.length > 0, () => ({
      do: 'readSeccomp',
      fds: filterFds,
      what: 'read the filters',
      why: 'each comes by a descriptor',
    })),

  /** The very last thing: from here on only what the profile allows can be called, by vial too. */
  filter: ({ hardening }) =>
    when(hardening.filter, ({ name, program, flags }) => ({
      do: 'filter',
      program,
      flags,
      what: `load the seccomp filter ${name} (${program.length / structs.sock_filter.size} instructions)`,
      why: 'what of the kernel the payload does not need is out of its reach',
      hints: hints.seccomp,
    })),

  dropSpare: ({ hardening: { capabilities } }) => (capabilities?.dropsSpare ? [capabilityStep(capabilities)] : []),

  filters: ({ hardening: { filterFds } }) =>
    when(filterFds.length > 0, () => ({
      do: 'seccomp',
      fds: filterFds,
      what: 'put the filters in force',
      why: 'each came by a descriptor',
    })),
} satisfies Record<string, Making>

function capabilityStep({ keep, bounding }: CapabilityChoice, spare?: CapabilityChoice['spare']): Step {
  const named = 'without' in keep ? undefined : keep
  return {
    do: 'capabilities',
    keep,
    bounding: bounding !== 'no',
    ...(bounding === 'only' ? { boundingOnly: true } : {}),
    ...(spare === undefined ? {} : { spare }),
    what:
      named === undefined
        ? 'drop capabilities'
        : named.length === 0
          ? 'drop all capabilities'
          : `drop all capabilities but ${named.join(', ')}`,
    why: named === undefined ? 'only what is asked for stays' : 'deny by default',
  }
}
