/** Completion for zsh(1), by _arguments and its like of zshcompsys(1). */
import { shellWord } from '../text/shellWord.js'
import { type Completed, type Flag, ownFlags } from './completionTable.js'
import type { Offer, Source } from './offers.js'

export function completeZsh(commands: readonly Completed[]): string {
  const lists = commands.map(({ name, about }) => `    ${shellWord(`${name}:${escaped(about, /[\\:]/g)}`)}`)
  return script
    .replace('@commands@', () => lists.join('\n'))
    .replace('@own@', () => joined(ownFlags.flatMap(specs)))
    .replace('@behind@', () => commands.flatMap(({ name, runs }) => (runs === 'behindDashes' ? [name] : [])).join('|'))
    .replace('@cases@', () => commands.map((one) => `    ${one.name})\n${caseOf(one)} ;;`).join('\n'))
}

function caseOf({ flags, words, more, runs }: Completed): string {
  // It reads its flags itself: _arguments gives up at the first that it does not know.
  if (flags.length === 0 && words.length === 0) return '      _default'
  const places = words.map((offer, place) => {
    return `${more && place === words.length - 1 ? '*' : place + 1}:word:${action(offer)}`
  })
  const line = runs === 'behindWords' ? ['*:::command:_normal'] : []
  // The first word ends the flags of what runs a command.
  const ends = runs === 'behindWords' ? " -A '-*'" : ''
  return `      _arguments -S${ends}${joined([...flags.flatMap(specs), ...places, ...line])}`
}

/** One for each spelling: `(those it excludes)--flag=[about]:value:action`. */
const specs = ({ spellings, about, again, value }: Flag): string[] =>
  spellings.map((one) => {
    const alone = again ? '*' : `(${spellings.join(' ')})`
    const inline = value !== undefined && one.startsWith('--') ? '=' : ''
    const taken = value === undefined ? '' : `:${escaped(value.name, /[\\:]/g)}:${action(value.offer)}`
    return `${alone}${one}${inline}[${escaped(about, /[\\[\]]/g)}]${taken}`
  })

const functions: Readonly<Record<Source, string>> = {
  file: '_files',
  sides: '_vial_sides',
  program: '_vial_programs',
  sandbox: '_vial_sandboxes',
  variable: '_vial_variables',
}

/** A blank: nothing is offered, and nothing is said of that. */
function action({ words, from }: Offer): string {
  if (words === undefined) return from === undefined ? ' ' : functions[from]
  // Behind a blank, the function gets no options of compadd.
  return from === undefined ? `(${words.join(' ')})` : ` _vial_words_or ${functions[from]} ${words.join(' ')}`
}

const joined = (those: readonly string[]) => those.map((one) => ` \\\n        ${shellWord(one)}`).join('')
const escaped = (text: string, what: RegExp) => text.replace(what, '\\$&')

const script = `#compdef vial
# Completion of vial for zsh, made by "vial completion zsh".

_vial_commands() {
  local -a commands=(
@commands@
  )
  _describe -t commands command commands
}

# PATH[:INSIDE]
_vial_sides() {
  compset -P '*:'
  _files
}

_vial_words_or() {
  local others=$1
  shift
  _alternative "words:word:($*)" "others:value:$others"
}

_vial_programs() {
  _alternative 'commands:command:_command_names -e' 'files:executable file:_files -g "*(-*)"'
}

_vial_sandboxes() {
  # A flag is typed.
  [[ $PREFIX == -* ]] && return 1
  local -a names=(\${(f)"$(command vial completion names 2> /dev/null)"}) expl
  _wanted sandboxes expl sandbox compadd -a names
}

# NAME[=VALUE]
_vial_variables() {
  if compset -P '*='; then _message value; else _parameters -g '*export*'; fi
}

_vial() {
  local curcontext=$curcontext state line
  local -A opt_args
  if (( CURRENT == 2 )); then
    if [[ $words[2] == -* ]]; then
      _arguments -S@own@
    else
      _vial_commands
    fi
    return
  fi
  shift words
  (( CURRENT-- ))
  # Behind "--": a command line of its own.
  local -i dashes=$words[(i)--]
  if [[ $words[1] == (@behind@) ]] && (( dashes < CURRENT )); then
    words=("\${(@)words[dashes + 1, -1]}")
    (( CURRENT -= dashes ))
    _normal
    return
  fi
  case $words[1] in
@cases@
  esac
}

# Found in fpath, this file is the function; read by source, it defines it.
if [[ $funcstack[1] == _vial ]]; then _vial "$@"; else compdef _vial vial; fi
`
