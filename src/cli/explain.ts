/** `vial explain`. */
import type { Explanation } from '../run/explain.js'
import { sandbox } from '../run/sandbox.js'
import type { PolicyFlags } from './options.js'
import { policyFromFlags } from './policy.js'
import { write, printJson } from './write.js'

export function explain(policy: string | undefined, flags: PolicyFlags & { readonly json?: true }): void {
  const explanation = sandbox(policyFromFlags(flags, policy)).explain()
  if (flags.json) printJson(explanation)
  else write(1, describe(explanation))
}

const processes = {
  monitor: 'The monitor stays outside: it makes the sandbox, hands signals on, and waits.',
  init: 'Init is the first process inside: it makes the view of the payload, gives up what it could do, and reaps.',
  payload: 'The payload becomes the command.',
} as const

/** What to do on the left, the system calls beside it, the reason beneath. */
function describe({ steps, environment }: Explanation): string {
  const column = 56
  const lines: string[] = []
  let last = ''
  steps.forEach((step, index) => {
    if (step.process !== last) lines.push(...(last === '' ? [] : ['']), processes[step.process], '')
    last = step.process
    const what = `${String(index + 1).padStart(4)}. ${step.what === 'run' ? 'run the command' : step.what}`
    const calls = wrap(step.syscalls, 48)
    if (what.length + 2 > column) lines.push(what)
    else lines.push(`${what.padEnd(column)}${calls.shift() ?? ''}`.trimEnd())
    const why = `      ${step.why}`
    if (why.length + 2 > column) lines.push(why)
    else lines.push(`${why.padEnd(column)}${calls.shift() ?? ''}`.trimEnd())
    for (const more of calls) lines.push(' '.repeat(column) + more)
  })
  const { set, inherit } = environment
  lines.push('', 'The command gets these variables, and no other:', '')
  for (const [name, value] of set) lines.push(`      ${name}=${value}`)
  if (inherit === true) lines.push("      all of the caller's")
  else for (const pattern of inherit) lines.push(`      ${pattern}, if the caller has it`)
  return `${lines.join('\n')}\n`
}

function wrap(words: readonly string[], most: number): string[] {
  const lines: string[] = []
  for (const word of words) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 2 + word.length <= most) lines[lines.length - 1] = `${last}, ${word}`
    else lines.push(word)
  }
  return lines.map((line, index) => (index === lines.length - 1 ? line : `${line},`))
}
