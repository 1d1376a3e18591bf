/** A judge: compiles a submission in one sandbox, runs it on each test in another, and says one word about it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FilesystemEntry, type LimitsPolicy, type Policy, type RunResult, sandbox, type Verdict } from 'vial'
import type { Language, Step } from './languages.js'

export interface Problem {
  /** Of one test. */
  readonly limits: { readonly memory: number; readonly cpuSeconds: number; readonly output: number }
  readonly tests: readonly { readonly input: string; readonly answer: string }[]
}

export type Word =
  | 'accepted'
  | 'wrong answer'
  | 'compile error'
  | 'runtime error'
  | 'time limit'
  /** It waited instead of computing. */
  | 'idleness limit'
  | 'memory limit'
  | 'output limit'
  | 'process limit'

export interface Ruling {
  readonly word: Word
  /** What the judge may tell the author: a limit, a signal, the compiler's complaint. */
  readonly detail: string
  /** The test that it failed, from 1 on. */
  readonly test?: number
}

export interface Options {
  /** False: without the limits that need a cgroup, where the caller has none. Default true: then there is no judging. */
  readonly groups?: boolean
  /** Makes another policy of the one that a submission runs by: the tests take a wall away, and see what it was good for. */
  readonly change?: (policy: Policy & { readonly filesystem: readonly FilesystemEntry[] }) => Policy
}

/** The submission's directory, the same path while it is compiled and while it runs. */
const box = '/box'

/** Answers stay with the judge: a submission gets the input of one test at a time, and nothing of it remains for the next. */
export async function judge(
  language: Language,
  source: string,
  problem: Problem,
  { groups = true, change = (policy) => policy }: Options = {},
): Promise<Ruling> {
  const directory = mkdtempSync(join(tmpdir(), 'vial-judge-'))
  try {
    writeFileSync(join(directory, language.source), source)
    if (language.compile !== undefined) {
      const policy = policyOf(language.compile, directory, true, limitsOfCompilers(groups))
      const result = await start(language.compile, policy)
      if (result.verdict.kind !== 'ok') {
        const { detail } = ruled(result.verdict)
        return { word: 'compile error', detail: complaint(result) || detail }
      }
    }
    const policy = policyOf(language.run, directory, false, limitsOf(problem, language.patience ?? 1, groups))
    const changed = change(policy)
    for (const [index, { input, answer }] of problem.tests.entries()) {
      const { verdict, stdout } = await start(language.run, changed, input)
      const ruling =
        verdict.kind === 'exit' && verdict.code === language.outOfMemory
          ? { word: 'memory limit' as const, detail: 'the run time is out of memory' }
          : verdict.kind === 'ok' && !same(stdout, answer)
            ? { word: 'wrong answer' as const, detail: '' }
            : ruled(verdict)
      if (ruling.word !== 'accepted') return { ...ruling, test: index + 1 }
    }
    return { word: 'accepted', detail: '' }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** The version of a language that is installed here. Rejects where it is not. */
export async function versionOf(language: Language): Promise<string> {
  const { needs } = language.compile ?? language.run
  const [program, ...args] = language.version
  const { stdout, stderr } = await sandbox({ ...needs, limits: { wallTime: '30s' } }).run(program, args)
  return (stdout || stderr).split('\n')[0] ?? ''
}

function policyOf({ needs }: Step, directory: string, writable: boolean, limits: LimitsPolicy) {
  return {
    ...needs,
    filesystem: [...(needs.filesystem ?? []), { bind: box, from: directory, writable }],
    cwd: box,
    limits,
  } satisfies Policy
}

const start = ({ command: [program, ...args] }: Step, policy: Policy, input = ''): Promise<RunResult> =>
  sandbox(policy).run(program, args, { input })

/** A compiler is a program that the author of a submission steers: a source can make it endless, and its output huge. */
const limitsOfCompilers = (groups: boolean): LimitsPolicy => ({
  ...(groups ? { memory: '768M', pids: 64, cpuTime: '30s' } : {}),
  wallTime: '60s',
  output: '64K',
  fileSize: '64M',
})

const limitsOf = ({ limits }: Problem, patience: number, groups: boolean): LimitsPolicy => ({
  ...(groups ? { memory: limits.memory, pids: 32, cpuTime: limits.cpuSeconds * patience } : {}),
  // Time on the clock is for what waits: on a busy machine a program that computes needs more of it than of CPU time.
  wallTime: limits.cpuSeconds * patience * 10,
  output: limits.output,
  disk: '16M',
  openFiles: 64,
  core: 0,
})

/** How a run ended, in the judge's words. */
function ruled(verdict: Verdict): Ruling {
  switch (verdict.kind) {
    case 'ok':
      return { word: 'accepted', detail: '' }
    case 'exit':
      return { word: 'runtime error', detail: `exit status ${verdict.code}` }
    case 'signal':
      return { word: 'runtime error', detail: verdict.signal }
    case 'memory-limit':
      return { word: 'memory limit', detail: `${verdict.limit / 2 ** 20} MiB` }
    case 'output-limit':
      return { word: 'output limit', detail: `${verdict.limit / 2 ** 10} KiB` }
    case 'pids-limit':
      return { word: 'process limit', detail: `${verdict.limit} processes and threads` }
    case 'time-limit':
      return verdict.clock === 'cpu'
        ? { word: 'time limit', detail: `${verdict.limit} ms of CPU time` }
        : { word: 'idleness limit', detail: `${verdict.limit} ms on the clock` }
    // Not the submission's doing: no word about it.
    case 'killed':
      throw new Error('the sandbox was killed from outside: judge again')
    case 'sandbox-error':
      throw new Error(verdict.message)
  }
}

const complaint = ({ stderr, stdout }: RunResult) => (stderr.trim() || stdout.trim()).split('\n')[0] ?? ''

/** Blanks at the ends of lines and of the text do not matter. */
const same = (output: string, answer: string) => trimmed(output) === trimmed(answer)
const trimmed = (text: string) => text.replace(/[ \t\r]+$/gm, '').trimEnd()
