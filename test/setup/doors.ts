/** The ways to a sandbox, ours and others', and what a case came to by each. */
import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compileBwrap } from '../../src/bwrap/compileRequest.js'
import { parse } from '../../src/cli/commandLine.js'
import { policyFromFlags } from '../../src/cli/flagsToPolicy.js'
import { policyOptions } from '../../src/cli/policyFlags.js'
import { compilePlan } from '../../src/compile/compilePlan.js'
import { compile, type Policy } from '../../src/index.js'
import type { Plan } from '../../src/plan/plan.js'
import type { Place, Step } from '../../src/plan/step.js'
import { installed } from '../support/needs.js'
import { withSteps } from '../support/plans.js'
import { type Caller, ordinary, root } from '../support/user.js'
import type { Case, Kind } from './cases.js'
import { canary, makeScene, type Owner, picture, type Scene } from './scene.js'

/**
 * How the host was reached: something outside changed, or was shown; what was to be read-only was written; a device was
 * opened; or the builder waits for ever.
 */
export type Reached = 'changed' | 'shown' | 'written' | 'opened' | 'hung'

/** What is started: a program and its arguments, once for all starts of a case. */
type Command = readonly string[]

export interface Door {
  readonly name: string
  readonly caller: Caller
  /** Who wrote in /shown before. */
  readonly payload: Owner
  /** Nothing where the door lacks the operation. */
  readonly command: (one: Case, scene: Scene) => Command | undefined
  readonly whose: 'ours' | 'theirs'
  /** Where the host's root lies while the new one is built; default: "/". */
  readonly host?: string
  /** Is meant to be reached. */
  readonly weak?: true
}

const nobody: Owner = { uid: 65534, gid: 65534 }
const payloadOf = ({ script }: Case): Command => (script === undefined ? ['/usr/bin/true'] : ['/bin/sh', '-c', script])

// --- vial -------------------------------------------------------------------------------------------------------

const links = ['bin', 'lib', 'lib64', 'sbin']
const policyOf = (one: Case, scene: Scene, rootMode: boolean): Policy => ({
  filesystem: [
    { bind: '/usr' },
    ...links.map((name) => ({ symlink: `/${name}`, to: `usr/${name}` })),
    { bind: '/shown', from: scene.work, writable: true, devices: one.devices ?? false },
    { bind: '/other', from: scene.other, writable: true },
    ...one.operation.entries(one.place, scene),
  ],
  ...(rootMode ? { namespaces: { user: 'host' } } : {}),
})

let programs = 0
function executable(bytes: Uint8Array, scene: Scene, words: Command): Command {
  const path = join(scene.base, `vial-${programs++}`)
  writeFileSync(path, bytes, { mode: 0o755 })
  return [path, ...words]
}

/** A plan is data: each of these takes one wall out of it. */
export const weakenings = {
  // As if nothing had been planted: the kernel walks every place as it is.
  owned: (step: Step): Step => placed(step, ({ path }) => ({ path, owned: true })),
  // As bwrap(1) does: links are followed inside the new root, and files may have other names.
  followed: (step: Step): Step => placed(step, ({ path }) => ({ path, owned: false, planted: false })),
  // As every program does.
  sources(step: Step): Step {
    const bare = (layer: { path: string }) => ({ path: layer.path })
    if (step.do === 'bind') {
      const { within, ...rest } = step
      return rest
    }
    if (step.do !== 'overlay') return step
    const { lower, upper } = step
    return {
      ...step,
      lower: lower.map(bare),
      upper: typeof upper === 'object' ? { upper: bare(upper.upper), work: bare(upper.work) } : upper,
    }
  },
}
const wallOf: Readonly<Record<Kind, keyof typeof weakenings>> = {
  host: 'owned',
  'other bind': 'followed',
  file: 'owned',
  'other name': 'followed',
  protection: 'followed',
  source: 'sources',
}
function placed(step: Step, change: (place: Place) => Place): Step {
  if (!('place' in step)) return step
  const moved = <Kind extends { place: Place }>(one: Kind): Kind =>
    one.place.owned ? one : { ...one, place: change(one.place) }
  return step.do === 'bind' ? { ...moved(step), above: step.above.map(moved) } : moved(step)
}

