/**
 * The property that both the test and the long fuzzing check: whatever a policy says, if it is a policy, its vial is an
 * executable that the kernel loads and that runs to an end of its own: it builds the sandbox, or says which step failed.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { compile, type Policy, PolicyError, type Size } from '../../src/index.js'
import { type CapabilityName, capabilities } from '../../src/kernel/capabilities.js'
import { type RlimitName, rlimits } from '../../src/kernel/rlimits.js'
import { ociProfile, typedProfile } from '../seccomp/arbitrary.js'
import { type Caller, workDirectory } from '../support/user.js'

type Entry = NonNullable<Policy['filesystem']>[number]

/** An object with some of these keys. */
const some = <Value extends object>(model: { [Key in keyof Value]: fc.Arbitrary<Value[Key]> }) =>
  fc.record(model, { requiredKeys: [] }) as fc.Arbitrary<Partial<Value>>

/** The same, with each key seldom there: keys that contradict one another meet less often. */
const few = <Value extends object>(model: { [Key in keyof Value]: fc.Arbitrary<Value[Key]> }) =>
  fc
    .tuple(some<Value>(model), fc.subarray(Object.keys(model), { maxLength: 8 }))
    .map(
      ([all, kept]) => Object.fromEntries(Object.entries(all).filter(([key]) => kept.includes(key))) as Partial<Value>,
    )

const flag = fc.boolean()
const id = fc.constantFrom(0, 1, 1000, 65534, 2 ** 32 - 2)
const name = fc.oneof(fc.constantFrom('a', 'b', 'usr', 'tmp', 'dev', 'x'.repeat(255)), fc.string({ minLength: 1 }))
/** Few names, so that places lie beneath and over one another. */
const place = fc
  .array(name, { minLength: 1, maxLength: 5 })
  .map((names) => `/${names.map((one) => one.replaceAll(/[\0/]|^\.+$/g, '_')).join('/')}`)
const mode = fc.oneof(fc.nat(0o7777), fc.constantFrom('0755', '644'))
const owner = some({ uid: id, gid: id })
const size = fc.constantFrom<Size>('1K', '64M', 1, 4096, '2G')
const content = fc.oneof(
  fc.string(),
  fc.uint8Array(),
  fc.nat(200_000).map((length) => 'x'.repeat(length)),
)

/** Sources are in a directory of the test's own, or what any host has; the payload is none, so that nothing is written. */
const source = (directory: string) =>
  fc.constantFrom(directory, join(directory, 'file'), '/usr', '/etc/passwd', '/no/such', '/')

const entry = (directory: string): fc.Arbitrary<Entry> => {
  const from = source(directory)
  const kind = <Key extends string>(key: Key, rest: object) =>
    fc
      .tuple(place, some(rest as Record<string, fc.Arbitrary<unknown>>))
      .map(([at, more]) => ({ [key]: at, ...more }) as unknown as Entry)
  return fc.oneof(
    fc
      .tuple(
        place,
        from,
        some({ writable: flag, recursive: flag, optional: flag, devices: flag, noexec: flag, suid: flag }),
      )
      .map(([bind, from, more]) => ({ bind, from, ...more })),
    kind('tmpfs', { size, inodes: fc.integer({ min: 1, max: 1e6 }), mode, owner, noexec: flag }),
    kind('proc', { subset: fc.constant('pid'), hidepid: fc.constantFrom('noaccess', 'ptraceable'), masked: flag }),
    kind('sysfs', {}),
    kind('dev', {}),
    kind('mqueue', {}),
    kind('directory', { mode, owner }),
    fc.tuple(place, name).map(([symlink, to]) => ({ symlink, to: to.replaceAll('\0', '_') })),
    fc
      .tuple(place, content, some({ mode, owner, mount: fc.constantFrom('readonly' as const, 'writable' as const) }))
      .map(([file, content, more]) => ({ file, content, ...more })),
    fc
      .tuple(place, fc.array(from, { minLength: 1, maxLength: 4 }), some({ upper: fc.constant('tmpfs' as const) }))
      .map(([overlay, lower, more]) => ({ overlay, lower, ...more })),
    kind('readonly', { recursive: flag, mount: flag }),
    fc.tuple(place, mode).map(([chmod, mode]) => ({ chmod, mode })),
  ) as fc.Arbitrary<Entry>
}

const setting = fc.constantFrom('new' as const, 'host' as const)
const rlimit = fc.oneof(fc.constantFrom('unlimited', '1G', '64M'), fc.integer({ min: 1, max: 1e9 }))
const text = fc.string().map((one) => one.replaceAll('\0', '_'))
/** The last calls of a vial: a profile that kills for these ends it where it cannot say anything. */
const always = { calls: ['execve', 'write', 'writev', 'pwrite64', 'exit_group', 'exit'], do: 'allow' } as const

