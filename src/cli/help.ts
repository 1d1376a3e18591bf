/** Help, from the tables. */
import type { Command } from './command.js'
import type { Option } from './policyFlags.js'

const width = 100

export function overview(commands: readonly Command[]): string {
  return [
    'vial runs programs in sandboxes that it compiles to tiny executables.',
    '',
    'usage: vial COMMAND …',
    '',
    'commands:',
    ...rows(commands.map((one) => [one.name, one.about])),
    '',
    'examples:',
    `  vial run -- python3 -c 'print("hello from a vial")'`,
    '  vial run --rw . -- npm test',
    '  vial doctor',
    '',
    '"vial COMMAND --help" tells more; "vial --version" the version.',
    '',
  ].join('\n')
}

export function helpOf(command: Command): string {
  const { name, about, takes, options, detail, examples, statuses } = command
  const usage = ['vial', name, options.length === 0 ? '' : '[FLAG…]', takes ?? ''].filter((word) => word !== '')
  return [
    `${about}.`,
    '',
    `usage: ${usage.join(' ')}`,
    ...(detail ?? []).flatMap((paragraph) => ['', ...wrap(paragraph, width)]),
    '',
    'flags:',
    ...rows(options.map((one) => [spelling(one), one.about + marks(one)])),
    '',
    'examples:',
    ...rows(examples),
    '',
    'exit status:',
    ...rows(statuses.map(([status, about]) => [status, about || 'all went well'])),
    '',
  ].join('\n')
}

const spelling = ({ name, short, value }: Option) =>
  `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`

const marks = ({ many, list, required }: Option) => (many || list ? ' (repeatable)' : required ? ' (required)' : '')

/** Two columns; the second begins at the same place in all rows, and is wrapped. */
function rows(pairs: readonly (readonly [string, string])[]): string[] {
  const column = Math.max(...pairs.map(([left]) => left.length)) + 4
  return pairs.flatMap(([left, right]) => {
    const [first = '', ...more] = wrap(right, Math.max(30, width - column))
    return [`  ${left.padEnd(column - 2)}${first}`.trimEnd(), ...more.map((line) => ' '.repeat(column) + line)]
  })
}

function wrap(text: string, most: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= most) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
