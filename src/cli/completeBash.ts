/**
 * Completion for bash(1), "Programmable Completion". Nothing of a command line or of a file's name is evaluated: no eval, and no
 * `compgen -W`, which expands its words. Files are left to readline itself (`-o default`), which quotes what it writes.
 */
import { type Completed, grouped, ownFlags } from './completionTable.js'
import type { Offer } from './offers.js'

export function completeBash(commands: readonly Completed[]): string {
  const flagRows = commands.map(({ name, flags }) => {
    return [name, `flags=(${flags.flatMap(({ spellings }) => spellings).join(' ')})`] as const
  })
  const valueRows = commands.flatMap(({ name, flags }) =>
    flags.flatMap(({ spellings, value }) =>
      value === undefined ? [] : spellings.map((one) => [`'${name} ${one}'`, setting(value.offer)] as const),
    ),
  )
  const wordRows = commands.flatMap(({ name, words, more }) =>
    words.map((offer, place) => {
      const any = more && place === words.length - 1
      return [any ? `'${name} '*` : `'${name} ${place}'`, setting(offer)] as const
    }),
  )
  const endRows = commands.flatMap(({ name, words, runs }) => {
    return runs === undefined ? [] : [[name, runs === 'behindWords' ? `behind=${words.length}` : 'behind=--'] as const]
  })
  return script
    .replace('@commands@', () => commands.map(({ name }) => name).join(' '))
    .replace('@own@', () => ownFlags.flatMap(({ spellings }) => spellings).join(' '))
    .replace('@flags@', () => cases(flagRows))
    .replace('@ends@', () => cases(endRows))
    .replace('@values@', () => cases(valueRows))
    .replace('@words@', () => cases(wordRows))
}

const cases = (rows: readonly (readonly [string, string])[]) =>
  grouped(rows, ' | ')
    .map(([keys, text]) => `    ${keys}) ${text} ;;`)
    .join('\n')

function setting({ words, from }: Offer): string {
  const parts = [...(words === undefined ? [] : [`choices=(${words.join(' ')})`]), ...(from ? [`from='${from}'`] : [])]
  return parts.length === 0 ? "from=''" : parts.join(' ')
}

// `.bashrc` may be read by a bash in POSIX mode, and options such as nounset and extglob may be on or off.
const script = `# Completion of vial for bash, made by "vial completion bash".

_vial_of_command() {
  case $1 in
@flags@
  esac
  case $1 in
@ends@
  esac
}

# What the value of a flag is, as "COMMAND FLAG"; fails for what has none.
_vial_value() {
  case $1 in
@values@
    *) return 1 ;;
  esac
}

_vial_word() {
  case $1 in
@words@
  esac
}

# Replies those words that begin with the first.
_vial_reply() {
  local value=$1 one
  shift
  for one; do
    if [[ $one == "$value"* ]]; then COMPREPLY+=("$kept$one"); fi
  done
}

_vial_files() { compopt -o default 2> /dev/null; }

# Replies what is offered in choices and from, for a value as far as it is typed.
_vial_offer() {
  local value=$1 line
  # What readline does not replace of the word, because it was broken at a "=" or a ":".
  local kept=\${piece%"$value"}
  if [[ $piece != *"$value" ]]; then kept=''; fi
  _vial_reply "$value" \${choices[@]+"\${choices[@]}"}
  case $from in
    file | sides)
      if ((\${#COMPREPLY[@]} == 0)); then
        _vial_files
      else
        compopt -o filenames 2> /dev/null
        for line in "$value"*; do
          if [[ -e $line || -L $line ]]; then COMPREPLY+=("$kept$line"); fi
        done
      fi
      ;;
    program)
      if [[ $value == */* ]]; then _vial_files; return; fi
      while IFS= read -r line; do
        printf -v line %q "$line"
        COMPREPLY+=("$kept$line")
      done < <(compgen -c -- "$value" | sort -u)
      ;;
    sandbox)
      while IFS= read -r line; do
        _vial_reply "$value" "$line"
      done < <(command vial completion names 2> /dev/null)
      ;;
    variable)
      while IFS= read -r line; do
        _vial_reply "$value" "$line"
      done < <(compgen -e)
      ;;
  esac
}

_vial() {
  COMPREPLY=()
  # Words as the command gets them: readline breaks also at the characters of COMP_WORDBREAKS. Only blanks tell "a =b" from "a=b".
  local words=() starts=() flags=() choices=() from='' behind='' piece='' line=\${COMP_LINE:0:COMP_POINT} at glued
  for ((at = 0; at <= COMP_CWORD; at++)); do
    glued=1
    if [[ $line == [[:blank:]]* ]]; then glued=''; line=\${line#"\${line%%[![:blank:]]*}"}; fi
    piece=\${COMP_WORDS[at]}
    # The cursor may stand in it.
    if [[ $line != "$piece"* ]]; then piece=$line; fi
    line=\${line#"$piece"}
    if ((at > 0)) && [[ -n $glued ]]; then
      words[\${#words[@]} - 1]+=$piece
    else
      words+=("$piece")
      starts+=("$at")
    fi
  done
  # Readline replaces nothing of a word that ends with such a character.
  if [[ $piece != *[!=:@]* ]]; then piece=''; fi

  local last=$((\${#words[@]} - 1)) command=\${words[1]-}
  if ((last < 1)); then return; fi
  if ((last == 1)); then
    choices=(@commands@)
    if [[ $command == -* ]]; then choices=(@own@); fi
    _vial_offer "$command"
    return
  fi

  _vial_of_command "$command"
  local word value='' ended='' place=0 begin=0
  for ((at = 2; at < last; at++)); do
    word=\${words[at]}
    if [[ -n $value ]]; then
      value=''
    elif [[ -z $ended && $word == -- ]]; then
      ended=1
      if [[ $behind == -- || $behind == "$place" ]]; then begin=$((at + 1)); break; fi
    elif [[ -z $ended && $word == -?* ]]; then
      if [[ $word != *=* ]] && _vial_value "$command $word"; then value=$word; fi
    elif [[ $behind == "$place" ]]; then
      begin=$at
      break
    else
      place=$((place + 1))
      if [[ -n $behind && $behind != -- ]]; then ended=1; fi
    fi
  done
  choices=() from=''
  word=\${words[last]}

  if ((begin == 0)) && [[ -n $value ]]; then
    _vial_value "$command $value"
    _vial_offer "$word"
  elif ((begin == 0)) && [[ -z $ended && $word == -* ]]; then
    if [[ $word == *=* ]]; then
      if _vial_value "$command \${word%%=*}"; then _vial_offer "\${word#*=}"; fi
    else
      choices=(\${flags[@]+"\${flags[@]}"})
      _vial_offer "$word"
    fi
  elif ((begin == 0)) && [[ $behind != "$place" ]]; then
    _vial_word "$command $place"
    _vial_offer "$word"
  else
    if ((begin == 0)); then begin=$last; fi
    # Of the package bash-completion: what the other command has of its own.
    if declare -F _command_offset > /dev/null; then
      _command_offset "\${starts[begin]}"
    elif ((begin == last)); then
      from='program'
      _vial_offer "$word"
    else
      _vial_files
    fi
  fi
}

complete -F _vial vial
`
