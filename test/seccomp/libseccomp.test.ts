/** The decisions of an OCI profile are those of libseccomp, where it is installed (libseccomp-dev and a C compiler). */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { type Abi, abiFacts, abiSyscalls, abisOf } from '../../src/kernel/abis.js'
import { type Architecture, architectures } from '../../src/kernel/architecture.js'
import { type CapabilityName, capabilities } from '../../src/kernel/capabilities.js'
import { checkPolicy } from '../../src/index.js'
import { compileSeccomp } from '../../src/seccomp/compile.js'
import { type OciProfile, type OciSyscall, ociOperators } from '../../src/seccomp/schema.js'
import { archs, callsOf, corners, numbers, random } from './calls.js'
import { type Call, decide, readProgram } from './interpreter.js'
import { newestNamed, returns } from './naive.js'

const folder = mkdtempSync(join(tmpdir(), 'vial-libseccomp-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const tool = join(folder, 'libseccomp')
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

function compare(
  profile: OciProfile,
  architecture: Architecture,
  kept: readonly CapabilityName[],
  values: readonly bigint[],
  asked: readonly number[] = numbers,
) {
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
          assert.fail(
            `${call.number} of ${arch.toString(16)} with ${call.args.map((one) => one.toString(16))}: ${found.toString(16)}, and ${wanted.toString(16)} by libseccomp; ${JSON.stringify(calls.length < 20 ? calls : [])}`,
          )
        count++
      }
  return count
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
      assert.ok(compare(docker, architecture, kept, dockerValues) > 100_000)
    })

  test(`every comparison on ${architecture} decides as by libseccomp`, options, () => {
    const names = ['getpid', 'getppid', 'getuid']
    const edges = ['0', '5', '0x7fffffff', '0xffffffff', '0x100000000', '0x500000005', '0xffffffffffffffff']
    const next = random(3)
    for (let round = 0; round < 200; round++) {
      // One call at a time, and none behind ipc(2): libseccomp 2.5.4 decides some of these unlike the rule reads.
      const name = names[next(names.length)]!
      const count = 1 + next(3)
      const first = next(2)
      const syscalls: OciSyscall[] = [
        {
          names: [name],
          action: 'SCMP_ACT_ALLOW',
          args: Array.from({ length: count }, (_, index) => ({
            index: first + index,
            op: ociOperators[next(ociOperators.length)]!,
            value: edges[next(edges.length)]!,
            valueTwo: edges[next(edges.length)]!,
          })),
        },
      ]
      const asked = abisOf[architecture].flatMap((abi) =>
        [name, 'socketcall', 'ipc'].flatMap((one) => abiSyscalls(abi).get(one) ?? []),
      )
      const profile: OciProfile = {
        defaultAction: 'SCMP_ACT_ERRNO',
        defaultErrnoRet: 38,
        architectures: abisOf[architecture].map(
          (abi) => `SCMP_ARCH_${{ ...libraryNames, arm64: 'AARCH64' }[abi].toUpperCase()}`,
        ),
        syscalls,
      }
      assert.ok(compare(profile, architecture, [], corners([...edges.map(BigInt), 1n, 2n, 3n]), asked) > 0)
    }
  })
}
