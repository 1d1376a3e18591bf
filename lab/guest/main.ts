/** Runs in a guest, as its root: the jobs that the kernel's command line names, told over the port `results`. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { askLandlock } from '../../src/doctor/probe.js'
import { type Job, jobs } from '../jobs.js'
import type { Line } from '../report.js'
import { stateOfGuest } from './state.js'

const dist = fileURLToPath(new URL('../../', import.meta.url))
const repository = fileURLToPath(new URL('../../../', import.meta.url))
const userId = 12345

/** The virtio port by its name: no udev is needed. */
function openPort(): number {
  const ports = '/sys/class/virtio-ports'
  const port = readdirSync(ports).find((one) => readFileSync(join(ports, one, 'name'), 'utf8').trim() === 'results')
  return openSync(join('/dev', port!), 'w')
}
const port = openPort()
const tell = (line: Line) => writeSync(port, `${JSON.stringify(line)}\n`)

function facts(): Record<string, string> {
  const first = (program: string, ...args: string[]) =>
    spawnSync(program, args, { encoding: 'utf8' }).stdout.split('\n')[0]
  return {
    kernel: release(),
    node: process.version,
    controllers: readFileSync('/sys/fs/cgroup/cgroup.controllers', 'utf8').trim(),
    'Landlock ABI': String(askLandlock()),
    'security modules': readFileSync('/sys/kernel/security/lsm', 'utf8').trim(),
    systemd: existsSync('/run/systemd/system') ? first('systemctl', '--version')! : 'not booted',
  }
}

/** The words of one test file, and of a bench. */
const ofTest = (test: string) => {
  const reporter = join(dist, 'lab/guest/reporter.js')
  return [`--test-reporter=${reporter}`, '--test-reporter-destination=stdout', join(dist, `${test}.test.js`)]
}
const ofBench = ([file, ...words]: NonNullable<Job['bench']>) => [join(dist, `${file}.js`), ...words]

