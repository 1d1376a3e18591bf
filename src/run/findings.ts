/** What this host allows, what does not work without it, and the command that repairs it. Nothing is changed. */
import { accessSync, closeSync, constants, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { errno } from '../kernel/errno.js'
import type { Policy } from '../policy/schema.js'
import { cacheFinding } from './cacheFinding.js'
import { callerName } from './caller.js'
import { calls, refusedCalls, whoRefuses } from './calls.js'
import { cgroupFinding } from './cgroupFinding.js'
import { crashFinding } from './crashFinding.js'
import type { Finding } from './finding.js'
import { askLandlock, askMountApi, askSeccomp, inWords, whyNot } from './probe.js'

const namespaces = ['user', 'mount', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'time'] as const
type Namespace = (typeof namespaces)[number]

/** In /proc/sys/user: max_mnt_namespaces and so on, namespaces(7). */
const limitOf = (name: Namespace) => `user.max_${name === 'mount' ? 'mnt' : name}_namespaces`

/** All of them, the most needed first. */
export async function findings(): Promise<readonly Finding[]> {
  const cache = cacheFinding()
  // Every question is an executable in the cache.
  if (!cache.works) return [{ name: 'vial run', works: false, detail: 'see below: the cache' }, cache]
  const [user, ...others] = await Promise.all(namespaces.map(namespaceFinding))
  const found = [
    user!,
    answer('mount API', askMountApi(), newerKernel, 'everything'),
    ...others,
    limitFinding(),
    appArmorFinding(),
    await policyFinding(
      'a /proc of its own',
      { filesystem: [{ proc: '/proc' }] },
      {
        without: 'programs that read /proc; the preset system and --fill',
        repair: maskedProc,
      },
    ),
    await policyFinding(
      'a /dev of its own',
      { filesystem: [{ dev: '/dev' }] },
      {
        without: 'programs that read /dev/null or /dev/urandom; the preset system and --fill',
        repair: 'mount a /dev that has null, zero, full, random, urandom and tty',
      },
    ),
    await policyFinding(
      'overlay',
      { filesystem: [{ overlay: '/o', lower: ['/usr'], upper: 'tmpfs' }] },
      {
        without: 'entries of the kind overlay',
        repair: 'sudo modprobe overlay  (in a user namespace it needs Linux 5.11 or newer)',
      },
    ),
    terminalFinding(),
    answer('seccomp filter', askSeccomp(), 'a kernel with CONFIG_SECCOMP_FILTER', 'filters of system calls'),
    landlockFinding(),
    await subidFinding(),
    cgroupFinding(),
    crashFinding(),
    binfmtFinding(),
  ]
  return [await wholeFinding(), cache, ...callFindings(), ...found.map(asAbove)]
}

/** One cause is told, and repaired, once. */
function asAbove(finding: Finding, _: number, all: readonly Finding[]): Finding {
  const first = all.find(({ detail, works }) => !works && detail === finding.detail)
  if (finding.works || first === undefined || first === finding) return finding
  const { repair, ...rest } = finding
  return { ...rest, detail: `see above: ${first.name}` }
}

const newerKernel = 'Linux 5.12 or newer, and no container around this process whose filter forbids the call'

/** The default sandbox of `vial run`, running nothing. */
async function wholeFinding(): Promise<Finding> {
  const name = 'vial run'
  const error = await whyNot({ preset: 'system' })
  return error === undefined ? { name, works: true } : { name, works: false, detail: firstLine(error.message) }
}

async function namespaceFinding(one: Namespace): Promise<Finding> {
  const name = `${one} namespace`
  const shared = Object.fromEntries(namespaces.map((other) => [other, 'host']))
  const error = await whyNot({ namespaces: { ...shared, user: 'new', [one]: 'new' } })
  if (error === undefined) return { name, works: true }
  const without =
    one === 'user' ? 'everything, but for root with --root' : `vial run, unless the policy has namespaces.${one} "host"`
  return {
    name,
    works: false,
    detail: firstLine(error.message),
    without,
    repair: error.code === 'ENOSYS' ? newerKernel : namespaceRepair(one),
  }
}

/** The settings that forbid user namespaces: Debian's, Ubuntu's, and the limits of namespaces(7). */
function namespaceRepair(one: Namespace): string {
  const set = (name: string, value: number) => `sudo sysctl -w ${name}=${value}`
  const causes = [
    sysctl(limitOf(one)) === '0' ? set(limitOf(one), 15000) : '',
    sysctl(limitOf('user')) === '0' ? set(limitOf('user'), 15000) : '',
    sysctl('kernel.unprivileged_userns_clone') === '0' ? set('kernel.unprivileged_userns_clone', 1) : '',
    sysctl('kernel.apparmor_restrict_unprivileged_userns') === '1'
      ? set('kernel.apparmor_restrict_unprivileged_userns', 0)
      : '',
  ].filter(Boolean)
  if (causes.length > 0) return [...new Set(causes)].join(' && ')
  const filtered = /^Seccomp:\s*2/m.test(read('/proc/self/status'))
  return filtered
    ? 'the container around this process forbids it: start that with docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined'
    : 'a kernel with CONFIG_NAMESPACES and CONFIG_USER_NS; SELinux: sudo setsebool -P selinuxuser_use_userns 1'
}

function limitFinding(): Finding {
  const name = 'user.max_*_namespaces'
  const limits = namespaces.map((one) => [limitOf(one), sysctl(limitOf(one))] as const)
  const closed = limits.filter(([, value]) => value === '0').map(([limit]) => limit)
  if (closed.length === 0) {
    const lowest = Math.min(...limits.flatMap(([, value]) => (value === undefined ? [] : [Number(value)])))
    return { name, works: true, detail: Number.isFinite(lowest) ? `at least ${lowest} of each` : 'no limits' }
  }
  return {
    name,
    works: false,
    detail: `${closed.join(', ')}: 0`,
    without: 'those namespaces',
    repair: closed.map((limit) => `sudo sysctl -w ${limit}=15000`).join(' && '),
  }
}

/** https://gitlab.com/apparmor/apparmor/-/wikis/unprivileged_userns_restriction */
function appArmorFinding(): Finding {
  const name = 'AppArmor lets users make namespaces'
  const setting = sysctl('kernel.apparmor_restrict_unprivileged_userns')
  if (setting !== '1')
    return { name, works: true, detail: setting === undefined ? 'no such restriction here' : 'it is off' }
  return {
    name,
    works: false,
    detail: 'kernel.apparmor_restrict_unprivileged_userns is 1',
    without: 'vial run by an ordinary user',
    repair:
      "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0  (to keep it: echo 'kernel.apparmor_restrict_unprivileged_userns=0' | sudo tee /etc/sysctl.d/60-vial.conf)",
  }
}

const maskedProc =
  'the container around this one masks parts of its /proc: start that with docker run --security-opt systempaths=unconfined, or podman run --security-opt unmask=ALL'

async function policyFinding(
  name: string,
  policy: Policy,
  { without, repair }: { without: string; repair: string },
): Promise<Finding> {
  const error = await whyNot(policy)
  return error === undefined
    ? { name, works: true }
    : { name, works: false, detail: firstLine(error.message), without, repair }
}

function answer(name: string, result: number, repair: string, without: string): Finding {
  return result >= 0 ? { name, works: true } : { name, works: false, detail: inWords(result), without, repair }
}

/** Each call that is refused is a finding of its own. */
function callFindings(): Finding[] {
  const refused = refusedCalls()
  if (refused.length === 0)
    return [{ name: 'system calls', works: true, detail: `all ${Object.keys(calls).length} of a vial are answered` }]
  return refused.map((one) => ({
    name: `system call ${one.call}`,
    works: false,
    detail: one.answer === 'SIGSYS' ? 'SIGSYS: a filter kills who makes it' : inWords(-errno[one.answer]),
    without: one.without,
    repair: `it is refused by ${whoRefuses(one)}: allow it there`,
  }))
}

function terminalFinding(): Finding {
  const name = 'terminals'
  try {
    closeSync(openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY))
    return { name, works: true, detail: '/dev/ptmx can be opened' }
  } catch (error) {
    return {
      name,
      works: false,
      detail: (error as Error).message,
      without: 'new pseudo-terminals on the host, for programs that want a terminal',
      repair:
        'sudo mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /dev/pts && sudo ln -sf pts/ptmx /dev/ptmx',
    }
  }
}

