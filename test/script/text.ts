/** Plans and calls as text that a reader and diff(1) follow. */
import type { Plan } from '../../src/plan/plan.js'
import type { Step } from '../../src/plan/step.js'
import type { Call } from './kernel.js'

/** Each step is a line; what it completes and why come with it in the documents, not here. */
export function planText(plan: Plan): string[] {
  const { world, entrant, start } = plan
  const { streams, watch, prepare, execute, ...rest } = start
  const lines = Object.entries(rest)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}: ${shown(value)}`)
  const part = (name: string, steps: readonly Step[]) =>
    steps.length === 0 ? [] : ['', name, ...steps.map((step) => `  ${stepText(step)}`)]
  return [
    ...lines,
    ...part('monitor: start: streams', streams),
    ...part('monitor: world', world.monitor),
    ...part('monitor: start: watch', watch),
    ...part('monitor: world: clone', [world.clone]),
    ...part('init: world', world.init),
    ...part('init: entrant: once', entrant.once),
    ...part('init: start: prepare', prepare),
    ...part('init: entrant: shared', entrant.shared),
    ...part('payload: entrant: each', entrant.each),
    ...part('payload: start: execute', [execute]),
  ]
}

function stepText(step: Step): string {
  const { do: kind, what, complaint, points, ...rest } = step as Step & Record<string, unknown>
  const words = Object.entries(rest)
    .filter(([key, value]) => value !== undefined && !['why', 'hints', 'instead'].includes(key))
    .map(([key, value]) => `${key}=${shown(value)}`)
  const said = [what, ...[complaint, points].filter((one) => one !== undefined).map((one) => `[${shown(one)}]`)].join(
    ' ',
  )
  return `${[kind, ...words].join(' ')}  # ${said.replace(/ \(\d+ instructions\)/, '')}`
}

function shown(value: unknown): string {
  if (value instanceof Uint8Array) {
    const text = Buffer.from(value).toString('latin1')
    // A filter is of the kernel that it is made on.
    return /^[\n -~]*$/.test(text) ? JSON.stringify(text) : '…'
  }
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .filter(([, one]) => one !== undefined)
      .map(([key, one]) => `${key}: ${shown(one)}`)
      .join(', ')}}`
  return typeof value === 'bigint' ? `${value}n` : JSON.stringify(value)
}

export const callText = ({ by, name, args, result }: Call): string =>
  `${by} ${name}(${args.join(', ')})${result === '' ? '' : ` = ${result}`}`