export const anyPolicy = (directory: string): fc.Arbitrary<Policy> =>
  few<Policy>({
    preset: fc.constantFrom('system', 'empty'),
    fill: fc.constant({ program: 'true' }),
    root: some({ writable: flag, size }),
    filesystem: fc.oneof(fc.array(entry(directory), { maxLength: 2 }), fc.array(entry(directory), { maxLength: 12 })),
    namespaces: few({
      user: setting,
      mount: setting,
      pid: setting,
      net: setting,
      ipc: setting,
      uts: setting,
      cgroup: setting,
      time: fc.oneof(setting, some({ boottime: fc.nat(1000), monotonic: fc.nat(1000) })),
    }),
    identity: some({ uid: id, gid: id, user: fc.constant('me') }),
    hostname: fc.constantFrom('h', '', 'x'.repeat(64), 'é'),
    domainname: fc.constantFrom('d', ''),
    env: some({
      set: fc.dictionary(
        fc.string({ minLength: 1 }).map((one) => one.replaceAll(/[=\0]/g, '_')),
        text,
      ),
      inherit: fc.oneof<fc.Arbitrary<true | string[]>[]>(
        fc.constant(true),
        fc.constant(['PATH', 'L*', '*'] as string[]),
      ),
    }),
    cwd: place,
    argv0: text,
    umask: mode,
    rlimits: fc.dictionary(fc.constantFrom(...(Object.keys(rlimits) as RlimitName[])), rlimit) as fc.Arbitrary<
      NonNullable<Policy['rlimits']>
    >,
    capabilities: fc.subarray(Object.keys(capabilities) as CapabilityName[]),
    landlock: fc.constantFrom('on', 'off', 'required'),
    disableUserns: flag,
    seccomp: fc.oneof(
      fc.constantFrom('default', 'strict', 'nested', 'none'),
      typedProfile.map((profile) => ({ ...profile, rules: [always, ...profile.rules] })),
      ociProfile.map((profile) => ({
        ...profile,
        defaultAction: 'SCMP_ACT_ALLOW' as const,
        syscalls: [{ names: [...always.calls], action: 'SCMP_ACT_LOG' as const }, ...profile.syscalls!],
      })),
    ) as fc.Arbitrary<NonNullable<Policy['seccomp']>>,
    session: fc.constantFrom('new', 'host'),
    dieWithParent: flag,
    init: fc.constantFrom('reaper', 'payload'),
  })

export interface Loaded {
  /** Vials that came as far as to look for the program… */
  complete: number
  /** …and those of which a step failed. */
  refused: number
  /** No policies, by their own faults. */
  faults: number
}

/** The program that is run is not there: that every step before it was done is then known by its message. */
const absent = '/no such program'

function check(policy: Policy, caller: Caller, file: string, seen: Loaded): void {
  let bytes: Uint8Array
  try {
    bytes = compile(policy, { base: '/' }).bytes
  } catch (error) {
    assert.ok(error instanceof PolicyError, `${error}`)
    seen.faults++
    return
  }
  // Where pids are the host's, who watches over the last one's monitor ends just after it: its file may still be busy.
  rmSync(file, { force: true })
  writeFileSync(file, bytes, { mode: 0o755 })
  const { error, signal, status, stderr } = spawnSync(file, [absent], {
    encoding: 'utf8',
    timeout: 20_000,
    ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
  })
  const said = `${error ?? ''} ${signal ?? ''} ${status}: ${stderr}`
  assert.ok(error === undefined && signal === null, said)
  assert.match(stderr, /^vial: cannot |^vial: \/no such program/, said)
  if (status === 127) seen.complete++
  else seen.refused++
  assert.ok([125, 126, 127].includes(status!), said)
}

/** Checks random policies for so many runs, or so many seconds; those of one seed are the same each time. */
export function loads(
  caller: Caller,
  limit: { readonly runs: number; readonly seed?: number } | { readonly seconds: number },
): Loaded {
  const directory = workDirectory(caller, 'loads')
  mkdirSync(join(directory, 'bound', 'a'), { recursive: true })
  writeFileSync(join(directory, 'bound', 'file'), 'x')
  const seen: Loaded = { complete: 0, refused: 0, faults: 0 }
  const options =
    'runs' in limit
      ? { numRuns: limit.runs, ...(limit.seed === undefined ? {} : { seed: limit.seed }) }
      : { numRuns: 2 ** 31 - 1, interruptAfterTimeLimit: limit.seconds * 1000 }
  const property = fc.property(anyPolicy(join(directory, 'bound')), (policy) =>
    check(policy, caller, join(directory, 'vial'), seen),
  )
  fc.assert(property, { ...options, includeErrorInReport: true })
  return seen
}
