/** The phases of a start: what the payload gets of the caller, what is watched while it runs, and where it begins. */
import { hints } from './hints.js'
import { type Making, when } from './making.js'
import type { Step } from './step.js'

export const startPhases = {
  closeFds: ({ descriptors }) =>
    when(descriptors.keep, (keep) => ({
      do: 'closeFds',
      keep,
      what: 'close inherited file descriptors',
      why: 'an open descriptor is a way out',
    })),

  log: ({ start: { log }, ids }) =>
    when(log, ({ directory, most }) => ({
      do: 'log',
      directory,
      most,
      streams: [1, 2],
      foreign: ids.handsOver,
      what: 'make the log',
      why: 'no other process reads what the command writes',
      hints: { ENOSPC: 'the disk is full' },
    })),

  pipes({ start: { pipes }, ids }) {
    const numbers = pipes.map(({ fd }) => fd).join(', ')
    return when(pipes.length > 0, () => ({
      do: 'pipes',
      pipes,
      foreign: ids.handsOver,
      what: `make pipes to the caller for ${numbers}`,
      why: "Node's own are sockets of the host's network namespace, whose ioctls reach the host's interfaces",
      hints: { ENFILE: 'this host has too many files open: see sysctl fs.file-max' },
    }))
  },

  streams: ({ descriptors: { streams, listening } }) => [
    ...when(streams.length > 0, () => ({
      do: 'refuseDirectories',
      fds: streams,
      what: 'hand on the standard streams',
      why: 'none of them is a directory, from which the whole host could be reached',
      hints: { EISDIR: 'standard input, output or error is a directory: give it a file, a pipe or /dev/null' },
    })),
    ...when(listening.length > 0, () => ({
      do: 'refuseDirectories',
      fds: listening,
      what: `hand on descriptors ${listening[0]} to ${listening.at(-1)}`,
      why: 'sockets that a supervisor opened; none of them is a directory, from which the whole host could be walked',
      hints: {
        EISDIR: 'one of them is a directory: close it before the vial is started, or compile for fewer descriptors',
      },
    })),
  ],

  takeStreams: ({ start: { terminal } }) =>
    when(terminal, () => ({
      do: 'takeStreams',
      what: "take the caller's streams",
      why: 'the command has a terminal of its own, and the monitor hands on between the two',
    })),

  watch: ({ limits: { wallTime, cpuTime, memory } }) => [
    ...when(wallTime, (milliseconds) => ({
      do: 'wallTime',
      limit: nanoseconds(milliseconds),
      what: `set a timer of ${milliseconds} ms`,
      why: 'then all is killed',
      hints: hints.timer,
    })),
    ...when(cpuTime, ({ milliseconds, ...watched }) => ({
      do: 'cpuTime',
      limit: nanoseconds(milliseconds),
      ...watched,
      what: `watch the CPU time, ${milliseconds} ms`,
      why: 'then all is killed',
      hints: hints.timer,
    })),
    ...when(memory, ({ fd, limit }) => ({
      do: 'watchMemory',
      fd,
      near: nearLimit(limit),
      what: 'watch the memory',
      why: 'when it is short all are killed, as memory.oom.group has it in cgroup v2',
      hints: hints.group,
    })),
  ],

  closeMonitors({ start: { announcement } }) {
    const fds = [announcement?.infoFd, announcement?.statusFd].filter((fd) => fd !== undefined)
    return when(fds.length > 0, () => ({
      do: 'closeThese',
      fds,
      what: 'close what the monitor writes to',
      why: 'it is not for the sandbox',
    }))
  },

  block: ({ start }) =>
    when(start.blockFd, (fd) => ({
      do: 'block',
      fd,
      what: 'wait for a descriptor',
      why: 'another process says when to start',
    })),

  lockFiles: ({ start: { lockFiles } }) =>
    lockFiles.map((path) => ({
      do: 'lockFile',
      path,
      what: `lock ${path}`,
      why: 'others see by it that the sandbox is there',
    })),

  directory({ start: { directory } }) {
    if (directory === 'unchanged') return []
    if (directory === 'named')
      return [
        {
          do: 'chdirNamed',
          what: 'enter the working directory',
          why: 'the run has one of its own',
          hints: hints.cwd,
        },
      ]
    if (directory === 'callers')
      return [{ do: 'chdirBack', what: "enter the caller's directory, or HOME", why: 'the caller is there' }]
    return [
      {
        do: 'chdir',
        path: directory.path,
        what: `enter the working directory ${directory.path}`,
        why: "the caller's own is not visible",
        hints: hints.cwd,
      },
    ]
  },

  closeHeld: ({ start: { holdFds, init } }) =>
    when(holdFds.length > 0 && init === 'reaper', () => ({
      do: 'closeThese',
      fds: holdFds,
      what: 'close what init holds open',
      why: 'it lasts as long as the sandbox, not as the payload',
    })),
} satisfies Record<string, Making>

export const executeStep: Step<'execute'> = {
  do: 'execute',
  what: 'run',
  why: 'this is what the sandbox is for',
  hints: hints.execute,
}

const nanoseconds = (milliseconds: number) => BigInt(Math.round(milliseconds * 1e6))

/**
 * What memory a group has held when it met its limit: what is refused at the end is at most eight pages
 * (PAGE_ALLOC_COSTLY_ORDER in mm/memcontrol.c), of up to 64 KiB.
 */
function nearLimit(bytes: number): number {
  return bytes - Math.min(Math.floor(bytes / 8), 2 ** 19)
}
