/** What is seen through each door, of a sandbox that a caller starts. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { evaluate } from '../support/evaluate.js'
import { delegate } from '../support/groups.js'
import { type Caller, workDirectory } from '../support/user.js'
import type { Left, Told } from './doors.js'
import { type Lines, linesOf } from './lines.js'
import { probe, sectionsOf } from './probe.js'

/** The lines in which a command that joined later differs, in any sandbox: as init's payload has it, and as the command does. */
export const expected: Readonly<Record<string, readonly [string, string]>> = {
  // Its parent is the monitor that its caller waits for, which is in no pid namespace of the sandbox.
  parent: ['1', '0'],
  // It ends with that monitor. What init has made ends with init.
  'parent-death signal': ['0', '9'],
}

/** As of {@link Told}. */
interface Seen {
  readonly init: Lines
  readonly joined: Readonly<Record<string, Lines>>
  readonly others: Readonly<Record<string, Lines>>
  readonly callers: readonly string[]
  readonly housed: boolean
}

const doors = new URL('doors.js', import.meta.url).href
const bytes = probe()

export async function seenBy(
  caller: Caller,
  name: string,
  policy: StrictPolicy,
  without?: readonly Left[],
): Promise<Seen> {
  const directory = workDirectory(caller, `contract, ${name}`)
  const program = join(directory, 'probe')
  writeFileSync(program, bytes, { mode: 0o755 })
  chmodSync(directory, 0o700)
  const ownMounts = policy.namespaces?.mount === undefined
  const whole: StrictPolicy = ownMounts
    ? {
        preset: 'system',
        ...policy,
        filesystem: [...(policy.filesystem ?? []), { bind: '/probe', from: program }],
      }
    : policy
  const delegation = policy.limits === undefined ? undefined : delegate(caller)
  const wrapper = delegation?.wrapper
  const told: Told = await evaluate(
    caller,
    async (_, { doors, policy, command, directory, without }) =>
      (await import(doors)).throughDoors(policy, command, directory, without),
    { doors, policy: whole, command: ownMounts ? '/probe' : program, directory, without },
    { env: { XDG_RUNTIME_DIR: directory }, ...(wrapper === undefined ? {} : { wrapper }) },
  ).finally(() => delegation?.remove())
  const read = (text: string) => {
    const lines = [...linesOf(sectionsOf(Buffer.from(text, 'base64')))]
    // What is mounted on the host may change meanwhile.
    return new Map(ownMounts ? lines : lines.filter(([name]) => !name.startsWith('/proc/self/mountinfo')))
  }
  const readAll = (texts: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(texts).map(([door, text]) => [door, read(text)]))
  const { callers, housed } = told
  return { init: read(told.init), joined: readAll(told.joined), others: readAll(told.others), callers, housed }
}
