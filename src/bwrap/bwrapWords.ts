/** What bwrap(1) says when a step fails: its own words, in place of ours. */
import { limitFileOf } from '../kernel/namespaces.js'
import type { Origin } from '../plan/face.js'
import type { Step, StepKind, Wording } from '../plan/step.js'
import { kindOf } from '../policy/hidden.js'
import type { Entry } from '../policy/schema.js'

type Saying = Pick<Wording, 'complaint' | 'points' | 'instead'>

/** The step without our hints, and with bwrap's sentences where it has some. */
export function inBwrapsWords<One extends Step>(step: One, { phase, entry }: Origin): One {
  const { hints: _, ...plain } = step
  const said = entry === undefined ? ofStep(step, phase) : ofEntry(step, entry)
  return { ...plain, ...said } as One
}

/** As of `Step<Kind>`, for what the row of a kind needs of it. */
type Sayings = { readonly [Kind in StepKind]?: (step: Step<Kind>, phase: Origin['phase']) => Saying }

const sayings: Sayings = {
  processName: () => ({ complaint: 'prctl(PR_SET_NAME)' }),
  callersCapabilities: () => ({ complaint: 'capget failed' }),
  dieWithParent: () => ({ complaint: 'prctl' }),
  join: ({ namespace }, phase) => {
    if (phase === 'joinInner') return { complaint: 'Setting userns2 failed' }
    if (namespace !== 'user') return { complaint: 'Setting pidns failed' }
    return {
      complaint: 'Joining specified user namespace failed',
      instead: {
        EINVAL:
          'Joining the specified user namespace failed, it might not be a descendant of the current user namespace.',
      },
    }
  },
  clone: () => ({
    complaint: 'Creating new namespace failed',
    instead: {
      EINVAL:
        'Creating new namespace failed, likely because the kernel does not support user namespaces.  bwrap must be installed setuid on such systems.',
      EPERM:
        "No permissions to create new namespace, likely because the kernel does not allow non-privileged user namespaces. On e.g. debian this can be enabled with 'sysctl kernel.unprivileged_userns_clone=1'.",
      ENOSPC: 'Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)',
    },
  }),
  mapUser: () => ({ complaint: 'setting up uid map' }),
  identity: ({ uid }) => ({ complaint: `unable to switch to uid ${uid}` }),
  loopback: () => ({ complaint: 'loopback: Failed RTM_NEWLINK' }),
  isolateMounts: () => ({ complaint: 'Failed to make / slave' }),
  beforeInner: () => ({ complaint: `cannot open ${limitFileOf('user')}` }),
  hostname: ({ name }) => ({ complaint: `Can't set hostname to ${name}` }),
  innerUser: () => ({ complaint: 'unshare user ns' }),
  assertNoUser: () => ({ instead: { EPERM: 'creation of new user namespaces was not disabled as requested' } }),
  noNewPrivs: () => ({ complaint: 'prctl(PR_SET_NO_NEW_PRIVS) failed' }),
  capabilities: () => ({ complaint: 'capset failed' }),
  readSeccomp: () => ({
    complaint: "Can't read seccomp data",
    instead: { EINVAL: 'Invalid seccomp data, must be multiple of 8' },
  }),
  lockFile: ({ path }) => ({ complaint: [`Unable to open lock file ${path}`, `Unable to lock file ${path}`] }),
  chdir: ({ path }) => ({ complaint: `Can't chdir to ${path}` }),
  session: () => ({ complaint: 'setsid' }),
  seccomp: () => ({
    complaint: 'prctl(PR_SET_SECCOMP)',
    instead: {
      EINVAL:
        'Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL. (Hint: this requires a kernel configured with CONFIG_SECCOMP and CONFIG_SECCOMP_FILTER.)',
    },
  }),
  execute: () => ({ complaint: 'execvp' }),
}

function ofStep<Kind extends StepKind>(step: Step<Kind>, phase: Origin['phase']): Saying {
  return sayings[step.do]?.(step, phase) ?? {}
}

/** Of the steps of an entry: some fail in no way that bwrap has words for. */
function ofEntry(step: Step, entry: Entry): Saying {
  const at = placeIn(entry)
  if (step.do === 'directory' && step.implicit) return { complaint: `Can't mkdir parents for ${at}` }
  if (step.do === 'console' || (step.do === 'readonly' && step.only === 'writable')) return {}
  const newroot = `/newroot/${at.replace(/^\/+/, '')}`
  const points = [`Can't create file at ${at}`, `Can't mkdir ${at}`] as const
  if ('bind' in entry) {
    const from = entry.from ?? `/proc/self/fd/${entry.fd}`
    return {
      complaint: [`Can't find source path ${from}`, `Can't bind mount /oldroot${from} on ${newroot}`],
      points,
    }
  }
  if ('overlay' in entry)
    return {
      complaint: [`Can't find source path ${entry.lower[0]}`, `Can't make overlay mount on ${newroot}`],
      points,
    }
  if ('symlink' in entry) {
    const own = `Can't make symlink at ${at}`
    return {
      complaint: [
        own,
        { EEXIST: `${own}: destination exists and is not a symlink` },
        { EEXIST: `${own}: existing destination is ` },
      ],
    }
  }
  if ('directory' in entry) return { complaint: `Can't mkdir ${at}` }
  if ('chmod' in entry) return { complaint: `Can't chmod ${octal(entry.mode)} ${at}` }
  if ('readonly' in entry)
    return {
      complaint: [
        `Can't remount readonly on ${newroot}: realpath(destination)`,
        {
          EINVAL: `Can't remount readonly on ${newroot}: Unable to find "${newroot}" in mount table`,
          EPERM: `Can't remount readonly on ${newroot}: Operation not permitted`,
        },
      ],
    }
  if ('file' in entry) {
    if (entry.mount === undefined) return { complaint: [`Can't create file ${at}`, `Can't write data to file ${at}`] }
    return { complaint: [`Can't write data to file ${at}`, `Can't bind mount on ${newroot}`], points }
  }
  const { kind } = kindOf(entry)
  const own = `Can't mount ${kind === 'dev' ? 'tmpfs' : kind} on ${newroot}`
  return { complaint: [own, own], points }
}

const placeIn = (entry: Entry): string => Object.values(entry)[0] as string

const octal = (mode: number | string) => (Number(mode) === 0 ? '0' : `0${Number(mode).toString(8)}`)
