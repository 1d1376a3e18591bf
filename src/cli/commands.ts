/** The commands: what each takes, what its help says, and what it does. Each is loaded when it is called. */
import { architectures } from '../kernel/architecture.js'
import { execOptions, killOptions, logsOptions, psOptions, rmOptions, startOptions, stopOptions } from './liveFlags.js'
import { type Offer, oneOf, presetWords } from './offers.js'
import { type FlagsOf, json, type Option, policyOptions, runOptions } from './policyFlags.js'

export interface Command<Options extends readonly Option[] = readonly Option[]> {
  readonly name: string
  /** One line for the list of commands. */
  readonly about: string
  /** What follows the flags, for help. */
  readonly takes?: string
  /**
   * How many words may follow; `command`: at least one, and whatever follows it is the command's own; `all`: what follows,
   * flags too, is read by the command itself.
   */
  readonly words: number | 'command' | 'all'
  /** What completion in a shell offers as each of these words, before a command; the last is for those behind it, too. Default: nothing. */
  readonly offers?: readonly Offer[]
  /** Whether a command line may follow `--`, behind those words. */
  readonly takesCommand?: true
  readonly options: Options
  /** It is about a sandbox that runs: what flags of that one, as this command has them, say of all in it. */
  readonly flagsOfStart?: string
  /** Paragraphs, one a line. */
  readonly detail?: readonly string[]
  /** A command line and what it does. */
  readonly examples: readonly (readonly [line: string, about: string])[]
  readonly statuses: readonly (readonly [status: string, about: string])[]
  readonly action: (
    flags: FlagsOf<Options>,
    words: readonly string[],
    behind: readonly string[],
  ) => void | Promise<void>
}

/** Keeps the flags' types while the command is written down. */
const command = <const Options extends readonly Option[]>(one: Command<Options>) => one as unknown as Command

const cacheActions = oneOf(['list', 'clear'])
const shells = oneOf(['bash', 'zsh', 'fish'])
const failure = ['125', 'a fault in the flags or the policy'] as const

