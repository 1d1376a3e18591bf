/** The environment that a vial is started with: what it hands on of the caller's, or all that the payload gets. */
import type { Environment } from '../plan/manner.js'
import type { Policy } from '../policy/schema.js'

/** What the vial would not look at need not be copied: a run of a small program is a tenth of a millisecond shorter without. */
export function handedOn(from: NodeJS.ProcessEnv, inherit: Environment['inherit'] = true): NodeJS.ProcessEnv {
  if (inherit === true || inherit.some((pattern) => pattern.includes('*'))) return from
  const chosen: NodeJS.ProcessEnv = {}
  for (const name of inherit) if (from[name] !== undefined) chosen[name] = from[name]
  return chosen
}

/** What a run differs from that has a directory or an environment of its own. Without mounts of its own it starts where the caller is. */
export function perRunOf({ cwd, namespaces: { mount = 'new' } = {} }: Policy, environment: Environment) {
  return { cwd: cwd ?? (mount === 'new' ? '/' : '.'), environment }
}

/**
 * The whole environment of one run: what the policy hands on of the caller's and what it sets, as a vial by itself would, and
 * over that the run's own; in the order in which the vial has them.
 */
export function wholeEnvironment(
  { set, inherit }: Pick<Environment, 'set' | 'inherit'>,
  own: Readonly<Record<string, string | undefined>> = {},
  from: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  const whole: NodeJS.ProcessEnv = Object.create(null)
  for (const [name, value] of set) whole[name] = value
  const patterns = inherit === true ? [/^/] : inherit.map(patternOf)
  for (const name of Object.keys(from))
    if (!(name in whole) && patterns.some((one) => one.test(name))) whole[name] = from[name]
  // child_process adds its own to an environment that says nothing of it.
  if (!('NODE_V8_COVERAGE' in whole)) whole.NODE_V8_COVERAGE = undefined
  return Object.assign(whole, own)
}

/** `*` is any run of characters: launcher/execute.ts. */
const patternOf = (pattern: string) =>
  new RegExp(
    `^${pattern
      .split('*')
      .map((text) => text.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
      .join('[^]*')}$`,
  )