function landlockFinding(): Finding {
  const abi = askLandlock()
  // Scopes of signals and of abstract sockets are those of ABI 6.
  const unscoped = abi < 6 ? '; before Linux 6.12 it holds back no signal and no abstract socket' : ''
  if (abi > 0) return { name: 'Landlock', works: true, detail: `ABI ${abi}${unscoped}` }
  return {
    name: 'Landlock',
    works: false,
    detail: inWords(abi),
    without: 'a second wall around files; the mounts are the only one then',
    repair: 'a kernel 5.13 or newer with CONFIG_SECURITY_LANDLOCK, and landlock in the list of its boot parameter lsm=',
  }
}

/** subuid(5), newuidmap(1). */
async function subidFinding(): Promise<Finding> {
  const name = 'ranges of ids'
  const without = 'identity.ranges: more than one user id inside'
  const account = callerName()
  const uids = rangesOf('/etc/subuid')
  const gids = rangesOf('/etc/subgid')
  const mine = (ranges: readonly Range[]) =>
    ranges.find(({ owner }) => owner === account || owner === String(process.getuid!()))
  const own = mine(uids)
  if (!onPath('newuidmap') || !onPath('newgidmap')) {
    const repair =
      'sudo apt-get install uidmap  (Fedora: sudo dnf install shadow-utils; Alpine: sudo apk add shadow-subids)'
    return { name, works: false, detail: 'newuidmap and newgidmap are not installed', without, repair }
  }
  if (own === undefined || mine(gids) === undefined) {
    const free = Math.max(100_000, ...[...uids, ...gids].map(({ start, count }) => start + count))
    const range = `${free}-${free + 65535}`
    const repair = /^\d+$/.test(account)
      ? `echo ${account}:${free}:65536 | sudo tee -a /etc/subuid /etc/subgid`
      : `sudo usermod --add-subuids ${range} --add-subgids ${range} ${account}`
    return { name, works: false, detail: `${account} has none in /etc/subuid and /etc/subgid`, without, repair }
  }
  const error = await whyNot({ identity: { ranges: 'subids' } })
  if (error === undefined) return { name, works: true, detail: `${own.count} from ${own.start}` }
  const repair = 'sudo chmod u+s $(command -v newuidmap newgidmap)'
  return { name, works: false, detail: firstLine(error.message), without, repair }
}

interface Range {
  readonly owner: string
  readonly start: number
  readonly count: number
}

const rangesOf = (path: string): Range[] =>
  read(path)
    .split('\n')
    .flatMap((line) => {
      const [owner = '', start, count] = line.split(':')
      return count === undefined ? [] : [{ owner, start: Number(start), count: Number(count) }]
    })

function onPath(program: string): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Interpreters that the kernel knows for programs of other machines: https://docs.kernel.org/admin-guide/binfmt-misc.html */
function binfmtFinding(): Finding {
  const name = 'programs of other machines'
  let names: string[] = []
  try {
    names = readdirSync('/proc/sys/fs/binfmt_misc').filter((one) => one !== 'register' && one !== 'status')
  } catch {}
  if (names.length > 0) return { name, works: true, detail: names.join(', ') }
  return {
    name,
    works: false,
    detail: 'binfmt_misc has no interpreter',
    without: 'running a vial that was compiled for another machine with --arch',
    repair: 'sudo apt-get install qemu-user-static binfmt-support',
  }
}

const sysctl = (name: string) => read(join('/proc/sys', ...name.split('.'))).trim() || undefined

/** Without the hint, in whose place a repair is told. */
const firstLine = (text: string) => text.split('\n', 1)[0]!

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