export function weakened({ plan }: { plan: Plan }, weaken: (step: Step) => Step): Uint8Array {
  // Descriptors are a way out that is none of this.
  return compilePlan(withSteps(plan, (step) => (step.do === 'closeFds' ? [] : [weaken(step)]))).bytes
}

const vial = (name: string, caller: Caller, rootMode = false): Door[] => {
  const common = { caller, payload: rootMode ? nobody : caller, whose: 'ours' as const }
  const compiled = (one: Case, scene: Scene) => compile(policyOf(one, scene, rootMode))
  return [
    { ...common, name, command: (one, scene) => executable(compiled(one, scene).bytes, scene, payloadOf(one)) },
    {
      ...common,
      name: `${name}, weakened`,
      weak: true,
      command: (one, scene) =>
        executable(weakened(compiled(one, scene), weakenings[wallOf[one.kind]]), scene, payloadOf(one)),
    },
  ]
}

/** `vial run` with flags: the policy that they come to. */
const command = (name: string, caller: Caller, rootMode = false): Door => ({
  name,
  caller,
  payload: rootMode ? nobody : caller,
  whose: 'ours',
  command(one, scene) {
    const own = one.operation.flags?.(one.place, scene)
    if (own === undefined) return undefined
    const shown = ['--rw', `${scene.work}:/shown`, '--rw', `${scene.other}:/other`]
    const { flags } = parse([...shown, ...own, ...(rootMode ? ['--root'] : [])], policyOptions, true)
    return executable(compile(policyFromFlags(flags).given).bytes, scene, payloadOf(one))
  },
})

// --- bwrap's options --------------------------------------------------------------------------------------------

