/**
 * A judge of twelve languages. Run it with: node dist/examples/judge/main.js [--no-groups] [FILE...]
 *
 * Without a file it judges a right program in each language that is installed here and 25 wrong ones, and looks whether each
 * gets its word. A FILE is judged by its ending; it is to solve examples/judge/sum. Where the caller has no cgroup
 * (`vial doctor`) memory, processes and CPU time cannot be limited: nothing is judged unless --no-groups says to go on.
 */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sandbox } from 'vial'
import { judge, type Problem, type Ruling, versionOf } from './judge.js'
import { endingOf, type LanguageName, languageNames, languageOf, languages } from './languages.js'
import { type Submission, submissions } from './programs.js'

const words = process.argv.slice(2)
const groups = !words.includes('--no-groups')
const files = words.filter((word) => word !== '--no-groups')
if (files.some((word) => word.startsWith('-'))) {
  console.error('usage: node dist/examples/judge/main.js [--no-groups] [FILE...]')
  process.exit(1)
}

const read = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../../examples/judge/sum/${name}`, import.meta.url)), 'utf8')
const problem: Problem = {
  limits: { memory: 192 * 2 ** 20, cpuSeconds: 2, output: 64 * 2 ** 10 },
  tests: [1, 2].map((number) => ({ input: read(`${number}.input`), answer: read(`${number}.answer`) })),
}

const inWords = ({ word, detail, test }: Ruling) =>
  `${word}${test === undefined ? '' : ` on test ${test}`}${detail === '' ? '' : `, ${detail}`}`

async function judgeFile(file: string): Promise<void> {
  const language = languageOf(file)
  if (language === undefined) {
    throw new Error(`${file}: no language has this ending; there are ${languageNames.map(endingOf).join(', ')}`)
  }
  const ruling = await judge(languages[language], readFileSync(file, 'utf8'), problem, { groups })
  console.log(`${basename(file)}: ${inWords(ruling)}`)
}

async function installed(name: LanguageName): Promise<boolean> {
  try {
    console.log(`${name}: ${await versionOf(languages[name])}`)
    return true
  } catch {
    console.log(`${name}: not installed`)
    return false
  }
}

async function check({ language, name, source, word, group }: Submission): Promise<void> {
  if (group && !groups) return console.log(`${language}, ${name}: not judged without a cgroup`)
  const ruling = await judge(languages[language], source, problem, { groups })
  console.log(`${language}, ${name}: ${inWords(ruling)}`)
  if (ruling.word === word) return
  console.error(`${language}, ${name}: should be ${word}`)
  process.exitCode = 1
}

/** All of the machine is not taken: each run is to have a CPU for itself. */
async function twoAtATime<T>(all: readonly T[], action: (one: T) => Promise<void>): Promise<void> {
  const left = all.values()
  const worker = async () => {
    for (const one of left) await action(one)
  }
  await Promise.all([worker(), worker()])
}

const { limits: missing } = sandbox({ limits: { memory: '1M', pids: 1, cpuTime: '1s' } }).explain()
if (groups && missing !== undefined) {
  console.error(`${missing}\n--no-groups judges without limits of memory, processes and CPU time`)
  process.exitCode = 1
} else if (files.length > 0) {
  for (const file of files)
    await judgeFile(file).catch((error: Error) => {
      console.error(error.message)
      process.exitCode = 1
    })
} else {
  const here: LanguageName[] = []
  for (const name of languageNames) if (await installed(name)) here.push(name)
  await twoAtATime(
    submissions.filter(({ language }) => here.includes(language)),
    check,
  )
}
