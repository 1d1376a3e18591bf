/** Twelve languages, as data: what a judge has to know of each, and what each needs of the host. */
import type { Policy } from 'vial'

export interface Language {
  /** The name of the file that the source is written to. */
  readonly source: string
  /** Where the source is not run as it is. It is run in the directory of the source, which it may write to. */
  readonly compile?: Step
  /** Run in the same directory, read-only. */
  readonly run: Step
  /** The first line of what it prints is the version. Run where the language is compiled, or else where it is run. */
  readonly version: Command
  /** How many times the problem's time a program gets; default 1. */
  readonly patience?: number
  /** The exit status by which the run time tells that memory ran out, where it notices before the kernel does. */
  readonly outOfMemory?: number
}
export interface Step {
  readonly command: Command
  /** Of the host: `fill` where that finds all that is needed, else a preset; nothing for a static program. */
  readonly needs: Pick<Policy, 'preset' | 'fill' | 'filesystem' | 'env'>
}
export type Command = readonly [program: string, ...args: string[]]

const only = (program: string): Step['needs'] => ({ fill: { program } })
/** An empty root: the program is all that there is. */
const alone: Step = { command: ['./program'], needs: {} }
/** A language whose interpreter reads the source. */
const script = (source: string, program: string, version = '--version'): Language => ({
  source,
  run: { command: [program, source], needs: only(program) },
  version: [program, version],
})

export const languages = {
  c: {
    source: 'main.c',
    compile: { command: ['gcc', '-O2', '-static', '-o', 'program', 'main.c', '-lm'], needs: only('gcc') },
    run: alone,
    version: ['gcc', '--version'],
  },
  'c++': {
    source: 'main.cpp',
    compile: { command: ['g++', '-O2', '-static', '-o', 'program', 'main.cpp'], needs: only('g++') },
    run: alone,
    version: ['g++', '--version'],
  },
  rust: {
    source: 'main.rs',
    compile: {
      command: ['rustc', '-O', '-C', 'target-feature=+crt-static', '-o', 'program', 'main.rs'],
      needs: { preset: 'system' },
    },
    run: alone,
    version: ['rustc', '--version'],
  },
  go: {
    source: 'main.go',
    compile: {
      command: ['go', 'build', '-o', 'program', 'main.go'],
      needs: { preset: 'system', env: { set: { CGO_ENABLED: '0', GOCACHE: '/tmp/cache', GOFLAGS: '-p=1' } } },
    },
    run: alone,
    version: ['go', 'version'],
  },
  java: {
    source: 'Main.java',
    compile: { command: ['javac', '-J-Xmx256m', '-J-XX:+UseSerialGC', 'Main.java'], needs: only('javac') },
    run: {
      // The heap is less than the memory of the problem, since the machine itself needs some; out of heap is out of memory.
      command: ['java', '-Xmx64m', '-Xss16m', '-XX:+UseSerialGC', '-XX:+ExitOnOutOfMemoryError', 'Main'],
      needs: only('java'),
    },
    version: ['javac', '--version'],
    patience: 3,
    outOfMemory: 3,
  },
  pascal: {
    source: 'main.pas',
    compile: {
      command: ['fpc', '-O2', '-v0e', '-l-', '-oprogram', 'main.pas'],
      needs: { preset: 'system', filesystem: [{ bind: '/etc/fpc.cfg', optional: true }] },
    },
    run: alone,
    version: ['fpc', '-iV'],
  },
  python: script('main.py', 'python3'),
  javascript: { ...script('main.js', 'node'), patience: 2 },
  ruby: script('main.rb', 'ruby'),
  perl: { ...script('main.pl', 'perl'), version: ['perl', '-e', 'print "perl $^V\\n"'] },
  php: {
    ...script('main.php', 'php'),
    run: {
      command: ['php', '-d', 'memory_limit=-1', 'main.php'],
      // Debian's PHP has no time zones of its own.
      needs: { ...only('php'), filesystem: [{ bind: '/usr/share/zoneinfo', optional: true }] },
    },
  },
  bash: script('main.sh', 'bash'),
} as const satisfies Readonly<Record<string, Language>>

export type LanguageName = keyof typeof languages
export const languageNames = Object.keys(languages) as readonly LanguageName[]

/** The language of a file, by its ending. */
export const endingOf = (name: LanguageName): string => languages[name].source.replace(/^.*\./, '.')
export const languageOf = (file: string): LanguageName | undefined =>
  languageNames.find((name) => file.endsWith(endingOf(name)))