function bwrapOptions(one: Case, scene: Scene): string[] | undefined {
  const options = one.operation.bwrap?.(one.place, scene)
  if (options === undefined) return undefined
  const system = ['--ro-bind', '/usr', '/usr', ...links.flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`])]
  const shown = [one.devices ? '--dev-bind' : '--bind', scene.work, '/shown', '--bind', scene.other, '/other']
  return ['--unshare-pid', '--unshare-ipc', ...system, ...shown, ...options]
}

const dropIn = (name: string, caller: Caller, ...own: string[]): Door => ({
  name,
  caller,
  payload: caller,
  whose: 'ours',
  command(one, scene) {
    const options = bwrapOptions(one, scene)
    if (options === undefined) return undefined
    return executable(compileBwrap([...own, ...options, 'x'], caller).bytes, scene, payloadOf(one))
  },
})

const bubblewrap = (name: string, caller: Caller): Door => ({
  name,
  caller,
  payload: caller,
  whose: 'theirs',
  host: '/oldroot',
  command(one, scene) {
    const options = one.operation.newer ? undefined : bwrapOptions(one, scene)
    return options === undefined ? undefined : ['bwrap', ...options, ...payloadOf(one)]
  },
})

// --- OCI --------------------------------------------------------------------------------------------------------

const runtime = (name: 'crun' | 'runc'): Door => ({
  name,
  caller: root,
  payload: nobody,
  whose: 'theirs',
  command(one, scene) {
    const mount = one.operation.oci?.(one.place, scene)
    if (mount === undefined) return undefined
    const rootfs = join(scene.base, 'rootfs')
    if (!existsSync(rootfs)) {
      for (const place of ['usr', 'proc', 'dev', 'work', 'other']) mkdirSync(join(rootfs, place), { recursive: true })
      for (const link of links) symlinkSync(`usr/${link}`, join(rootfs, link))
    }
    const shown = (source: string, destination: string, ...options: string[]) => ({
      ...{ destination, source, type: 'bind' },
      options: ['rbind', ...options],
    })
    writeFileSync(
      join(scene.base, 'config.json'),
      JSON.stringify({
        ociVersion: '1.0.2',
        process: { ...{ user: { uid: 0, gid: 0 }, cwd: '/' }, args: payloadOf(one), env: ['PATH=/usr/bin:/bin'] },
        root: { path: 'rootfs' },
        mounts: [
          { destination: '/proc', type: 'proc', source: 'proc' },
          shown('/usr', '/usr', 'ro'),
          shown(scene.work, '/shown'),
          shown(scene.other, '/other'),
          mount,
        ],
        linux: { namespaces: ['mount', 'pid', 'ipc'].map((type) => ({ type })) },
      }),
    )
    // crun refuses where version 2 has been mounted beside version 1.
    const alone = 'umount /sys/fs/cgroup/unified 2>&-; exec "$@"'
    const words = [name, '--root', join(scene.base, 'state'), ...(name === 'crun' ? ['--cgroup-manager=disabled'] : [])]
    const id = `vial-setup-${process.pid}-${programs++}`
    return ['unshare', '-m', 'sh', '-c', alone, 'sh', ...words, 'run', '--bundle', scene.base, id]
  },
})

// --- trying -----------------------------------------------------------------------------------------------------

const asRoot = process.getuid?.() === 0
const self: Caller = { name: 'caller', uid: process.getuid!(), gid: process.getgid!() }
const user = asRoot ? ordinary : self

/** All ways; without root only those of the caller's own. */
export const doors: readonly Door[] = [
  ...vial('policy', user),
  ...(asRoot ? [...vial('policy, by root', root), ...vial('policy, root mode', root, true)] : []),
  command('vial run', user),
  ...(asRoot ? [command('vial run --root', root, true)] : []),
  dropIn('vial-bwrap', user),
  ...(asRoot ? [dropIn('vial-bwrap, by root', root)] : []),
  dropIn('vial-bwrap --refuse-links', asRoot ? root : self, '--refuse-links'),
  ...(installed('bwrap') ? [bubblewrap('bwrap', user)] : []),
  ...(asRoot && installed('bwrap') ? [bubblewrap('bwrap, by root', root)] : []),
  ...(['crun', 'runc'] as const).filter((name) => asRoot && installed(name)).map(runtime),
]
/** Made by us, and meant to hold. */
export const ours = doors.filter(({ whose, weak }) => whose === 'ours' && !weak)

/** What a door came to: reached or not, and what it said; undefined where the door lacks the operation. */
export interface Outcome {
  readonly reached: Reached | undefined
  readonly said: string
  readonly status: number | null
}

/** Tries one case through one door, in a scene of its own below `top`, which all callers may enter. */
export function attempt(door: Door, one: Case, top: string): Outcome | undefined {
  const scene = makeScene(top, door.caller, door.payload, door.host)
  one.make(scene)
  const command = door.command(one, scene)
  return command && start(door, one, scene, command)
}

export function start(door: Door, one: Case, scene: Scene, [program, ...words]: Command): Outcome {
  const before = [picture(scene.outside), picture(scene.other)]
  const content = join(scene.base, 'content')
  writeFileSync(content, 'planted')
  const needsDirectory = one.operation.name === 'bind from a descriptor'
  const fds = [needsDirectory ? join(scene.other, 'dir') : content, scene.outside].map((path) => openSync(path, 'r'))
  const { stdout, stderr, status, error } = spawnSync(program!, words, {
    cwd: scene.base,
    env: { PATH: process.env.PATH ?? '' },
    encoding: 'utf8',
    // What hangs does so for ever: the shorter time is for doors that are meant to.
    timeout: door.weak || door.whose === 'theirs' ? 1500 : 20_000,
    killSignal: 'SIGKILL',
    stdio: ['ignore', 'pipe', 'pipe', 'ignore', 'ignore', ...fds],
    ...(asRoot ? { uid: door.caller.uid, gid: door.caller.gid } : {}),
  })
  for (const fd of fds) closeSync(fd)
  const hung = (error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT'
  const written = one.kind === 'protection' && existsSync(join(scene.work, 'last/written'))
  const changed = [picture(scene.outside), picture(scene.other)].some((now, index) => now !== before[index])
  const opened = one.devices === true && stderr.includes('No space left on device')
  const ways: [boolean, Reached][] = [
    [hung, 'hung'],
    [changed, 'changed'],
    [stdout.includes(canary), 'shown'],
    [written, 'written'],
    [opened, 'opened'],
  ]
  return { reached: ways.find(([was]) => was)?.[1], said: stderr, status }
}

/** What vial-bwrap does as bwrap(1) does: it follows links inside the new root, and those of the caller's own paths. */
export const follows = (door: Door, { kind }: Case): boolean =>
  door.name.startsWith('vial-bwrap') && !door.name.includes('--refuse-links') && kind !== 'host' && kind !== 'file'
