/** The `vial` command. */
import { readFileSync } from 'node:fs'
import { packageFile } from '../host/packagePlace.js'
import { printable } from '../text/printable.js'
import { systemFault, systemHints } from '../kernel/systemError.js'
import { explainDirectory } from '../policy/path.js'
import { didYouMean } from '../text/closest.js'
import { exitStatuses, HostError, VialError } from '../text/error.js'
import { write } from '../text/write.js'
import { parse, UnknownFlag, UsageError } from './commandLine.js'
import type { Command } from './command.js'
import { commands } from './commands.js'
import { ignoreAsCaller } from './ignored.js'

async function command([name, ...args]: readonly string[]): Promise<void> {
  if (process.platform !== 'linux')
    throw new HostError(`sandboxes are made of Linux namespaces, and this is ${process.platform}: use a Linux machine`)
  if (name === '--version' || name === '-V') return show(`${version()}\n`)
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const asked = commands.find((one) => name === 'help' && one.name === args[0])
    const { helpOf, overview } = await import('./help.js')
    if (name === undefined) process.exitCode = exitStatuses.sandbox
    return show(asked === undefined ? overview(commands) : helpOf(asked), name === undefined ? 2 : 1)
  }
  const command = commands.find((one) => one.name === name)
  if (command === undefined) throw new UsageError(noCommand(name, args))
  if (command.words === 'all') return command.action({} as never, args, [])
  const parsed = await inContext(command, () => parse(args, command.options, command.words === 'command'))
  const { flags, help } = parsed
  const words = command.takesCommand ? parsed.words : [...parsed.words, ...parsed.behind]
  if (help) return show((await import('./help.js')).helpOf(command))
  for (const warning of parsed.warnings) write(2, `vial: ${printable(warning)}\n`)
  if (command.words === 'command' && words.length === 0)
    throw new UsageError(`no command to run was given: vial ${name} ${command.takes}${helpOn(name)}`)
  if (command.words !== 'command' && words.length > command.words)
    throw new UsageError(
      `"${words[command.words]}" is one word too many: vial ${name} [FLAG…] ${command.takes ?? ''}${helpOn(name)}`,
    )
  await command.action(flags as never, words, parsed.behind)
}

/** Adds where help can be found, and what an unknown flag is called here. */
async function inContext<Value>(command: Command, action: () => Value): Promise<Value> {
  try {
    return action()
  } catch (error) {
    if (error instanceof UnknownFlag) error.message += (await import('./unknown.js')).adviceOn(error.flag, command)
    if (error instanceof UsageError) error.message += helpOn(command.name)
    throw error
  }
}

const helpOn = (name: string) => `\n      see "vial ${name} --help"`

function noCommand(name: string, args: readonly string[]): string {
  const names = commands.map((one) => one.name)
  if (name.startsWith('-'))
    return `the command comes before its flags: vial ${names.join('|')} ${name} …\n      see "vial --help"`
  // `ls` is near `ps`, and is surely meant as it is.
  const near = name.length < 3 ? '' : didYouMean(name, names)
  return near === ''
    ? `there is no command "${name}": the commands are ${names.join(', ')}\n      to run it in a sandbox: vial run -- ${[name, ...args].join(' ')}`
    : `there is no command "${name}"${near}\n      see "vial --help"`
}

const version = () => (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }).version

async function show(text: string, stream: 1 | 2 = 1): Promise<void> {
  write(stream, text)
}

/** The whole command; a fault becomes a line on standard error and the exit status. */
export async function main(args: readonly string[]): Promise<void> {
  ignoreAsCaller()
  try {
    await command(args)
  } catch (error) {
    const hint = error instanceof VialError ? undefined : systemHints[(error as NodeJS.ErrnoException).code ?? '']
    const lines = systemFault(explainDirectory(error as Error))
      .split('\n')
      .map(printable)
    write(2, `vial: ${[...lines, ...(hint === undefined ? [] : [`      ${hint}`])].join('\n')}\n`)
    process.exitCode = exitStatuses.sandbox
  }
}