export const commands: readonly Command[] = [
  command({
    name: 'run',
    about: 'Run a command in a sandbox',
    takes: '[--] COMMAND [ARGUMENT…]',
    words: 'command',
    options: runOptions,
    detail: [
      "Without flags the command sees the host's programs (/usr and what belongs to it) read-only, a /proc and a /dev of its own, an empty /tmp and HOME, no network, and nothing of yours.",
      'PATH[:INSIDE]: without INSIDE, it is seen at the same place as outside.',
    ],
    examples: [
      [`vial run -- python3 -c 'print("hello")'`, 'nothing of yours is visible'],
      ['vial run --memory 256M --cpu-time 2s --verdict -- ./a.out', 'with limits'],
      ['vial run --rw . -- make', 'this directory, writable'],
      ['vial run --ro . --tmpfs /scratch:64M -- ./analyse', 'this directory, read-only'],
      ['vial run --fill python3 --ro . -- python3 x.py', 'of the host only what python3 needs'],
      ['vial run --ro ./config:/etc/nginx/conf.d -- ls /etc/nginx/conf.d', 'your directory at another place'],
    ],
    statuses: [
      ['N', "the command's own status"],
      ['128+N', 'signal N ended the command; 137 when a limit did (a line on standard error tells which)'],
      ['125', 'there is no sandbox: a fault in the flags or the policy, or this host forbids it'],
      ['126', 'the command cannot be executed'],
      ['127', 'the command is not found inside'],
    ],
    action: async (flags, [name = '', ...args]) => (await import('./runCommand.js')).run(name, args, flags),
  }),
  command({
    name: 'start',
    about: 'Start a sandbox that has a name and goes on by itself; others enter it',
    takes: '--name NAME [-- COMMAND [ARGUMENT…]]',
    words: 0,
    takesCommand: true,
    options: startOptions,
    detail: [
      'Without a command it is held open, empty, until it is stopped. What the command writes is kept: see "vial logs". The flags of the policy are those of "vial run".',
      'It is known in $XDG_RUNTIME_DIR/vial, and ends with this machine at the latest.',
    ],
    examples: [
      ['vial start --name box', 'then: vial exec box sh'],
      ['vial start --name web --rw ./data -- ./server', 'then: vial logs -f web'],
    ],
    statuses: [
      ['0', 'it runs'],
      ['125', 'it cannot be made, or the name is in use'],
      ['126, 127', 'the command cannot be executed, or is not found inside'],
      ['N', 'with --foreground: as of "vial run"'],
    ],
    action: async (flags, _, behind) => (await import('./startCommand.js')).start(flags, behind),
  }),
  command({
    name: 'exec',
    about: 'Run a command in a sandbox that runs',
    takes: 'NAME COMMAND [ARGUMENT…]',
    words: 'command',
    offers: [{ from: 'sandbox' }],
    options: execOptions,
    flagsOfStart: 'it is of the sandbox, for all in it together: give it to "vial start"',
    detail: [
      'It is held to all that the policy of the sandbox says: filter, capabilities, ids, limits. The flags give it ids and limits of its own, none of them more than that. What it starts in the background goes on in the sandbox.',
    ],
    examples: [
      ['vial exec box sh', ''],
      ['vial exec --wall-time 5s --file-size 1M box ./test', ''],
      ['vial exec --cwd /tmp --env LANG=C box ls', ''],
    ],
    statuses: [
      ['N', "the command's own status"],
      ['128+N', 'signal N ended the command'],
      ['125', 'there is no such sandbox, or it cannot be entered'],
      ['126, 127', 'the command cannot be executed, or is not found inside'],
    ],
    action: async (flags, words) => (await import('./execCommand.js')).exec(words, flags),
  }),
  command({
    name: 'ps',
    about: 'List the sandboxes that have names',
    words: 0,
    options: psOptions,
    examples: [['vial ps', '']],
    statuses: [['0', '']],
    action: async (flags) => (await import('./namedCommands.js')).ps(flags),
  }),
  command({
    name: 'inspect',
    about: 'Tell what a running sandbox is, as the kernel has it, beside what its policy asks for',
    takes: 'NAME',
    words: 1,
    offers: [{ from: 'sandbox' }],
    options: psOptions,
    detail: [
      'Its namespaces, ids, mounts and limits, and each process in it: found, and asked for. What presets and --fill stand for is asked of this host as it is now.',
      'A mark tells what is less than asked, more or something else, or what the kernel tells to no other process, such as the rules of Landlock.',
    ],
    examples: [
      ['vial inspect web', ''],
      ['vial inspect --json web', 'the same, for programs'],
    ],
    statuses: [
      ['0', 'it is no more than its policy asks for'],
      ['1', 'something is more than that, or something else'],
      ['125', 'there is no such sandbox that runs'],
    ],
    action: async (flags, words) => (await import('./inspectCommand.js')).inspect(words, flags),
  }),
  command({
    name: 'logs',
    about: 'Print what the command of a named sandbox has written',
    takes: 'NAME',
    words: 1,
    offers: [{ from: 'sandbox' }],
    options: logsOptions,
    examples: [['vial logs -f web', 'until it ends']],
    statuses: [
      ['0', ''],
      ['125', 'there is no such sandbox'],
    ],
    action: async (flags, words) => (await import('./namedCommands.js')).logs(words, flags),
  }),
  command({
    name: 'stop',
    about: 'End named sandboxes: SIGTERM, and after a grace all that is left',
    takes: 'NAME…',
    words: 1000,
    offers: [{ from: 'sandbox' }],
    options: stopOptions,
    examples: [['vial stop --grace 2s web', '']],
    statuses: [
      ['0', 'it has ended'],
      ['125', 'there is no such sandbox, or it does not end'],
    ],
    action: async (flags, words) => (await import('./namedCommands.js')).stop(words, flags),
  }),
  command({
    name: 'kill',
    about: 'Send a signal to named sandboxes',
    takes: 'NAME…',
    words: 1000,
    offers: [{ from: 'sandbox' }],
    options: killOptions,
    examples: [['vial kill -s HUP web', '']],
    statuses: [
      ['0', 'it is sent'],
      ['125', 'there is no such sandbox that runs'],
    ],
    action: async (flags, words) => (await import('./namedCommands.js')).kill(words, flags),
  }),
  command({
    name: 'rm',
    about: 'Remove what is kept of named sandboxes that have ended',
    takes: 'NAME…',
    words: 1000,
    offers: [{ from: 'sandbox' }],
    options: rmOptions,
    examples: [['vial rm -f web', 'also when it runs']],
    statuses: [
      ['0', 'the name is free'],
      ['125', 'there is no such sandbox, or it runs'],
    ],
    action: async (flags, words) => (await import('./namedCommands.js')).rm(words, flags),
  }),
  command({
    name: 'wait',
    about: 'Wait until a named sandbox ends; print its status and exit with it',
    takes: 'NAME',
    words: 1,
    offers: [{ from: 'sandbox' }],
    options: [],
    examples: [['vial wait web', '']],
    statuses: [
      ['N', 'its status'],
      ['125', 'there is no such sandbox, or it was lost'],
    ],
    action: async (_, words) => (await import('./namedCommands.js')).wait(words),
  }),
  command({
    name: 'compile',
    about: 'Write a vial: an executable that runs its arguments in the sandbox, for any user',
    takes: '[POLICY]',
    words: 1,
    offers: [{ from: 'file' }],
    options: [
      {
        name: 'output',
        short: 'o',
        value: 'FILE',
        offers: { from: 'file' },
        required: true,
        about: 'where to write it',
      },
      { name: 'arch', ...oneOf(architectures), about: 'the machine it is for; default: this one' },
      {
        name: 'listen-fds',
        value: 'COUNT',
        kind: 'count',
        about: 'keep this many descriptors open, from 3 on, in which systemd hands over sockets (LISTEN_FDS)',
      },
      ...policyOptions,
    ],
    detail: [
      'POLICY is a policy in JSON. Host paths are written into the vial as absolute ones; what preset and fill find is what this host has now.',
    ],
    examples: [
      ['vial compile policy.json -o python-vial', 'then: ./python-vial python3 x.py'],
      ['vial compile --fill /usr/bin/python3 -o python-vial', 'without a policy file'],
      ['vial compile policy.json --arch arm64 -o vial-arm64', 'for another machine'],
      ['vial compile policy.json --listen-fds 1 -o service', 'for ExecStart= of a unit with a socket'],
    ],
    statuses: [['0', 'the vial is written'], failure],
    action: async (flags, [policy]) => (await import('./compileCommand.js')).compileTo(policy, flags),
  }),
  command({
    name: 'explain',
    about: 'Print what a sandbox does, step by step, with its system calls',
    takes: '[POLICY] [-- COMMAND [ARGUMENT…]]',
    words: 1,
    offers: [{ from: 'file' }],
    takesCommand: true,
    options: [
      ...policyOptions,
      { name: 'security', about: 'instead: the walls between the command and the host, and where there is none' },
      json,
    ],
    detail: [
      'POLICY is a policy in JSON. The system calls are read from the program itself, not from a description. Behind the steps: what the command sees, and what it shares with the host. Nothing is run.',
    ],
    examples: [
      ['vial explain policy.json', ''],
      ['vial explain --rw . -- make', 'what "vial run --rw . -- make" would do'],
      ['vial explain --security policy.json', 'what it keeps out, and what it does not'],
      ['vial explain --fill python3 --rw .', 'what "vial run" with these flags does'],
    ],
    statuses: [['0', ''], failure],
    action: async (flags, [policy], command) => {
      if (flags.security) (await import('./securityCommand.js')).explainSecurity(policy, flags)
      else (await import('./explainCommand.js')).explain(policy, flags, command)
    },
  }),
  command({
    name: 'doctor',
    about: 'Print what this kernel and host allow, and how to repair what is missing',
    words: 0,
    options: [json],
    detail: ['Asks as the user who calls it; nothing is changed.'],
    examples: [['vial doctor', '']],
    statuses: [
      ['0', '"vial run" works'],
      ['1', 'it does not'],
    ],
    action: async (flags) => (await import('./doctorCommand.js')).doctor(flags),
  }),
  command({
    name: 'gc',
    about: 'Remove control groups that runs left behind when vial itself was killed',
    words: 0,
    options: [],
    detail: [
      'The next run with limits does it too. Groups of other users stay, and so do groups whose maker still runs.',
    ],
    examples: [['vial gc', '']],
    statuses: [['0', 'nothing is left']],
    action: async () => (await import('./gcCommand.js')).gc(),
  }),
  command({
    name: 'presets',
    about: 'Print the presets and what they show on this host',
    takes: '[NAME]',
    words: 1,
    offers: [{ words: presetWords }],
    options: [json],
    examples: [['vial presets system', 'every entry of it']],
    statuses: [
      ['0', ''],
      ['125', 'there is no such preset'],
    ],
    action: async (flags, [name]) => (await import('./presetsCommand.js')).presets(name, flags),
  }),
  command({
    name: 'bwrap',
    about: 'Take the arguments of bubblewrap and behave as it does',
    takes: '[--to-policy] [OPTION…] [--] COMMAND [ARGUMENT…]',
    words: 'all',
    options: [],
    detail: ['--to-policy, as the first word, prints the policy that comes closest instead.'],
    examples: [['vial bwrap --ro-bind / / --unshare-all -- true', '']],
    statuses: [
      ['N', "the command's own status"],
      ['1', 'a fault in the options, or a sandbox that cannot be made, as with bwrap'],
    ],
    action: async (_, args) => (await import('../bwrap/bwrapCommand.js')).main(args, 'vial bwrap'),
  }),
  command({
    name: 'cache',
    about: 'The cache of compiled sandboxes: what is in it, or empty it',
    takes: cacheActions.value,
    words: 1,
    offers: [cacheActions.offers],
    options: [json],
    detail: ['Without a word: list. Sandboxes that run go on when it is emptied.'],
    examples: [
      ['vial cache list', ''],
      ['vial cache clear', ''],
    ],
    statuses: [
      ['0', ''],
      ['125', 'it cannot be used'],
    ],
    action: async (flags, [what = 'list']) => (await import('./cacheCommand.js')).cache(what, flags),
  }),
  command({
    name: 'front',
    about: 'Write the fast vial-bwrap, an executable for this machine',
    words: 0,
    options: [
      {
        name: 'output',
        short: 'o',
        value: 'FILE',
        offers: { from: 'file' },
        about: "where to write it; default: in place of the package's own script",
      },
    ],
    examples: [['vial front -o ~/bin/bwrap', 'for programs that find bwrap by their PATH']],
    statuses: [
      ['0', 'it is written'],
      ['125', 'it cannot be'],
    ],
    action: async (flags) => (await import('./frontCommand.js')).frontCommand(flags),
  }),
  command({
    name: 'completion',
    about: 'Print a script that completes commands, flags and values of vial in a shell',
    takes: shells.value,
    words: 1,
    offers: [shells.offers],
    options: [],
    detail: ['The script knows all commands and flags itself; it starts vial only for the names of sandboxes.'],
    examples: [
      ['vial completion bash', 'in ~/.bashrc: source <(vial completion bash)'],
      ['vial completion zsh', 'in ~/.zshrc, behind compinit: source <(vial completion zsh)'],
      ['vial completion fish > ~/.config/fish/completions/vial.fish', ''],
    ],
    statuses: [
      ['0', ''],
      ['125', 'there is no such shell'],
    ],
    action: async (_, [shell]) => (await import('./completionCommand.js')).completion(shell, commands),
  }),
]
