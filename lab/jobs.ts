/** What is run in each guest, and the rows that it fills in the table. */

export interface Job {
  readonly id: string
  /** With a pid 1 that mounts the usual and does no more, or with Debian's systemd. */
  readonly boot: Boot
  /** Compiled test files below dist/, without `.test.js`. */
  readonly tests: readonly string[]
  /** Instead of tests: a bench below dist/, without `.js`, and its words. What it prints is shown at the end. */
  readonly bench?: readonly [file: string, ...words: string[]]
  /** `user service`: in a service of an ordinary user's own systemd. Default: root, who becomes others by himself. */
  readonly by?: 'user service'
  readonly env?: Readonly<Record<string, string>>
  /** How /sys/fs/cgroup is mounted meanwhile, where no systemd minds. Default: `nsdelegate`, as systemd does. */
  readonly cgroup?: string
  readonly minutes: number
  /** Also in the short form. */
  readonly short?: true
}
export type Boot = 'plain' | 'systemd'

export const jobs: readonly Job[] = [
  { id: 'smoke', boot: 'plain', tests: ['lab/tests/smoke'], minutes: 4, short: true },
  { id: 'cgroup', boot: 'plain', tests: ['test/cgroup/v2', 'lab/tests/cgroup'], minutes: 10, short: true },
  { id: 'living', boot: 'plain', tests: ['lab/tests/living'], minutes: 10 },
  { id: 'io', boot: 'plain', tests: ['lab/tests/io'], minutes: 6 },
  {
    id: 'limits',
    boot: 'plain',
    tests: ['limits', 'bombs', 'gc', 'usage'].map((name) => `test/limits/${name}`),
    env: { VIAL_BOMB_RUNS: '1', VIAL_CONCURRENT_RUNS: '32' },
    minutes: 30,
  },
  { id: 'nested', boot: 'plain', tests: ['test/limits/nested'], minutes: 15 },
  // The kernel then lets the owner of the group at the root of a cgroup namespace write its limits: cgroups(7).
  { id: 'not-delegated', boot: 'plain', cgroup: 'rw', tests: ['test/limits/nested'], minutes: 15 },
  { id: 'settings', boot: 'plain', tests: ['lab/tests/settings'], minutes: 6 },
  { id: 'overlay', boot: 'plain', tests: ['lab/tests/overlay'], minutes: 4 },
  { id: 'fallbacks', boot: 'plain', tests: ['test/fallbacks/fallbacks'], minutes: 15 },
  { id: 'guest-attacks', boot: 'plain', tests: ['lab/tests/attacks'], minutes: 8 },
  {
    id: 'attacks',
    boot: 'plain',
    tests: ['filesystem', 'kernel', 'network', 'privileges', 'processes', 'surroundings'].map(
      (name) => `test/attacks/${name}`,
    ),
    minutes: 40,
  },
  {
    id: 'doors',
    boot: 'plain',
    tests: ['doors', 'executed', 'sealed', 'kept'].map((name) => `test/attacks/${name}`),
    minutes: 40,
  },
  { id: 'setup', boot: 'plain', tests: ['test/setup/setup'], minutes: 40 },
  {
    id: 'suite',
    boot: 'plain',
    tests: [
      'test/sandbox/run',
      'test/sandbox/policy',
      'test/namespaces/namespaces',
      'test/hardening/landlock',
      'test/library/streams',
    ],
    minutes: 40,
  },
  { id: 'contract', boot: 'plain', tests: ['test/contract/contract', 'test/contract/meeting'], minutes: 40 },
  { id: 'terminal', boot: 'plain', tests: ['test/cli/terminal'], minutes: 20 },
  // The last in its guest: it leaves a setting behind that cannot be taken back.
  { id: 'yama', boot: 'plain', tests: ['lab/tests/yama'], minutes: 30 },
  { id: 'scope', boot: 'systemd', tests: ['lab/tests/scope'], minutes: 6 },
  { id: 'user-scope', boot: 'systemd', tests: ['lab/tests/scope'], by: 'user service', minutes: 6 },
  { id: 'service', boot: 'systemd', tests: ['lab/tests/service'], minutes: 15 },
  { id: 'daemons', boot: 'systemd', tests: ['lab/tests/daemons'], minutes: 60 },
  { id: 'cost', boot: 'systemd', tests: [], bench: ['bench/limits', '--root', '--runs', '40'], minutes: 10 },
]

/** A row of the table: the tests of one job, or those with a word in their names. A bench has none. */
export interface Feature {
  readonly title: string
  readonly job: string
  readonly names?: RegExp
}

const byRoot = /\bby root\b|\bof root\b|, root/
const byUser = /ordinary user/

export const features: readonly Feature[] = [
  { title: '`vial run`, `compile` and `doctor`', job: 'smoke' },
  { title: 'cgroup v2 with all controllers: root', job: 'cgroup', names: /\broot\b/ },
  { title: 'cgroup v2 with all controllers: delegated to an ordinary user', job: 'cgroup', names: byUser },
  { title: 'sandboxes that are entered, in groups of cgroup v2: root', job: 'living', names: byRoot },
  {
    title: 'sandboxes that are entered, in groups of cgroup v2: delegated to an ordinary user',
    job: 'living',
    names: byUser,
  },
  { title: 'sandboxes that are entered, where Yama holds ptrace(2) in', job: 'yama' },
  { title: 'what enters sees and may do what the own command does (`test/contract`)', job: 'contract' },
  { title: '`io.max`, `memory.high` and pressure on a disk', job: 'io' },
  { title: 'limits, verdicts, bombs, gc: root', job: 'limits', names: byRoot },
  { title: 'limits, verdicts, bombs, gc: delegated to an ordinary user', job: 'limits', names: byUser },
  { title: 'limits of a payload that may mount', job: 'nested' },
  { title: 'limits of a payload that may mount, where cgroup v2 is mounted without nsdelegate', job: 'not-delegated' },
  { title: "a scope from systemd's system manager: root", job: 'scope' },
  { title: "a scope from systemd's user manager: ordinary user", job: 'user-scope' },
  { title: 'services: the units of examples/service, and settings of a unit', job: 'service' },
  {
    title: "named sandboxes: the units of examples/daemons, by a user's own systemd",
    job: 'daemons',
    names: /user's own/,
  },
  { title: "named sandboxes: the same, by the system's with `User=`", job: 'daemons', names: /of the system/ },
  { title: '`user.max_user_namespaces=0`: error, doctor', job: 'settings', names: /max_user_namespaces/ },
  { title: "Debian's `kernel.unprivileged_userns_clone=0`: error, doctor", job: 'settings', names: /userns_clone/ },
  { title: "AppArmor's restriction of user namespaces: error, doctor", job: 'settings', names: /AppArmor/ },
  { title: 'overlay by an ordinary user', job: 'overlay' },
  { title: 'kernels without a newer system call (ENOSYS)', job: 'fallbacks' },
  { title: 'attacks that only a guest may let succeed', job: 'guest-attacks' },
  { title: 'attacks (`test/attacks`)', job: 'attacks' },
  { title: 'attacks on pid 1, the cache and the policy, through every door', job: 'doors' },
  { title: 'hostile set-ups (`test/setup`)', job: 'setup' },
  { title: 'sandboxes, namespaces, Landlock, streams', job: 'suite' },
  { title: 'signals, and the keys of a terminal', job: 'terminal' },
]
