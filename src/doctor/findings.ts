/** What this host allows, what needs it, and the command that repairs it. Nothing is changed. */
import { closeSync, constants, existsSync, openSync, readdirSync } from 'node:fs'
import { byRoot, isOnPath, textOf } from '../cgroup/privilege.js'
import { askPasta } from '../compile/findPasta.js'
import { inWords } from '../host/asked.js'
import { calls, refusedCalls, whoRefuses } from '../host/calls.js'
import { setting, sysctl } from '../host/sysctl.js'
import { callerName } from '../host/thisHost.js'
import { userNamespaceRepair } from '../host/userNamespace.js'
import { errno } from '../kernel/errno.js'
import { limitOf, type NamespaceName, namespaceNames } from '../kernel/namespaces.js'
import { systemFault } from '../kernel/systemError.js'
import type { FilesystemEntry, Policy } from '../policy/schema.js'
import { HostError, type VialError } from '../text/error.js'
import type { Repair } from '../text/repair.js'
import { together } from '../text/repair.js'
import { cacheFinding } from './cacheFinding.js'
import { cgroupFinding } from './cgroupFinding.js'
import { crashFinding } from './crashFinding.js'
import type { Finding } from './finding.js'
import { askLandlock, askMountApi, askSeccomp, whyNot } from './probe.js'

/** All of them, the most needed first. */
export async function findings(): Promise<readonly Finding[]> {
  const none = (detail: string) => ({ name: 'vial run', works: false, detail })
  if (!existsSync('/proc/self')) return [none('see below: /proc'), noProc()]
  const cache = cacheFinding()
  // Every question is an executable in the cache.
  if (!cache.works) return [none('see below: the cache'), cache]
  const user = await namespaceFinding('user', [])
  const others = await Promise.all(namespaceNames.slice(1).map((one) => namespaceFinding(one, [user])))
  const needed = (...names: readonly NamespaceName[]) => [
    user,
    ...others.filter((_, at) => names.includes(namespaceNames[at + 1]!)),
  ]
  return [
    await wholeFinding(),
    cache,
    ...callFindings(),
    user,
    await after([user], 'mount API', 'everything', () => answer(askMountApi(), newerKernel)),
    ...others,
    limitFinding(),
    appArmorFinding(),
    await after(
      needed('mount', 'pid'),
      'a /proc of its own',
      'programs that read /proc; the preset system and --fill',
      () => policyAnswer(mounting({ proc: '/proc' }, 'pid'), () => ({ repair: maskedProc })),
    ),
    await after(
      needed('mount'),
      'a /dev of its own',
      'programs that read /dev/null or /dev/urandom; the preset system and --fill',
      () => policyAnswer(mounting({ dev: '/dev' }), () => ({ repair: devices })),
    ),
    await after(needed('mount'), 'overlay', 'entries of the kind overlay', () =>
      policyAnswer(mounting({ overlay: '/o', lower: ['/usr'], upper: 'tmpfs' }), overlayRepair),
    ),
    terminalFinding(),
    await after([], 'seccomp filter', 'filters of system calls', () =>
      answer(askSeccomp(), 'a kernel with CONFIG_SECCOMP_FILTER'),
    ),
    landlockFinding(),
    await after([user], 'ranges of ids', 'identity.ranges: more than one user id inside', subidAnswer),
    cgroupFinding(),
    crashFinding(),
    pastaFinding(),
    binfmtFinding(),
  ]
}

const noProc = (): Finding => ({
  name: '/proc',
  works: false,
  detail: 'it is not mounted here',
  without: 'everything',
  repair: byRoot('sudo mount -t proc proc /proc', 'kernel'),
})

/** What a question is answered. */
type Answer = Pick<Finding, 'works' | 'detail' | 'repair' | 'further'>

/** Asked only where all is there that the question itself needs: one cause is told, and repaired, once. */
async function after(
  needed: readonly Finding[],
  name: string,
  without: string,
  question: () => Answer | Promise<Answer>,
): Promise<Finding> {
  const missing = needed.find(({ works }) => !works)
  if (missing !== undefined) return { name, works: false, detail: `see above: ${missing.name}`, without }
  const found = await question()
  return found.works ? { name, ...found } : { name, without, ...found }
}

const newerKernel = 'Linux 5.12 or newer, and no container around this process whose filter forbids the call'

/** The default sandbox of `vial run`, running nothing. */
async function wholeFinding(): Promise<Finding> {
  const name = 'vial run'
  const error = await whyNot({ preset: 'system' })
  return error === undefined ? { name, works: true } : { name, works: false, detail: firstLine(error.message) }
}

/** Only those namespaces are the sandbox's own that are named. */
const only = (...own: readonly NamespaceName[]): Policy['namespaces'] =>
  Object.fromEntries(namespaceNames.map((one) => [one, own.includes(one) ? 'new' : 'host']))

const namespaceFinding = (one: NamespaceName, needed: readonly Finding[]): Promise<Finding> =>
  after(
    needed,
    `${one} namespace`,
    one === 'user'
      ? 'everything except root mode (--root)'
      : `vial run, unless the policy has namespaces.${one} "host"`,
    () =>
      policyAnswer({ namespaces: only('user', one) }, ({ code }) =>
        code === 'ENOSYS' ? { repair: newerKernel } : namespaceRepair(one),
      ),
  )

const mounting = (entry: FilesystemEntry, ...own: readonly NamespaceName[]): Policy => ({
  namespaces: only('user', 'mount', ...own),
  filesystem: [entry],
})

