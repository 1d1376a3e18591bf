#!/usr/bin/env node
/** The `vial` command. Commands are loaded when they are called: `vial run` need not wait for the others. */
import { Command } from 'commander'
import { limitOptions } from './limits.js'

const program = new Command('vial')
  .description('Run programs in sandboxes that TypeScript compiles to tiny executables.')
  .version('0.1.0')
  .showHelpAfterError('(see vial --help)')
  .enablePositionalOptions()

const list = (value: string, earlier: string[] = []) => [...earlier, value]

function policyOptions(command: Command): Command {
  return limitOptions(command)
    .option('--policy <file>', 'a policy in JSON; the flags below are added to it')
    .option('--preset <name>', 'a ready environment: system (default), empty')
    .option('--fill <program>', 'show only what this program needs, instead of a preset (repeatable)', list)
    .option('--ro <path[:inside]>', 'show a file or folder read-only (repeatable)', list)
    .option('--rw <path[:inside]>', 'show a file or folder, writable (repeatable)', list)
    .option('--tmpfs <inside[:size]>', 'an empty folder in memory (repeatable)', list)
    .option('--env <NAME[=VALUE]>', "set a variable, or hand on the caller's; NAME may have * (repeatable)", list)
    .option('--network <none|host>', 'default none: only a loopback of its own')
    .option('--hostname <name>', 'the host name inside')
    .option('--cwd <inside>', 'the working folder inside; default: the current folder if it is shown, else HOME')
    .option('--uid <id>', 'the user id inside', Number)
    .option('--gid <id>', 'the group id inside', Number)
    .option(
      '--share-session',
      "stay in the terminal's session: job control works, and the payload may push input into the terminal",
    )
    .option('--root', 'root mode: no user namespace; needs a caller who is root')
}

policyOptions(program.command('run'))
  .description('Run a command in a sandbox')
  .argument('<command>')
  .argument('[args...]')
  .passThroughOptions()
  .option('--timeout <seconds>', 'kill it after so long', Number)
  .option('--output <size>', 'kill all when standard output and error have more than this, such as 1M')
  .option('--report <json|table|FILE>', 'tell what it used and how it ended: on standard error, or as JSON in a file')
  .option('--verdict', 'tell in a line on standard error how it ended')
  .addHelpText(
    'after',
    "\nExamples:\n  vial run -- python3 -c 'print(\"hello\")'\n  vial run --rw . -- make\n  vial run --ro ./config:/etc/nginx/conf.d -- nginx -t\n\nExit status: the command's, 128 + the signal, 137 when a limit\nended it (--verdict tells which), 127 not found, 126 not executable, 125 no sandbox.",
  )
  .action(async (command, args, options) =>
    (await import('./run.js')).run(command, args, { ...options, outputLimit: options.output }),
  )

policyOptions(program.command('compile'))
  .description('Write a vial: an executable that runs its arguments in the sandbox, for any user')
  .argument('[policy]', 'a policy in JSON')
  .requiredOption('-o, --output <file>', 'where to write it')
  .option('--arch <x64|arm64>', 'the machine it is for; default: this one')
  .action(async (policy, options) => (await import('./compile.js')).compileTo(policy, options))

policyOptions(program.command('explain'))
  .description('Print what a sandbox does, step by step, with its system calls')
  .argument('[policy]', 'a policy in JSON')
  .option('--json', 'for programs')
  .action(async (policy, options) => (await import('./explain.js')).explain(policy, options))

program
  .command('doctor')
  .description('Tell what this kernel and host allow, and how to repair what is missing')
  .option('--json', 'for programs')
  .action(async (options) => (await import('./doctor.js')).doctor(options))

program
  .command('presets')
  .description('Print the presets and what they show')
  .action(async () => (await import('./presets.js')).presets())

program
  .command('gc')
  .description('Remove cgroups that sandboxes left behind whose maker was killed')
  .action(async () => (await import('./gc.js')).gc())

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`vial: ${(error as Error).message}\n`)
  process.exitCode = 125
}