/** Node in one process, by whom the job says. */
function start({ by, env = {} }: Job, args: readonly string[]): ChildProcess {
  const words = [process.execPath, ...args]
  const options = { cwd: repository, detached: true, stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'] }
  if (by === undefined) return spawn(words[0]!, words.slice(1), { ...options, env: { ...process.env, ...env } })
  // As a login would: https://www.freedesktop.org/software/systemd/man/latest/user@.service.html
  spawnSync('systemctl', ['start', `user@${userId}.service`], { stdio: 'inherit' })
  const ids = [`--reuid=${userId}`, `--regid=${userId}`, '--clear-groups']
  const service = ['--user', '--quiet', '--pipe', '--wait', '--collect', `--working-directory=${repository}`]
  return spawn('setpriv', [...ids, 'systemd-run', ...service, ...words], {
    ...options,
    env: { ...process.env, ...env, HOME: '/home/ordinary', XDG_RUNTIME_DIR: `/run/user/${userId}` },
  })
}

/** With no `nsdelegate` among the options it is switched off: cgroup_apply_root_flags() in the kernel's cgroup.c. */
function mountGroups({ boot, cgroup = 'nsdelegate' }: Job): void {
  if (boot !== 'plain') return
  spawnSync('mount', ['-t', 'cgroup2', '-o', `remount,${cgroup}`, 'cgroup2', '/sys/fs/cgroup'])
  const [, options] = /^\S+ \/sys\/fs\/cgroup cgroup2 (\S+)/m.exec(readFileSync('/proc/mounts', 'utf8'))!
  if (options!.includes('nsdelegate') !== cgroup.includes('nsdelegate'))
    throw new Error(`cgroup2 is mounted with ${options}`)
}

/** After so long without a word what the guest is at is told, and after half of its time the job counts as hanging. */
const silentSeconds = 60
const hangs = ({ minutes }: Job) => (minutes * 60) / 2

/** Tells when nothing was heard for long: what began last, and where everything waits. */
function watch(job: Job, hung: (test: string) => void) {
  let test = 'its start'
  let heard = performance.now()
  let told = false
  const silence = () => Math.round((performance.now() - heard) / 1000)
  const tellState = () => {
    told = true
    tell({ job: job.id, silent: test, seconds: silence(), state: stateOfGuest() })
  }
  const timer = setInterval(() => {
    if (!told && silence() >= silentSeconds) tellState()
    if (silence() >= hangs(job)) hung(test)
  }, 1000)
  return {
    tellState,
    hears(begins: string | undefined) {
      test = begins ?? `what is behind ${test.replace(/^what is behind /, '')}`
      heard = performance.now()
      told = false
    },
    end: () => clearInterval(timer),
  }
}

type Ending = { readonly end: 'ended' | 'late' } | { readonly end: 'hung'; readonly test: string }

async function attempt(job: Job, from: number, says: (text: string) => void): Promise<Ending> {
  let ending: Ending = { end: 'ended' }
  let said = ''
  const parts = job.tests.map((test) => [test, ofTest(test)] as const)
  if (job.bench !== undefined) parts.push([job.bench[0], ofBench(job.bench)])
  for (const [name, args] of parts) {
    const child = start(job, args)
    let failed = 0
    const stop = (how: Ending) => {
      ending = how
      process.kill(-child.pid!, 'SIGKILL')
      // What it left behind may have the other ends, and would keep it from closing.
      for (const stream of [child.stdout!, child.stderr!]) stream.destroy()
    }
    const left = job.minutes * 60_000 - (performance.now() - from)
    const timer = setTimeout(() => {
      watching.tellState()
      stop({ end: 'late' })
    }, left)
    const watching = watch(job, (test) => stop({ end: 'hung', test: `${name}: ${test}` }))
    const hear = (text: string) => {
      said += text
      says(text)
    }
    child.stderr!.on('data', hear)
    createInterface({ input: child.stdout! }).on('line', (line) => {
      if (!line.startsWith('{"test":') && !line.startsWith('{"begins":')) return hear(`${line}\n`)
      const one = JSON.parse(line)
      watching.hears(one.begins)
      if (one.test === undefined) return
      tell({ job: job.id, ...one })
      if (one.status === 'failed') failed++
    })
    const [code] = await once(child, 'close')
    clearTimeout(timer)
    watching.end()
    if (ending.end !== 'ended') break
    // A file that cannot be loaded, or dies, has no test that fails.
    if (code !== 0 && failed === 0)
      tell({ job: job.id, test: name, status: 'failed', why: `ended with ${code}: ${said.trim().slice(-2000)}` })
    else if (job.bench !== undefined) tell({ job: job.id, test: name, status: 'passed' })
  }
  return ending
}

async function run(job: Job): Promise<void> {
  mountGroups(job)
  const started = performance.now()
  let said = ''
  const says = (text: string) => {
    said += text
  }
  let ending = await attempt(job, started, says)
  if (ending.end === 'hung') {
    tell({ job: job.id, again: ending.test })
    ending = await attempt(job, performance.now(), says)
    if (ending.end === 'hung') tell({ job: job.id, test: ending.test, status: 'failed', why: 'hung twice' })
  }
  const end = ending.end === 'ended' ? 'ended' : 'late'
  const seconds = (performance.now() - started) / 1000
  tell({ job: job.id, end, seconds, ...(said === '' ? {} : { said: said.slice(-8000) }) })
}

const named = /\blab\.jobs=(\S+)/.exec(readFileSync('/proc/cmdline', 'utf8'))?.[1]?.split(',') ?? []
tell({ facts: facts() })
// `vial-bwrap` is an executable that holds the paths of where it was installed.
spawnSync(process.execPath, [join(dist, 'src/cli/install.js')], { stdio: 'inherit' })
for (const id of named) await run(jobs.find((job) => job.id === id)!)
