/** `vial explain`. */
import type { ExplainedStep, Explanation } from '../compile/explain.js'
import { printable } from '../text/printable.js'
import { shellWord } from '../text/shellWord.js'
import type { Visible } from '../policy/visible.js'
import { Sandbox } from '../run/sandbox.js'
import { printJson, write } from '../text/write.js'
import { speaking } from './flagsToPolicy.js'
import type { PolicyFlags } from './policyFlags.js'
import { trustedBy } from './trusted.js'

export function explain(
  policy: string | undefined,
  flags: PolicyFlags & { readonly json?: true },
  command: readonly string[],
): void {
  const trusted = trustedBy(flags, policy)
  const explanation = speaking(flags, { named: policy }, (complete, names) => {
    const { missing, ...rest } = new Sandbox(() => complete, process.cwd(), { trusted }).explained()
    return missing === undefined ? rest : { ...rest, limits: missing.speak(names).message }
  })
  if (flags.json) printJson(explanation)
  else write(1, describe(explanation, command))
}

const processes = {
  monitor: 'The monitor stays outside: it makes the sandbox, hands signals on, and waits.',
  init: 'Init is the first process inside: it makes the view of the payload, gives up what it could do, and reaps.',
  payload: 'The payload becomes the command.',
} as const

const column = 56
const indent = ' '.repeat(6)

function describe(explanation: Explanation, command: readonly string[]): string {
  const { environment, view, shared, limits } = explanation
  const { set, inherit } = environment
  const handedOn = inherit === true ? ["all of the caller's"] : inherit.map((name) => `${name}, if the caller has it`)
  const paragraphs = [
    ...describeSteps(explanation.steps, command),
    ...(view === undefined ? [] : [['The command sees:'], treeOf(view)]),
    ['The command shares with the host:'],
    shared.map((line) => indent + line),
    ['The command gets these variables, and no other:'],
    [...set.map(([name, value]) => `${name}=${value}`), ...handedOn].map((line) => indent + line),
    ...(limits === undefined ? [] : [`vial run would fail here: ${limits}`.split('\n')]),
  ]
  return `${paragraphs.map((lines) => lines.map(printable).join('\n')).join('\n\n')}\n`
}

/** What to do on the left, the system calls beside it, the reason beneath. Neighbours that differ only in what they name are told together. */
function describeSteps(steps: readonly ExplainedStep[], command: readonly string[]): string[][] {
  const paragraphs: string[][] = []
  const run = command.length === 0 ? 'the command' : command.map(quoted).join(' ')
  for (let at = 0; at < steps.length; ) {
    const { process, why, syscalls } = steps[at]!
    if (process !== steps[at - 1]?.process) paragraphs.push([processes[process]], [])
    const left: string[] = []
    do {
      const { what } = steps[at]!
      left.push(`${String(at + 1).padStart(4)}. ${what === 'run' ? `run ${run}` : what}`)
      at++
    } while (steps[at] !== undefined && isLike(steps[at]!, steps[at - 1]!))
    paragraphs.at(-1)!.push(...besides([...left, indent + why], wrap(syscalls, 48)))
  }
  return paragraphs
}

const isLike = (one: ExplainedStep, other: ExplainedStep) =>
  one.process === other.process && one.why === other.why && `${one.syscalls}` === `${other.syscalls}`

/** Two columns; a line of the left one that is too long has nothing beside it. */
function besides(left: readonly string[], right: string[]): string[] {
  const lines = left.map((line) =>
    line.length + 2 > column ? line : `${line.padEnd(column)}${right.shift() ?? ''}`.trimEnd(),
  )
  return [...lines, ...right.map((line) => ' '.repeat(column) + line)]
}

/** As a shell takes it. */
const quoted = (word: string) => (/^[\w@%+=:,./-]+$/.test(word) ? word : shellWord(word))

/** Each place below the directory that it lies in. */
function treeOf(view: readonly Visible[]): string[] {
  const rows = new Map<string, Visible | undefined>()
  for (const one of view) {
    const names = one.place.split('/').slice(1)
    names.forEach((_, index) => {
      const above = `/${names.slice(0, index).join('/')}`
      if (!rows.has(above)) rows.set(above, undefined)
    })
    rows.set(one.place, one)
  }
  const lines = [...rows].map(([place, one]) => {
    const names = place === '/' ? [] : place.split('/').slice(1)
    return [`${indent}${'  '.repeat(names.length)}${names.at(-1) ?? '/'}`, one] as const
  })
  const width = Math.max(...lines.map(([label]) => label.length)) + 2
  return lines.map(([label, one]) =>
    `${label.padEnd(width)}${(one?.access ?? '').padEnd(11)}${one?.shows ?? ''}`.trimEnd(),
  )
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
