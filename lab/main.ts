/**
 * `npm run lab [-- --short] [--kernel WORD]… [--job ID]… [--verbose]`: boots Debian's kernels in qemu, runs the jobs in them, and
 * prints a table. All but the short form keep what they found in lab/results.json, and write docs/lab.md from it;
 * `--page` only writes the page.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { fetchKernel, makeInitramfs, makeRepositoryDisk } from './boot.js'
import { document } from './document.js'
import { overlayOf, starts } from './guest/root.js'
import { type Boot, features, type Job, jobs } from './jobs.js'
import { type Kernel, kernels, kernelsOf } from './kernels.js'
import { Progress } from './progress.js'
import { runGuest, tail } from './qemu.js'
import { isAgain, isEnd, type Line, parseLine, withLine } from './report.js'
import { failures, isGood, known, merge, type Outcome, readResults, resultsOf, writeResults } from './results.js'
import { columns, inOrder, tableRows } from './table.js'
import { userland } from './userland.js'

const repository = fileURLToPath(new URL('../../', import.meta.url))

async function boot(
  kernel: Kernel,
  boot: Boot,
  chosen: readonly Job[],
  work: string,
  disk: string,
  progress: Progress,
  ended: (lines: readonly Line[], job: string) => void,
) {
  const say = (text: string) => progress.note(`${kernel.name}: ${text}`)
  const image = await fetchKernel(kernel, say)
  const { image: system, busybox } = await userland(kernel.architecture, say)
  const initramfs = join(work, 'initramfs')
  await makeInitramfs(image, busybox, overlayOf(boot), initramfs)
  say(`booting (${boot})`)
  let lines: Line[] = []
  const broken = await runGuest(
    {
      architecture: kernel.architecture,
      kernel: join(image, 'vmlinuz'),
      initramfs,
      disks: [system, disk],
      commandLine: `lab.init=${starts[boot]} lab.jobs=${chosen.map(({ id }) => id).join()}`,
      // Each may be run twice.
      seconds: 60 * chosen.reduce((sum, { minutes }) => sum + 2 * minutes, 5),
      console: join(work, 'console'),
    },
    (text) => {
      const line = parseLine(text)
      if (line === undefined) return
      lines = withLine(lines, line)
      progress.line(kernel.name, line)
      if (isEnd(line)) ended(lines, line.job)
    },
  )
  const untold = chosen.filter(({ id }) => !lines.some((line) => isEnd(line) && line.job === id))
  // One that panics, or finds no disk, is off as if it were done.
  const off =
    untold.length > 0 ? `was off before ${untold[0]!.id} had ended\n${tail(join(work, 'console'))}` : undefined
  const why = broken ?? off
  return { lines, broken: why === undefined ? [] : [why] }
}

const names = kernels.map(({ name }) => name)
const rowsOf = (chosen: readonly Job[]) => features.filter(({ job }) => chosen.some(({ id }) => id === job))

/** What a guest told of jobs, beside what others have: the whole lab takes hours, and may be ended at any time. */
function keep(outcome: Outcome, chosen: readonly Job[]): void {
  writeResults(known(merge(readResults(), resultsOf([outcome], rowsOf(chosen))), features))
  writePage()
}

const writePage = () => writeFileSync(join(repository, 'docs/lab.md'), document(readResults(), names, features))

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      short: { type: 'boolean', default: false },
      kernel: { type: 'string', multiple: true },
      job: { type: 'string', multiple: true },
      verbose: { type: 'boolean', default: false },
      page: { type: 'boolean', default: false },
    },
  })
  if (values.page) return writePage()
  if (process.getuid!() !== 0) throw new Error("the files of a guest's disk have owners: run the lab as root")
  const words = values.kernel ?? (values.short ? [kernels[0]!.name] : [])
  const chosenKernels = kernelsOf(words)
  const chosenJobs = jobs.filter(({ id, short }) => values.job?.includes(id) ?? (!values.short || short))
  if (chosenKernels.length === 0) throw new Error(`--kernel is a word, or words, of: ${names.join(', ')}`)
  if (chosenJobs.length === 0) throw new Error(`--job is one of: ${jobs.map(({ id }) => id).join(', ')}`)
  const work = mkdtempSync(join(tmpdir(), 'vial-lab-'))
  const clean = () => rmSync(work, { recursive: true, force: true })
  process.once('exit', clean)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
  const progress = new Progress(values.verbose)
  const outcomes: Outcome[] = []
  const disk = join(work, 'repository')
  mkdirSync(work, { recursive: true })
  await makeRepositoryDisk(repository, disk)
  for (const kernel of chosenKernels) {
    const told: Line[] = []
    const broken: string[] = []
    for (const kind of ['plain', 'systemd'] as const) {
      const some = chosenJobs.filter(({ boot }) => boot === kind)
      if (some.length === 0) continue
      const kept = (lines: readonly Line[], of: readonly Job[]) => {
        if (!values.short) keep({ kernel: kernel.name, lines }, of)
      }
      const guest = await boot(kernel, kind, some, work, disk, progress, (lines, job) =>
        kept(
          lines,
          some.filter(({ id }) => id === job),
        ),
      )
      kept(guest.lines, some)
      told.push(...guest.lines)
      broken.push(...guest.broken)
    }
    outcomes.push({ kernel: kernel.name, lines: told, broken })
  }
  progress.end()
  const ids = chosenJobs.map(({ id }) => id)
  const rows = rowsOf(chosenJobs)
  for (const outcome of outcomes) {
    for (const text of outcome.broken ?? []) process.stdout.write(`${outcome.kernel}: a guest ${text}\n`)
    for (const { job, test, why } of failures(outcome))
      process.stdout.write(`${outcome.kernel}: ${job}: ${test}: ${why ?? 'failed'}\n`)
    for (const { job, again } of outcome.lines.filter(isAgain))
      process.stdout.write(`${outcome.kernel}: ${job}: hung once in ${again}, and was run again\n`)
    for (const line of outcome.lines.filter(isEnd))
      if (line.said !== undefined && jobs.find(({ id }) => id === line.job)?.bench !== undefined)
        process.stdout.write(`\n${outcome.kernel}: ${line.job}\n${line.said}`)
  }
  const results = resultsOf(outcomes, rows)
  if (rows.length > 0) process.stdout.write(`\n${columns(tableRows(inOrder(results, names), rows))}\n`)
  if (!outcomes.every((outcome) => isGood(outcome, ids))) process.exitCode = 1
}

try {
  await main()
} catch (error) {
  process.stderr.write(`lab: ${(error as Error).message}\n`)
  process.exitCode = 1
}
