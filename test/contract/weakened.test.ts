/** The comparison sees what is missing: what enters leaves out one wall, and the lines that tell of that differ. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { noGroups, notRoot } from '../support/needs.js'
import { callers, root } from '../support/user.js'
import { expected, seenBy } from './compared.js'
import type { Left } from './doors.js'
import { differences } from './lines.js'

interface Weakened {
  readonly policy: StrictPolicy
  /** What is left out, and lines that tell of it, among others. */
  readonly without: { readonly [Step in Left]?: readonly string[] }
  readonly byRoot?: true
  readonly skip?: () => string | false
}

const status = (...names: readonly string[]) => names.map((name) => `/proc/self/status ${name}`)

const rows: Readonly<Record<string, Weakened>> = {
  'of the default': {
    policy: { umask: 0o077, rlimits: { nofile: 70 }, cwd: '/tmp' },
    without: {
      filter: [...status('Seccomp', 'Seccomp_filters'), 'mount somewhere', 'be traced', 'unshare user', 'add a key'],
      landlock: ['domains of Landlock'],
      umask: [...status('Umask'), 'umask'],
      rlimit: ['/proc/self/limits Max core file size', '/proc/self/limits Max open files', 'open files'],
      capabilities: status('CapBnd'),
      secureBits: ['secure bits', 'keep capabilities'],
      session: ['leads its session', 'leads its group'],
      chdirNamed: ['/proc/self/cwd', 'working directory'],
      closeFds: ['descriptors 3', 'open files'],
    },
  },
  'of namespaces, privileges and keys': {
    // The filter and Landlock can only be had with no_new_privs, and the filter hides the keyring.
    policy: {
      seccomp: 'none',
      landlock: 'off',
      hostname: 'own',
      capabilities: ['CAP_CHOWN'],
      namespaces: { time: { boottime: 1000 } },
    },
    without: {
      noNewPrivs: [...status('NoNewPrivs'), 'no new privileges', 'domains of Landlock'],
      newKeyring: ['session keyring'],
      capabilities: [...status('CapPrm', 'CapEff', 'CapInh', 'CapBnd', 'CapAmb'), 'an ambient capability'],
      'join net': ['/proc/self/ns/net'],
      'join uts': ['/proc/self/ns/uts', '/proc/sys/kernel/hostname'],
      'join ipc': ['/proc/self/ns/ipc'],
      'join cgroup': ['/proc/self/ns/cgroup'],
      'join time': ['/proc/self/ns/time', '/proc/self/timens_offsets'],
    },
  },
  'of what Landlock refuses': {
    policy: { seccomp: 'none' },
    without: { landlock: ['domains of Landlock', 'a device that hides a file'] },
  },
  'of ids': {
    policy: { namespaces: { user: 'host' }, cwd: '/' },
    without: { identity: [...status('Uid', 'Gid'), 'become root'] },
    byRoot: true,
  },
  'of a cgroup': {
    policy: { namespaces: { cgroup: 'host' }, limits: { memory: '64M', pids: 50 } },
    without: { enterGroup: ['/proc/self/cgroup'] },
    skip: () => noGroups('memory', 'pids'),
  },
}

for (const caller of callers) {
  describe(`the comparison sees a missing wall, by ${caller.name}`, () => {
    for (const [name, { policy, without, byRoot, skip = () => false }] of Object.entries(rows)) {
      if (byRoot && caller !== root && callers.includes(root)) continue
      test(name, { skip: (byRoot && notRoot) || skip() }, async () => {
        const { init, joined } = await seenBy(caller, `weakened, ${name}`, policy, Object.keys(without) as Left[])
        for (const [step, lines] of Object.entries(without)) {
          const seen = Object.keys(differences(init, joined[step]!)).filter((line) => !(line in expected))
          assert.deepEqual(
            lines.filter((line) => !seen.includes(line)),
            [],
            `${step}: only ${seen.join()}`,
          )
        }
      })
    }
  })
}
