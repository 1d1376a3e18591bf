/** What a script says of the files that it needs: its `#!` line, and the commands and paths in the text of a wrapper. */
import * as path from 'node:path'
import { readHead } from './regular.js'

/** BINPRM_BUF_SIZE: the kernel reads no more of a file to find its interpreter, see execve(2). */
const HEAD = 256

/** A longer script is no wrapper. */
const TEXT = 64 * 1024

export interface Shebang {
  interpreter: string
  argument: string
}

/** The `#!` line as execve(2) reads it. */
export function readShebang(file: string): Shebang | undefined {
  const head = readHead(file, HEAD)
  if (!head.startsWith('#!')) return undefined
  const line = head
    .slice(2)
    .split(/[\n\0]/, 1)[0]!
    .trim()
  const interpreter = line.split(/[ \t]/, 1)[0]!
  return interpreter === '' ? undefined : { interpreter, argument: line.slice(interpreter.length).trim() }
}

/** The program that env(1) is told to run: behind its options and settings. */
export function envProgram(argument: string): string | undefined {
  const words = argument.replace(/^-S/, '-S ').split(/\s+/)
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!
    if (word === '-u' || word === '-C') index++
    else if (word !== '' && !word.startsWith('-') && !word.includes('=')) return word
  }
  return undefined
}

export interface Mentioned {
  /** Names at places where the shell takes a word for a command. Any of them may be a function, a builtin or plain text. */
  commands: readonly string[]
  /** Absolute paths, with the variables replaced that the script itself sets to one. Any of them may not exist. */
  paths: readonly string[]
}

/**
 * What the text of a wrapper names. The text is not parsed: too much costs a file that all users can read, too little the
 * program. Of a script that is not the shell's, the paths alone.
 */
export function mentionedIn(file: string, { interpreter, argument }: Shebang): Mentioned {
  const text = readHead(file, TEXT + 1)
  if (text.length > TEXT) return { commands: [], paths: [] }
  const named = path.basename(interpreter) === 'env' ? (envProgram(argument) ?? '') : path.basename(interpreter)
  const isShell = /^(?:ba|da|k|z|a)?sh$/.test(named)
  const code = withoutRemarks(text)
  return { commands: isShell ? commandsIn(code) : [], paths: pathsIn(code) }
}

/** Without comments and, of the shell, here-documents: both are prose. Nor with what keeps a command from being an alias. */
const withoutRemarks = (text: string) =>
  text
    .replace(/<<-?\s*(['"]?)(\w+)\1[^\n]*\n[\s\S]*?^\t*\2$/gm, '')
    .replace(/(^|\s)#.*/g, '$1')
    .replace(/\\+(?=[a-z])/g, '')

/** Commands that take another, and words of the grammar that one follows: sh(1). */
const BEFORE =
  '(?:(?:then|do|else|elif|if|while|until|exec|command(?:[ \\t]+-[vV])?|env|nohup|nice|time|which|type)[ \\t]+|![ \\t]+|[A-Za-z_]\\w*=(?:"[^"`\\n]*"|[^\\s"`]*)[ \\t]+)*'
const COMMAND = new RegExp(`(?:^|[;&|(\`]|\\{[ \\t])[ \\t]*${BEFORE}([A-Za-z][\\w.+-]*)(?=[\\s;)\`|&]|$)`, 'gm')

/** Of the shell itself, though a program of the name may exist too: sh(1), bash(1). */
const BUILTINS = new Set(
  'alias bg break case cd command continue declare echo esac eval exec exit export false fg fi for function getopts hash help if in jobs kill let local printf pwd read readonly return select set shift source test then time times trap true type typeset ulimit umask unalias unset until wait while do done else elif'.split(
    ' ',
  ),
)

function commandsIn(code: string): string[] {
  const found = [...code.matchAll(COMMAND)].map((one) => one[1]!)
  return [...new Set(found)].filter((one) => !BUILTINS.has(one))
}

/** One value of a variable each: `NAME=/path`, also in quotes and as a default `${NAME:-/path}`. */
const SETTING = /(?:^|[\s;:{])([A-Za-z_]\w*)(?::?[-=]|=)["']?((?:\/|\$\{?\w+\}?\/)(?:[\w./+@-]|\$\{?\w+\}?)*)/gm
const PATH = /(?<![\w.$}]|:\/)\/[\w.+@-]+(?:\/[\w.+@-]+)+/g
const BEHIND_VARIABLE = /\$\{?[A-Za-z_]\w*\}?(?:\/(?:[\w.+@-]|\$\{?\w+\}?)+)+/g
/** Of a wrapper that chooses between several. */
const VALUES = 4

function pathsIn(code: string): string[] {
  const values = new Map<string, Set<string>>()
  const expand = (text: string): string[] => {
    const reference = /\$\{?([A-Za-z_]\w*)\}?/.exec(text)
    if (reference === null) return [text]
    const known = [...(values.get(reference[1]!) ?? [])]
    return known.flatMap((one) => expand(text.replaceAll(reference[0], one))).slice(0, VALUES)
  }
  for (const [, name, value] of code.matchAll(SETTING)) {
    for (const one of expand(value!)) {
      const known = values.get(name!) ?? new Set()
      if (known.size < VALUES && !one.includes('$')) values.set(name!, known.add(one))
    }
  }
  const behindVariables = [...code.matchAll(BEHIND_VARIABLE)].flatMap(([one]) => expand(one))
  const paths = [...code.matchAll(PATH)].map(([one]) => one)
  const all = [...paths, ...behindVariables, ...[...values.values()].flatMap((one) => [...one])]
  return [...new Set(all.map((one) => path.normalize(one).replace(/\/$/, '')))]
}
