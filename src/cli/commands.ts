/** The commands: what each takes, what its help says, and what it does. Each is loaded when it is called. */
import { architectures } from '../kernel/architecture.js'
import { type Command, command } from './command.js'
import { liveCommands } from './liveCommands.js'
import { oneOf, presetWords } from './offers.js'
import { json, policyOptions, runOptions } from './policyFlags.js'
import { tryOptions } from './tryOptions.js'

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
      ['vial run -t -- bash', 'a terminal of its own: a shell with job control'],
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
    name: 'try',
    about: 'Run a command on a directory, show what it changed, and apply that only if you say so',
    takes: '[--] COMMAND [ARGUMENT…]',
    words: 'command',
    options: tryOptions,
    detail: [
      'The directory is seen at its own place, and the command may write there. What it writes goes into a layer, which is dropped unless it is applied. The other flags are those of "vial run".',
      'The changes are printed on standard error, with A for added, M for changed and D for removed. At a terminal vial then asks; without one nothing is applied but with --yes.',
    ],
    examples: [
      ['vial try -- npm install', 'then: apply? [y/N/d], where d shows the lines'],
      ['vial try --no -- make', 'only show what it would change'],
      ['vial try --work ./src --yes -- ./format', 'this directory, without asking'],
    ],
    statuses: [
      ['N', "the command's own status, whether or not the changes are applied"],
      ['125', 'as of "vial run", or the changes cannot be applied'],
    ],
    action: async (flags, [name = '', ...args]) => (await import('./tryCommand.js')).tryOut(name, args, flags),
  }),
  ...liveCommands,
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
