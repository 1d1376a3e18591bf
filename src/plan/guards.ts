/**
 * What of /proc and /sys is closed to a payload. Where it is the host's root, by uid and without any capability (a root
 * caller's own sandbox, whose user namespace maps its id, and root mode), that is all of it. For any other caller the
 * files' own modes are wall enough, but for the few that all users can read and that tell of the whole machine: the rest is root's. That
 * saves it 20 mounts a run.
 */
import { aside, words } from '../text/words.js'
import type { Place, Step } from './step.js'

export interface Guard {
  readonly readonly: readonly string[]
  readonly masked: readonly string[]
  /** Masked for every caller: their modes let all users read them. */
  readonly worldReadable: readonly string[]
  /** The same, in the directory of each processor in /sys. */
  readonly eachCpu?: readonly string[]
  readonly why: string
}

/**
 * The paths of the OCI's default configuration, as runc and containerd write it, but for timer_stats, which left with Linux
 * 4.11; and those by which root without capabilities reads physical memory's use (kpage…), or turns on debugging.
 */
export const procGuard: Guard = {
  readonly: ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'],
  worldReadable: ['acpi', 'asound', 'interrupts', 'keys', 'latency_stats', 'sched_debug', 'scsi'],
  masked: [
    'dynamic_debug',
    'kcore',
    'kmsg',
    'kpagecgroup',
    'kpagecount',
    'kpageflags',
    'slabinfo',
    'timer_list',
    'vmallocinfo',
  ],
  why: "root outside could turn the kernel's own files against the host",
}

/** Docker's list as well. /sys itself is mounted read-only. */
export const sysGuard: Guard = {
  readonly: [],
  worldReadable: ['firmware', 'devices/virtual/powercap'],
  eachCpu: ['thermal_throttle'],
  masked: ['kernel/debug', 'kernel/tracing', 'kernel/security', 'fs/bpf'],
  why: 'root outside could read what firmware and power meters tell',
}

/**
 * A sandbox inside needs its /proc uncovered (the kernel's mnt_already_visible), and with CAP_SYS_ADMIN could uncover
 * it: there, a payload that is root outside is refused rather than let in.
 */
export function guardStep(
  at: string,
  place: Place,
  guard: Guard,
  { nests, hostIds }: { readonly nests: boolean; readonly hostIds: boolean },
): Step {
  const when = hostIds ? 'always' : nests ? 'refuseOwner' : 'owner'
  return {
    do: 'guard',
    place,
    readonly: guard.readonly,
    masked: guard.masked,
    worldReadable: when === 'refuseOwner' ? [] : guard.worldReadable,
    eachCpu: when === 'refuseOwner' ? [] : (guard.eachCpu ?? []),
    when,
    what: when === 'refuseOwner' ? `leave ${at} uncovered for sandboxes inside` : `cover the host's side of ${at}`,
    why: guard.why,
    ...(when === 'refuseOwner'
      ? {
          hints: {
            EPERM: words`the caller is root, and so could the payload write the host's settings there: run it as an ordinary user${aside(`, or accept it with { proc: "${at}", masked: false }`)}`,
          },
        }
      : {}),
  }
}
