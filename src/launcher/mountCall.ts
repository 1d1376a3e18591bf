/** What this process and the mounter (mounter.ts) tell each other. */
import { hints } from '../plan/hints.js'
import type { Hints } from '../plan/step.js'

/** What it is asked for besides, a digit for each: 1 or 0. */
const order = ['removes', 'ownUser', 'writable', 'ownRoot'] as const

/**
 * `removes`: a mount is taken away; default: one is added. `ownUser`: the sandbox has a user namespace of its own. `writable`: the mount
 * is not made read-only. `ownRoot`: the sandbox's root is a filesystem of its own, in which a place may be made also where it is read-only.
 */
export type MountCall = (typeof order)[number]

/** Its words, by their place: behind the two that say which sandbox is meant, those switches, then the source or the number of the mount, then each name of the place. */
export const mountCall = { order, switches: 3, subject: 4, names: 5 } as const

/**
 * The words of the program that stacks layers (layerStacker.ts): behind the two that say which sandbox is meant, the number of the overlay
 * that is there, the directory that the layers lie in, the directory of the host beneath them all, overlay's options, then each name of the place.
 */
export const stackCall = { old: 3, home: 4, host: 5, options: 6, names: 7 } as const

/** The descriptor that the options know the host's directory by: its path may hold what has a meaning there. */
export const hostDescriptor = 99

/** The name of an empty directory beside the layers, on which the new overlay lies for a moment. */
export const stackTarget = 'target'

/** What it writes to standard output: two little-endian u64, the kind and a value. The kinds of failures are the numbers of their stages, with an errno. */
export const mountAnswer = {
  size: 16,
  /** The number of the mount that is about to be put at its place, as mountinfo has it: proc_pid_mountinfo(5). */
  mount: 100,
  /** It is there. */
  done: 101,
} as const

interface MountStage {
  readonly number: number
  readonly hints: Hints
}

const old = 'this needs Linux 5.12 or newer, and no filter around this process that forbids it'
const refused = {
  ENOSYS: old,
  EPERM: 'a container or a filter around this process forbids it: "vial doctor" tells which',
}

/** Where it may fail, and what to do then. */
export const mountStages = {
  find: { number: 1, hints: hints.sandbox },
  source: {
    number: 2,
    hints: {
      ENOENT: 'it does not exist',
      ENOTDIR: 'a name on the way is not a directory',
      EACCES: 'the caller may not read it, or not search a directory on the way',
      ELOOP:
        'it is a symbolic link, or lies behind one, which a payload could have put there: name what the link leads to',
      ENOSYS: old,
    },
  },
  join: {
    number: 3,
    hints: { ...refused, EPERM: hints.sandbox.EPERM, ENOSPC: 'the limit user.max_mnt_namespaces is used up' },
  },
  clone: {
    number: 4,
    hints: {
      ...refused,
      ESTALE: 'another process exchanged it just now: try again',
      ELOOP: 'another process put a symbolic link there just now',
      ENOSPC: 'it holds more mounts than the sysctl fs.mount-max allows',
      EINVAL: 'something is mounted in it that cannot be shown elsewhere',
    },
  },
  walk: {
    number: 5,
    hints: {
      ELOOP:
        'a symbolic link lies there or on the way, which the payload could have put there: name the place that it leads to',
      ENOTDIR: 'a file lies on the way',
      EROFS:
        'it does not exist, and what it would lie in shows the host read-only, where nothing is made: choose a place that exists, or make it on the host',
      EACCES: 'it does not exist, and cannot be made there',
      ENOSPC: 'it does not exist, and the filesystem that it would lie in is full',
      EXDEV: 'the payload moved a directory on the way just now: try again',
      ENAMETOOLONG: 'a name in it has more than 255 bytes',
    },
  },
  place: {
    number: 6,
    hints: {
      EPERM: 'it shows the kernel, where nothing is mounted',
      ENOTDIR: 'a directory cannot be mounted on what is no directory',
      EISDIR: 'only a directory can be mounted on a directory',
      ESTALE: 'another mount lies there by now',
    },
  },
  attach: {
    number: 7,
    hints: {
      ...refused,
      ELOOP:
        'a file that stands for a mount namespace is mounted in it, as of snapd: mount a directory that holds none',
      ENOENT: 'the payload removed the place just now: try again',
      ENOSPC: 'the sandbox has as many mounts as the sysctl fs.mount-max allows',
    },
  },
  detach: { number: 8, hints: refused },
  freeze: {
    number: 10,
    hints: {
      ...refused,
      EBUSY:
        'a process in the sandbox has a file of the work tree open for writing: wait until it is closed, or end the process',
    },
  },
  stack: {
    number: 11,
    hints: {
      ...refused,
      ENOSPC: 'the sandbox has as many mounts as the sysctl fs.mount-max allows, or the disk is full',
      EINVAL: 'the filesystem of the cache takes no layer, or the stack of layers is too high',
    },
  },
  record: { number: 9, hints: { ENOSPC: 'the directory of the records is full, or that of the cache' } },
} as const satisfies Record<string, MountStage>

export const stageOf = (number: number): keyof typeof mountStages | undefined =>
  (Object.keys(mountStages) as (keyof typeof mountStages)[]).find((name) => mountStages[name].number === number)
