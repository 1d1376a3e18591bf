/** Completion for fish(1), by its `complete`. */
import { type Completed, type Flag, grouped, ownFlags } from './completionTable.js'
import type { Offer, Source } from './offers.js'

export function completeFish(commands: readonly Completed[]): string {
  const valued = commands.map(({ name, flags }) => {
    return [name, `printf '%s\\n' ${spelled(flags.filter(({ value }) => value !== undefined))}`] as const
  })
  const ends = commands.flatMap(({ name, words, runs }) => {
    return runs === undefined ? [] : [[name, `echo ${runs === 'behindWords' ? words.length : 'dashes'}`] as const]
  })
  return script
    .replace('@valued@', () => cases(valued.filter(([, text]) => text.includes('-'))))
    .replace('@ends@', () => cases(ends))
    .replace('@rows@', () => [...rowsOfVial(commands), ...commands.flatMap(rowsOf)].join('\n'))
}

const spelled = (flags: readonly Flag[]) => flags.flatMap(({ spellings }) => spellings).join(' ')

const cases = (rows: readonly (readonly [string, string])[]) =>
  grouped(rows, ' ')
    .map(([keys, text]) => `        case ${keys}\n            ${text}`)
    .join('\n')

function rowsOfVial(commands: readonly Completed[]): string[] {
  const names = commands.map(({ name, about }) => `complete -c vial -n __vial_first -a ${name} -d ${quoted(about)}`)
  return [...ownFlags.map((flag) => rowOf(flag, '__vial_first')), ...names]
}

function rowsOf({ name, flags, words, more, runs }: Completed): string[] {
  const at = (place: string) => quoted(`__vial_at ${name} ${place}`)
  return [
    ...flags.map((flag) => rowOf(flag, at('flags'))),
    ...words.map((offer, place) => {
      return `complete -c vial -n ${at(more && place === words.length - 1 ? `${place}+` : `${place}`)}${offered(offer)}`
    }),
    ...(runs === undefined ? [] : [`complete -c vial -n ${at('command')} -a '(__vial_command_line)'`]),
  ]
}

function rowOf({ spellings, about, value }: Flag, condition: string): string {
  const names = spellings.map((one) => (one.startsWith('--') ? `-l ${one.slice(2)}` : `-s ${one.slice(1)}`))
  const taken = value === undefined ? '' : ` -r${offered(value.offer)}`
  return `complete -c vial -n ${condition} ${names.join(' ')}${taken} -d ${quoted(about)}`
}

const functions: Readonly<Record<Exclude<Source, 'file' | 'sides'>, string>> = {
  program: '(__fish_complete_command)',
  sandbox: '(command vial completion names 2>/dev/null)',
  variable: '(set -nx)',
}

/** Of PATH[:INSIDE], fish itself completes what is behind the colon. */
function offered({ words = [], from }: Offer): string {
  const isFile = from === 'file' || from === 'sides'
  const all = [...words, ...(from === undefined || isFile ? [] : [functions[from]])]
  return `${isFile ? ' -F' : ' -f'}${all.length === 0 ? '' : ` -a ${quoted(all.join(' '))}`}`
}

const quoted = (text: string) => `'${text.replace(/[\\']/g, '\\$&')}'`

const script = `# Completion of vial for fish, made by "vial completion fish".

# The flags of a command that have a value.
function __vial_valued
    switch $argv[1]
@valued@
    end
end

# Behind how many words a command line begins; "dashes": behind "--" only.
function __vial_behind
    switch $argv[1]
@ends@
    end
end

function __vial_first
    test (count (commandline -opc)) -eq 1
end

# Where the cursor is: "flags", "value" of a flag, the number of a word, or "command" and the place of its first word.
function __vial_place
    set -l words (commandline -opc)
    set -l command $words[2]
    set -l valued (__vial_valued $command)
    set -l behind (__vial_behind $command)
    set -l place 0
    set -l ended no
    set -l value no
    for at in (seq 3 (count $words))
        set -l word $words[$at]
        if test $value = yes
            set value no
        else if test $ended = no; and string match -q -- -- "$word"
            set ended yes
            if contains -- "$behind" dashes $place
                echo command
                echo (math $at + 1)
                return
            end
        else if test $ended = no; and string match -q -- '-?*' "$word"
            contains -- "$word" $valued; and set value yes
        else if test "$behind" = $place
            echo command
            echo $at
            return
        else
            set place (math $place + 1)
            string match -qr -- '^\\d+$' "$behind"; and set ended yes
        end
    end
    if test $value = yes
        echo value
    else if test $ended = no; and string match -q -- '-*' (commandline -ct)
        echo flags
    else if test "$behind" = $place
        echo command
        echo (math (count $words) + 1)
    else
        echo $place
    end
end

# Whether the cursor is there, in that command; "N+": at that word, or one behind it.
function __vial_at
    set -l words (commandline -opc)
    test (count $words) -ge 2 -a "$words[2]" = $argv[1]; or return
    set -l place (__vial_place)
    set -l from (string match -r -- '^(\\d+)\\+$' $argv[2])[2]
    if set -q from[1]
        string match -qr -- '^\\d+$' $place[1]; and test $place[1] -ge $from
        return
    end
    test $argv[2] = flags -a "$place[1]" = value; or contains -- $argv[2] $place
end

# What fish itself completes of the command line that vial would run. Each word before the cursor stays one, whatever it holds.
function __vial_command_line
    set -l words (commandline -opc)
    set -l begin (__vial_place)[2]
    set -l before
    test $begin -le (count $words); and set before (string escape -- $words[$begin..-1])
    complete --do-complete=(string join ' ' -- $before (commandline -ct))
end

complete -c vial -f
@rows@
`
