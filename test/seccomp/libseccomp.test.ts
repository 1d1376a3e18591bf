/** The decisions of an OCI profile are those of libseccomp, where it is installed (libseccomp-dev and a C compiler). */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { checkPolicy } from '../../src/index.js'
import { type Abi, abiFacts, abiSyscalls, abisOf } from '../../src/kernel/abis.js'
import { type Architecture, architectures } from '../../src/kernel/architecture.js'
import { type CapabilityName, capabilities } from '../../src/kernel/capabilities.js'
import { compileSeccomp } from '../../src/seccomp/compileProfile.js'
import { type OciProfile, type OciSyscall, ociOperators } from '../../src/seccomp/profileSchema.js'
import { archs, callsOf, corners, numbers, random } from './calls.js'
import { type Call, decide, readProgram } from './interpreter.js'
import { naiveOciDecision, newestNamed, returns } from './naive.js'

const directory = mkdtempSync(join(tmpdir(), 'vial-libseccomp-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
const tool = join(directory, 'libseccomp')
const built = spawnSync('gcc', ['-o', tool, 'test/seccomp/libseccomp.c', '-lseccomp'])
const options = built.status === 0 ? {} : { skip: 'gcc or libseccomp-dev is not installed' }

const libraryNames: Record<Abi, string> = { x64: 'x86_64', x32: 'x32', i386: 'x86', arm64: 'aarch64', arm32: 'arm' }
const actions: Record<string, number> = {
  SCMP_ACT_KILL: returns.killThread,
  SCMP_ACT_KILL_PROCESS: returns.killProcess,
  SCMP_ACT_TRAP: returns.trap,
  SCMP_ACT_LOG: returns.log,
  SCMP_ACT_ALLOW: returns.allow,
}
const value = (one: Pick<OciSyscall, 'action' | 'errnoRet'>) =>
  actions[one.action] ?? (one.action === 'SCMP_ACT_ERRNO' ? returns.errno : returns.trace) + (one.errnoRet ?? 1)

/** The calls that Docker would hand to its runtime. */
function chosen(profile: OciProfile, architecture: Architecture, kept: readonly string[]): OciSyscall[] {
  const arch = { x64: 'amd64', arm64: 'arm64' }[architecture]
  return (profile.syscalls ?? []).filter(({ includes, excludes }) => {
    if (includes?.arches && !includes.arches.includes(arch)) return false
    if (includes?.caps && !includes.caps.every((cap) => kept.includes(cap))) return false
    return !excludes?.arches?.includes(arch) && !excludes?.caps?.some((cap) => kept.includes(cap))
  })
}

function byLibrary(profile: OciProfile, calls: readonly OciSyscall[], abis: readonly Abi[]) {
  const otherwise = value({ action: profile.defaultAction, errnoRet: profile.defaultErrnoRet })
  const words = [`default ${otherwise}`, ...abis.map((abi) => `arch ${libraryNames[abi]}`), 'archs-end']
  for (const one of calls) {
    if (value(one) === otherwise) continue
    const args = (one.args ?? []).map(
      ({ index, op, value = 0, valueTwo = 0 }) =>
        `${index} ${ociOperators.indexOf(op) + 1} ${BigInt(value)} ${BigInt(valueTwo)}`,
    )
    const twice = new Set(one.args?.map(({ index }) => index)).size < args.length
    for (const name of one.names ?? [])
      for (const list of twice ? args.map((arg) => [arg]) : [args])
        words.push(`rule ${value(one)} ${name} ${list.length} ${list.join(' ')}`)
  }
  const { stdout, stderr, status } = spawnSync(tool, { input: words.join('\n') })
  assert.equal(status, 0, stderr.toString())
  return readProgram(new Uint8Array(stdout))
}

const isKill = (action: number) => action === returns.killProcess || action === returns.killThread

interface Compared {
  readonly count: number
  /** Calls that are decided in another way than by the library. */
  readonly unlike: readonly (Call & { readonly ours: number; readonly theirs: number })[]
}

function compare(
  profile: OciProfile,
  architecture: Architecture,
  kept: readonly CapabilityName[],
  values: readonly bigint[],
  asked: readonly number[] = numbers,
): Compared {
  const { seccomp } = checkPolicy({ seccomp: profile })
  const ours = readProgram(
    compileSeccomp(seccomp as OciProfile, { architecture, capabilities: kept, kernel: '6.18.0' })!.program,
  )
  const calls = chosen(profile, architecture, kept)
  const abis = abisOf[architecture] as readonly Abi[]
  const library = byLibrary(profile, calls, abis)
  const given = { ...profile, syscalls: calls }
  const otherwise = value({ action: profile.defaultAction, errnoRet: profile.defaultErrnoRet })
  const next = random(7)
  // From a 32-bit program the kernel gets no more.
  const narrow = values.map((one) => BigInt.asUintN(32, one))
  let count = 0
  const unlike: Compared['unlike'][number][] = []
  /** libseccomp has no notion of newer calls: libcontainer puts this before its filter. */
  const isNewer = ({ number, arch }: Call) => {
    const x32 = number >= 0x40000000 && number !== 0xffffffff
    const abi = abis.find((one) => abiFacts[one].audit === arch && (one === 'x64' ? !x32 : one !== 'x32' || x32))
    return abi !== undefined && number > newestNamed(given, abi)
  }
  for (const arch of archs)
    for (const number of asked)
      for (const call of callsOf(number, arch, arch < 0x80000000 ? narrow : values, 30, next)) {
        const [found, theirs] = [decide(ours, call), decide(library, call)]
        const wanted = theirs === otherwise && otherwise >>> 16 === 5 && isNewer(call) ? returns.errno + 38 : theirs
        if (found !== wanted && !(isKill(found) && isKill(wanted)))
          unlike.push({ ...call, ours: found, theirs: wanted })
        count++
      }
  return { count, unlike }
}

function assertAlike({ count, unlike: [first] }: Compared, profile: OciProfile, least: number): void {
  assert.ok(count >= least)
  if (first === undefined) return
  const { number, arch, args, ours, theirs } = first
  assert.fail(
    `${number} of ${arch.toString(16)} with ${args.map((one) => one.toString(16))}: ${ours.toString(16)}, and ${theirs.toString(16)} by libseccomp; ${JSON.stringify(profile.syscalls!.length < 20 ? profile.syscalls : [])}`,
  )
}

const docker = JSON.parse(readFileSync('test/seccomp/docker.json', 'utf8')) as OciProfile
const dockerValues = corners([
  0n,
  1n,
  2n,
  3n,
  8n,
  9n,
  11n,
  16n,
  21n,
  40n,
  0x20000n,
  0x20008n,
  0xffffffffn,
  0x7e020000n,
  0x10000000n,
  0x11n,
])

for (const architecture of architectures) {
  for (const [what, kept] of [
    ['no capability', []],
    ['CAP_SYS_ADMIN', ['CAP_SYS_ADMIN']],
    ['all capabilities', Object.keys(capabilities) as CapabilityName[]],
  ] as const)
    test(`Docker's profile on ${architecture} with ${what} decides as by libseccomp`, options, () => {
      assertAlike(compare(docker, architecture, kept, dockerValues), docker, 100_000)
    })

  // Plain ones, and those that i386 also has, or only has, behind socketcall(2) and ipc(2).
  for (const names of [
    ['getpid', 'getppid', 'getuid'],
    ['connect', 'shmat', 'semop'],
  ]) {
    test(`every comparison of ${names} on ${architecture} decides as by libseccomp`, options, () => {
      const next = random(3)
      for (let round = 0; round < 100; round++) {
        // Not alone: see the test of the library's lost load.
        const profile = profileOf(architecture, [
          { names: ['read'], action: 'SCMP_ACT_ALLOW' },
          randomRule(names, next),
        ])
        assertAlike(compare(profile, architecture, [], values, askedOf(architecture, names)), profile, 1000)
      }
    })
  }

  test(`where rules of one call on ${architecture} make libseccomp err, ours decides as they read`, options, () => {
    const names = ['getppid', 'shmat']
    const next = random(5)
    let alike = 0
    for (let round = 0; round < 100; round++) {
      const rules = Array.from({ length: 2 + next(2) }, () => randomRule(names, next))
      const profile = profileOf(architecture, [{ names: ['read'], action: 'SCMP_ACT_ALLOW' }, ...rules])
      const { count, unlike } = compare(profile, architecture, [], values, askedOf(architecture, names))
      alike += count - unlike.length
      for (const call of unlike) assert.equal(call.ours, naiveOciDecision(profile, architecture, call))
    }
    assert.ok(alike > 50_000)
  })
}

const edges = ['0', '5', '0x7fffffff', '0xffffffff', '0x100000000', '0x500000005', '0xffffffffffffffff']
const values = corners([...edges.map(BigInt), 1n, 2n, 3n, 21n])

function randomRule(names: readonly string[], next: (below: number) => number): OciSyscall {
  const first = next(2)
  return {
    names: [names[next(names.length)]!],
    action: 'SCMP_ACT_ALLOW',
    args: Array.from({ length: 1 + next(3) }, (_, index) => ({
      index: first + index,
      op: ociOperators[next(ociOperators.length)]!,
      value: edges[next(edges.length)]!,
      valueTwo: edges[next(edges.length)]!,
    })),
  }
}

function profileOf(architecture: Architecture, syscalls: OciSyscall[]): OciProfile {
  const abis = abisOf[architecture].map((abi) => ({ ...libraryNames, arm64: 'AARCH64' })[abi].toUpperCase())
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 38,
    architectures: abis.map((abi) => `SCMP_ARCH_${abi}`),
    syscalls,
  }
}

const askedOf = (architecture: Architecture, names: readonly string[]) =>
  abisOf[architecture].flatMap((abi) =>
    [...names, 'socketcall', 'ipc'].flatMap((one) => abiSyscalls(abi).get(one) ?? []),
  )

/** What we know it to do otherwise than its rules read; a release that does it right is no fault of ours. */
const erring = (architecture: Architecture, rules: OciSyscall[], call: Call) => {
  const profile = profileOf(architecture, rules)
  const theirs = decide(byLibrary(profile, rules, abisOf[architecture]), call)
  const ours = decide(readProgram(compileSeccomp(profile, { architecture, kernel: '6.18.0' })!.program), call)
  return { ours, theirs, read: naiveOciDecision(profile, architecture, call) }
}
const isKnown = spawnSync(tool, { input: 'version', encoding: 'utf8' }).stdout === '2.5.4'

/**
 * The number is loaded where the first call of an ABI is looked for. One that has no number of its own there, such as
 * semop on i386, is left out with that load, and what follows compares the architecture instead: nothing is ever found.
 */
test('libseccomp 2.5.4 loses the load of the number before a call that i386 has only behind ipc(2)', options, () => {
  const rule: OciSyscall = {
    names: ['semop'],
    action: 'SCMP_ACT_ALLOW',
    args: [{ index: 1, op: 'SCMP_CMP_NE', value: 0 }],
  }
  const call: Call = { number: 117, arch: abiFacts.i386.audit, args: [1n, 13n, 0n, 0n, 0n, 0n] }
  const { ours, theirs, read } = erring('x64', [rule], call)
  assert.deepEqual([ours, read], [returns.allow, returns.allow])
  if (isKnown) assert.equal(theirs, returns.errno + 38)
  // Another call before it, and the load is there.
  const { theirs: then } = erring('x64', [{ names: ['read'], action: 'SCMP_ACT_ALLOW' }, rule], call)
  assert.equal(then, returns.allow)
})

/** Rules of one call share a tree of 64-bit comparisons there, in which one rule may get what belongs to another. */
test('libseccomp 2.5.4 allows what no rule of several allows', options, () => {
  const rule = (...args: [(typeof ociOperators)[number], string][]): OciSyscall => ({
    names: ['getppid'],
    action: 'SCMP_ACT_ALLOW',
    args: args.map(([op, value], index) => ({ index: 1 + index, op, value })),
  })
  const rules = [
    rule(['SCMP_CMP_LE', '0x7fffffff'], ['SCMP_CMP_LE', '0x500000005']),
    rule(['SCMP_CMP_GE', '0x500000005'], ['SCMP_CMP_GE', '0x7fffffff']),
  ]
  const call: Call = { number: 110, arch: abiFacts.x64.audit, args: [0n, 0x15n, 0xd00000000n, 0n, 0n, 0n] }
  const { ours, theirs, read } = erring('x64', rules, call)
  assert.deepEqual([ours, read], [returns.errno + 38, returns.errno + 38])
  if (isKnown) assert.equal(theirs, returns.allow)
})
