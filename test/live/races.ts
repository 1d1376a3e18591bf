/**
 * Two commands at once on one name: each does what it says, or says in one message why not, whichever comes first; then nothing is left.
 * `rounds.ts` runs it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { call, nothingIsLeft, random, type Said, start } from './ownPids.js'

/** Each way to answer, as exit status and all that is said on standard error. */
const answers = {
  done: [0, /^$/],
  runs: [0, /^box runs: enter it with [^\n]+\n$/],
  over: [0, /^box has ended already, with status 0: [^\n]+\n$/],
  killed: [137, /^$/],
  asked: [143, /^$/],
  taken: [
    125,
    /^vial: the name "box" is in use: a sandbox of that name (runs|is being started)\n +choose another name[^\n]+\n$/,
  ],
  refused: [125, /^vial: the sandbox "box" runs\n +end it first: [^\n]+\n$/],
  starting: [125, /^vial: the sandbox "box" is still being started\n +try again[^\n]+\n$/],
  ended: [125, /^vial: the sandbox "box" has ended\n +see "vial logs box"[^\n]+\n$/],
  meanwhile: [125, /^vial: the sandbox "box" has ended while it was looked at\n[^\n]+\n$/],
  left: [125, /^vial: cannot find the sandbox: No such [^\n]+\n +it has ended\n$/],
  // Its pid 1 has ended, so there can be no process more: clone(2), ENOMEM.
  last: [
    125,
    /^vial: cannot start the command[^\n]*: Cannot allocate memory\n +the sandbox has ended, or no memory is left\n$/,
  ],
  absent: [125, /^vial: there is no sandbox "box": there is none at all\n$/],
  removed: [125, /^vial: the sandbox "box" is not there any more: [^\n]+ removed it; [^\n]+\n$/],
} as const satisfies Readonly<Record<string, readonly [status: number, err: RegExp]>>

type Answer = keyof typeof answers
interface Contender {
  readonly words: readonly string[]
  /** How it may answer, in any state of the name; the others are faults. */
  readonly may: readonly Answer[]
}

const notThere = ['absent', 'starting', 'ended'] as const satisfies readonly Answer[]
const contenders = {
  start: { words: ['start', '--name', 'box', '--', 'sleep', '600'], may: ['runs', 'taken'] },
  short: { words: ['start', '--name', 'box', '--', 'true'], may: ['runs', 'over', 'taken'] },
  exec: { words: ['exec', 'box', 'sleep', '600'], may: ['killed', 'asked', 'left', 'last', ...notThere] },
  true: { words: ['exec', 'box', 'true'], may: ['done', 'killed', 'asked', 'left', 'last', ...notThere] },
  stop: { words: ['stop', '--grace', '1ms', 'box'], may: ['done', 'absent', 'starting'] },
  'stop --rm': { words: ['stop', '--grace', '1ms', '--rm', 'box'], may: ['done', 'absent', 'starting'] },
  kill: { words: ['kill', 'box'], may: ['done', ...notThere] },
  wait: { words: ['wait', 'box'], may: ['done', 'killed', 'removed', 'absent'] },
  logs: { words: ['logs', '-f', 'box'], may: ['done', 'absent', 'starting'] },
  rm: { words: ['rm', 'box'], may: ['done', 'refused', 'absent', 'starting'] },
  'rm -f': { words: ['rm', '-f', 'box'], may: ['done', 'absent'] },
  ps: { words: ['ps'], may: ['done'] },
  inspect: { words: ['inspect', 'box'], may: ['done', 'left', 'meanwhile', ...notThere] },
} as const satisfies Readonly<Record<string, Contender>>

type Name = keyof typeof contenders
/** Which of the two does what it was called for. */
type Winner = 'first' | 'second' | 'one' | 'some' | 'none'
type Race = readonly [first: Name, second: Name, wins: Winner]

/** Of a name that is free. */
const starts: readonly Race[] = [
  ['start', 'start', 'one'],
  ['short', 'short', 'some'],
  // What enters may come after the start, so it is one that ends by itself.
  ['start', 'true', 'first'],
  ['start', 'stop --rm', 'first'],
  ['start', 'kill', 'first'],
  ['short', 'wait', 'first'],
  ['start', 'rm', 'first'],
  ['start', 'rm -f', 'first'],
  ['short', 'rm -f', 'first'],
  ['start', 'ps', 'first'],
  ['start', 'inspect', 'first'],
]
/** Of a sandbox that runs. */
const ends: readonly Race[] = [
  ['start', 'rm -f', 'second'],
  ['start', 'stop --rm', 'second'],
  ['exec', 'stop', 'second'],
  ['exec', 'kill', 'second'],
  ['exec', 'rm -f', 'second'],
  ['true', 'rm -f', 'second'],
  ['stop', 'rm', 'first'],
  ['stop', 'stop', 'some'],
  ['stop --rm', 'stop --rm', 'some'],
  ['stop --rm', 'rm -f', 'some'],
  ['kill', 'kill', 'some'],
  ['kill', 'rm', 'first'],
  ['wait', 'kill', 'second'],
  ['wait', 'rm -f', 'second'],
  ['logs', 'stop --rm', 'second'],
  ['logs', 'rm -f', 'second'],
  ['rm', 'rm', 'none'],
  ['rm -f', 'rm -f', 'some'],
  ['ps', 'rm -f', 'second'],
  ['inspect', 'rm -f', 'second'],
]
export const races = [...starts.map((race) => ({ race, runs: false })), ...ends.map((race) => ({ race, runs: true }))]

/** Undefined: it is none that this command may give. */
const answerOf = (name: Name, { status, err }: Said): Answer | undefined =>
  contenders[name].may.find((answer) => answers[answer][0] === status && answers[answer][1].test(err))

const successes: readonly (Answer | undefined)[] = ['done', 'runs', 'over']

function isRight(wins: Winner, won: readonly boolean[]): boolean {
  const count = won.filter(Boolean).length
  return { first: won[0]!, second: won[1]!, one: count === 1, some: count > 0, none: count === 0 }[wins]
}

/** Milliseconds until a command that hangs fails the round. */
const patience = 120_000

export async function race(home: string, count: number, seed: number): Promise<void> {
  const next = random(seed)
  for (let round = 0; round < count; round++) {
    const { race, runs } = races[Math.floor(next() * races.length)]!
    const [first, second, wins] = race
    // A start takes longer than others: these come at each of its moments.
    const delays = [next() * 100, next() * (first === 'start' || first === 'short' ? 600 : 100)]
    const about = `seed ${seed}, round ${round}: ${first} and ${second}, after ${delays.map(Math.round).join(' and ')} ms`
    if (runs) await call(about, 'start', '--name', 'box')
    const said = [first, second].map(async (name, index) => {
      await sleep(delays[index])
      const { child, said } = start(contenders[name].words)
      const timer = setTimeout(() => child.kill('SIGABRT'), patience)
      return said.finally(() => clearTimeout(timer))
    })
    const both = await Promise.all(said)
    const given = [answerOf(first, both[0]!), answerOf(second, both[1]!)]
    const won = given.map((answer) => successes.includes(answer))
    if (given.includes(undefined) || !isRight(wins, won)) throw new Error(`${about}: ${JSON.stringify(both)}`)
    await start(['rm', '-f', 'box']).said
    await nothingIsLeft(home, about)
  }
}
