/** Shells that complete a line: what each offers for its last word. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Terminal } from './terminal.js'
import { type Caller, workDirectory } from './user.js'

export interface Completing {
  /** Where the script that was printed for this shell lies. */
  readonly script: string
  /** The working directory. */
  readonly cwd: string
  /** Searched before the system's. */
  readonly programs: string
  readonly caller: Caller
}

/** Words as a command would get them; without the flag in `--flag=word`. Sorted. */
export type Offers = (line: string, where: Completing) => Promise<readonly string[]>

const wordsOf = (texts: readonly string[]) =>
  [...new Set(texts.filter((text) => text !== '').map((text) => text.replace(/^--[\w-]+=(?=.)/, '')))].sort()

export function runShell(
  { cwd, programs, caller }: Completing,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): SpawnSyncReturns<string> {
  return spawnSync(command, args, {
    encoding: 'utf8',
    cwd,
    input: '',
    env: {
      ...{ PATH: `${programs}:/usr/local/bin:/usr/bin:/bin`, HOME: workDirectory(caller, 'home') },
      ...{ TERM: 'dumb', LANG: 'C.UTF-8', VIAL_TEST_VARIABLE: 'x', ...env },
    },
    ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
  })
}

/** readline(3) inserts all that is offered (M-*), quoted as for one; the function gets the words that the shell reads then. */
const bash: Offers = async (line, { script, cwd, programs, caller }) => {
  const answer = join(cwd, '.answer')
  rmSync(answer, { force: true })
  const start = join(workDirectory(caller, 'home'), 'start.bash')
  writeFileSync(
    start,
    `PS1='type> ' PATH=${programs}:/usr/local/bin:/usr/bin:/bin VIAL_TEST_VARIABLE=x; export VIAL_TEST_VARIABLE
cd ${cwd} && source ${script}
vial() { printf '%s\\0' "$@" > .answer; echo "got $#"; exit; }\n`,
  )
  const terminal = new Terminal(caller, `bash --noprofile --rcfile ${start} -i`)
  try {
    await terminal.shows('type> ')
    terminal.type(`${line}\x1b*\r`)
    await terminal.ended
  } finally {
    await terminal.close()
  }
  const words = readFileSync(answer, 'utf8').split('\0').slice(0, -1)
  // What was typed before the word, which is without quotes.
  return wordsOf(words.slice(line.trimStart().split(/ +/).length - 2).filter((word) => word !== line.split(' ').at(-1)))
}

/** Its own completion system, as a key would call it, once the line can be edited. */
const zsh: Offers = async (line, where) => {
  const directory = workDirectory(where.caller, 'zsh')
  const answer = join(directory, 'answer')
  rmSync(answer, { force: true })
  writeFileSync(
    join(directory, '.zshrc'),
    // What it found at the first start it knows at the next, which takes a twentieth of the time.
    `autoload -Uz compinit; compinit -u -d ${join(directory, 'found')}
source ${where.script}
# What would be added, where nothing is only filtered.
compadd() {
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
  local -a hits
  builtin compadd -A hits "$@"
  (( $#hits )) && print -rNC1 -- "\${(@Q)hits}" >> ${answer}
  builtin compadd "$@"
}
zle -C all complete-word complete_all
complete_all() { _main_complete }
zle-line-init() { BUFFER=$VIAL_LINE; CURSOR=$#BUFFER; zle all; exit 0 }
zle -N zle-line-init\n`,
  )
  const { status, stdout } = runShell(where, 'script', ['-qec', 'zsh -d -i', '/dev/null'], {
    ...{ ZDOTDIR: directory, VIAL_LINE: line },
  })
  if (status !== 0) throw new Error(stdout)
  return wordsOf(existsSync(answer) ? readFileSync(answer, 'utf8').split('\0') : [])
}

const fish: Offers = async (line, where) => {
  const { status, stdout, stderr } = runShell(where, 'fish', [
    ...['--no-config', '-c', 'source $argv[1]; complete --do-complete=$argv[2]', where.script, line],
  ])
  if (status !== 0 || stderr !== '') throw new Error(stderr)
  return wordsOf(stdout.split('\n').map((one) => one.split('\t')[0]!))
}

export const shells = { bash, zsh, fish } as const
export type ShellName = keyof typeof shells