async function policyAnswer(policy: Policy, repairOf: (error: VialError) => Repair): Promise<Answer> {
  const error = await whyNot(policy)
  if (error === undefined) return { works: true }
  // Of another kind than the question: no room for a status file, no process.
  const repair = error instanceof HostError && error.hint !== undefined ? { repair: error.hint } : repairOf(error)
  return { works: false, detail: firstLine(error.message), ...repair }
}

const namespaceRepair = (one: NamespaceName): Repair =>
  one !== 'user' && sysctl(limitOf(one)) === '0' ? setting(limitOf(one), 15000) : userNamespaceRepair()

function limitFinding(): Finding {
  const name = 'user.max_*_namespaces'
  const limits = namespaceNames.map((one) => [limitOf(one), sysctl(limitOf(one))] as const)
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
    ...together(closed.map((limit) => setting(limit, 15000))),
  }
}

/** https://gitlab.com/apparmor/apparmor/-/wikis/unprivileged_userns_restriction */
function appArmorFinding(): Finding {
  const name = 'AppArmor lets users make namespaces'
  const value = sysctl('kernel.apparmor_restrict_unprivileged_userns')
  if (value !== '1')
    return { name, works: true, detail: value === undefined ? 'no such restriction here' : 'it is off' }
  return {
    name,
    works: false,
    detail: 'kernel.apparmor_restrict_unprivileged_userns is 1',
    without: 'vial run by an ordinary user',
    ...setting('kernel.apparmor_restrict_unprivileged_userns', 0),
  }
}

const devices = 'mount a /dev that has null, zero, full, random, urandom and tty'

const maskedProc =
  'the container around this one masks parts of its /proc: start that with docker run --security-opt systempaths=unconfined, or podman run --security-opt unmask=ALL'

/** /proc/filesystems has it once it is loaded. */
function overlayRepair(): Repair {
  return /\toverlay$/m.test(textOf('/proc/filesystems'))
    ? { repair: 'Linux 5.11 or newer: before, it cannot be mounted in a user namespace' }
    : {
        repair: byRoot('sudo modprobe overlay', 'kernel'),
        further: `to keep it after a boot: ${byRoot('echo overlay | sudo tee /etc/modules-load.d/overlay.conf', 'kernel')}`,
      }
}

const answer = (result: number, repair: string): Answer =>
  result >= 0 ? { works: true } : { works: false, detail: inWords(result), repair }

/** Each call that is refused is a finding of its own. */
function callFindings(): Finding[] {
  const refused = refusedCalls()
  if (refused.length === 0)
    return [{ name: 'system calls', works: true, detail: `all ${Object.keys(calls).length} of a vial are answered` }]
  return refused.map((one) => ({
    name: `system call ${one.call}`,
    works: false,
    detail: one.answer === 'SIGSYS' ? 'SIGSYS: a filter kills the process that makes it' : inWords(-errno[one.answer]),
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
      detail: systemFault(error),
      without: 'new pseudo-terminals on the host, for programs that want a terminal',
      repair: byRoot(
        'sudo mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /dev/pts && sudo ln -sf pts/ptmx /dev/ptmx',
        'kernel',
      ),
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
    without: 'a second wall around files, behind the mounts',
    repair: 'a kernel 5.13 or newer with CONFIG_SECURITY_LANDLOCK, and landlock in the list of its boot parameter lsm=',
  }
}

/** subuid(5), newuidmap(1). */
async function subidAnswer(): Promise<Answer> {
  const account = callerName()
  const uids = rangesOf('/etc/subuid')
  const gids = rangesOf('/etc/subgid')
  const mine = (ranges: readonly Range[]) =>
    ranges.find(({ owner }) => owner === account || owner === String(process.getuid!()))
  const own = mine(uids)
  if (!isOnPath('newuidmap') || !isOnPath('newgidmap')) {
    const install =
      'sudo apt-get install uidmap  (Fedora: sudo dnf install shadow-utils; Alpine: sudo apk add shadow-subids)'
    return { works: false, detail: 'newuidmap and newgidmap are not installed', repair: byRoot(install, 'files') }
  }
  if (own === undefined || mine(gids) === undefined) {
    const free = Math.max(100_000, ...[...uids, ...gids].map(({ start, count }) => start + count))
    const range = `${free}-${free + 65535}`
    const grant = /^\d+$/.test(account)
      ? `echo ${account}:${free}:65536 | sudo tee -a /etc/subuid /etc/subgid`
      : `sudo usermod --add-subuids ${range} --add-subgids ${range} ${account}`
    return {
      works: false,
      detail: `${account} has none in /etc/subuid and /etc/subgid`,
      repair: byRoot(grant, 'files'),
    }
  }
  const found = await policyAnswer({ namespaces: only('user'), identity: { ranges: 'subids' } }, () => ({
    repair: byRoot('sudo chmod u+s $(command -v newuidmap newgidmap)', 'files'),
  }))
  return found.works ? { works: true, detail: `${own.count} from ${own.start}` } : found
}

interface Range {
  readonly owner: string
  readonly start: number
  readonly count: number
}

const rangesOf = (path: string): Range[] =>
  textOf(path)
    .split('\n')
    .flatMap((line) => {
      const [owner = '', start, count] = line.split(':')
      return count === undefined ? [] : [{ owner, start: Number(start), count: Number(count) }]
    })

function pastaFinding(): Finding {
  const [name, without] = ['private network', '--network private']
  const asked = askPasta()
  if ('program' in asked) return { name, works: true, detail: asked.program }
  return { name, works: false, detail: asked.missing, without, repair: asked.repair }
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
    repair: byRoot('sudo apt-get install qemu-user-static binfmt-support', 'kernel'),
  }
}

/** Without the hint, in whose place a repair is told. */
const firstLine = (text: string) => text.split('\n', 1)[0]!
