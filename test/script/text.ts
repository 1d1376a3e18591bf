/** Plans and calls as text that a reader and diff(1) follow. */
import type { Plan, Step } from '../../src/plan/step.js'
import type { Call } from './kernel.js'

/** Each step is a line; what it completes and why come with it in the documents, not here. */
export function planText(plan: Plan): string[] {
  const { monitor, init, payload, ...rest } = plan
  const lines = Object.entries(rest)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}: ${shown(value)}`)
  const part = (name: string, steps: readonly Step[]) => ['', name, ...steps.map((step) => `  ${stepText(step)}`)]
  return [...lines, ...part('monitor', monitor), ...part('init', init), ...part('payload', payload)]
}

function stepText(step: Step): string {
  const { do: kind, what, complaint, ...rest } = step as Step & Record<string, unknown>
  const words = Object.entries(rest)
    .filter(([key, value]) => value !== undefined && key !== 'why' && key !== 'hints')
    .map(([key, value]) => `${key}=${shown(value)}`)
  const said = complaint === undefined ? what : `${what} [${shown(complaint)}]`
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
