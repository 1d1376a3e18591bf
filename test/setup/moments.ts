/** Two names in /shown, exchanged before each system call of a builder in turn: programs/meanwhile.c. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, lstatSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root, workDirectory } from '../support/user.js'
import type { Case } from './cases.js'
import { type Door, type Outcome, start } from './doors.js'
import { makeScene } from './scene.js'

/** How the program exits when the moment never came. */
export const neverCame = 99
/** After as many calls each of these steps is over. */
export const moments = 16

const source = fileURLToPath(new URL('../../../test/setup/programs/meanwhile.c', import.meta.url))
let built: string | undefined
function program(): string {
  if (built !== undefined) return built
  const builder = process.getuid?.() === 0 ? root : { name: 'caller', uid: process.getuid!(), gid: process.getgid!() }
  const path = join(workDirectory(builder, 'moments'), 'meanwhile')
  for (const directory of ['..', '.']) chmodSync(join(path, '..', directory), 0o755)
  const { status, stderr } = spawnSync('gcc', ['-O1', '-o', path, source], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  built = path
  return path
}

export interface Moment {
  /** Calls are counted from the first on whose path has this component. */
  readonly name: string
  readonly moment: number
  /** The call after which it is too late; default: never. */
  readonly until?: string
  /** The two names in /shown that are exchanged, or the one that is removed. */
  readonly meanwhile: readonly [one: string, other?: string]
}

/** A command that is interrupted once; it starts where /shown lies, as `work`. */
export const atMoment = (
  { name, moment, until = '-', meanwhile: [one, other] }: Moment,
  command: readonly string[],
) => [
  program(),
  ...[name, String(moment), until, join('work', one), other === undefined ? '' : join('work', other)],
  ...command,
]

/**
 * Tries a case of `races` at each moment through one door, until the host is reached: how often it started, and what it came
 * to last. Undefined where the door lacks the operation.
 */
export function sweep(door: Door, one: Case, top: string): { starts: number; last?: Outcome } | undefined {
  const scene = makeScene(top, door.caller, door.payload, door.host)
  one.make(scene)
  const command = door.command(one, scene)
  if (command === undefined) return undefined
  const x = join(scene.work, 'x')
  const y = join(scene.work, 'y')
  for (let moment = 0; ; moment++) {
    const last = start(door, one, scene, atMoment({ name: 'x', moment, meanwhile: ['x', 'y'] }, command))
    if (last.status === neverCame) return { starts: moment }
    assert.ok(last.status === null || last.status < 95 || last.status > 98, `nothing was exchanged: ${last.status}`)
    if (last.reached !== undefined || moment === moments - 1) return { starts: moment + 1, last }
    if (lstatSync(x).isSymbolicLink())
      for (const [from, to] of [
        [x, `${x}.link`],
        [y, x],
        [`${x}.link`, y],
      ])
        renameSync(from!, to!)
    for (const path of [join(x, 'new'), join(scene.outside, 'new')]) rmSync(path, { recursive: true, force: true })
  }
}
