// Runs every compiled test file with Node's own runner: a plain list, so that Node 20 needs no glob support. VIAL_TEST_FILES_AT_ONCE
// is how many at a time (default: 2 where there are two cores); behind them come, one by one, those that have to be alone.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { run } from 'node:test'
import report from './reporter.js'

const files = readdirSync('dist/test', { recursive: true })
  .filter((name) => name.endsWith('.test.js'))
  .map((name) => `dist/test/${name}`)
  .sort()
/** What is left out inside a vial, unless it is asked for by a word. */
const notInside = {
  'attacks/': 'an attack has to succeed against a weakened sandbox, and the outer one refuses it still',
  'compare/compare': 'of a walled-off host nothing is left to compare',
  'cli/root hardening/ seccomp/kernel setup/setup': 'the outer filter and its mounts refuse what is tried',
  'docs/snippets': 'what vial itself runs from is read-only inside',
  'front/caller front/host front/install robust/cache robust/repairs sandbox/many':
    "who owns the host's directories cannot be seen inside",
}
/** What VIAL_TEST_CALLERS=root runs, behind a run by an ordinary user: where being root is another way through vial, or worth more to an attack. */
const ofRoot =
  'attacks/byName attacks/doors attacks/entrants attacks/filesystem attacks/kernel attacks/network attacks/outsiders attacks/privileges ' +
  'attacks/processes attacks/surroundings bwrap/policy cgroup/ cli/root hardening/devices hardening/kernel hardening/landlock ' +
  'hardening/links hardening/privileges hardening/processes hosts/ limits/ live/capable live/entrant namespaces/ ' +
  'sandbox/console sandbox/run'
/** What no other test may run beside. */
const alone = {
  'cgroup/ limits/': 'what is used and held back is measured, and a machine has one memory',
  'cli/session cli/terminal': 'what a terminal types is answered in time',
  'robust/many': 'all keys that a user may have are taken',
}
/** The value of the row that names a file. */
const rowOf = (table, name) =>
  Object.entries(table).find(([parts]) => parts.split(' ').some((part) => name.includes(`/${part}`)))?.[1]

const words = process.argv.slice(2)
const unmatched = words.filter((word) => !files.some((name) => name.includes(word)))
if (unmatched.length > 0) {
  console.error(`no test file has "${unmatched.join('" or "')}" in its path, as sandbox/ or cli/start have`)
  process.exitCode = 1
} else if (words.length === 0 && !canMakeSandboxes()) {
  process.exitCode = 1
} else {
  const chosen = words.length === 0 ? whatCanRun() : files.filter((name) => words.some((word) => name.includes(word)))
  // A file of the whole suite takes two minutes at most. What words ask for may take any time: stress, an emulated machine.
  if (words.length === 0) process.env.VIAL_TEST_DEADLINE ??= '600'
  // Each test file is started with what this process was.
  process.execArgv.push('--import', new URL('hostGuard.js', import.meta.url).href)
  for await (const text of report(results(chosen))) process.stdout.write(text)
}

async function* results(chosen) {
  const together = chosen.filter((name) => rowOf(alone, name) === undefined)
  const lists = [
    [together, Number(process.env.VIAL_TEST_FILES_AT_ONCE ?? Math.min(2, availableParallelism()))],
    [chosen.filter((name) => !together.includes(name)), 1],
  ]
  for (const [files, concurrency] of lists)
    if (files.length > 0)
      for await (const event of run({ files, concurrency })) {
        if (event.type === 'test:fail') process.exitCode = 1
        yield event
      }
}

function whatCanRun() {
  const left = files.filter((name) => !isVial() || !isLeftOut(name, notInside, 'inside a vial'))
  if (process.env.VIAL_TEST_CALLERS !== 'root') return left
  const own = left.filter((name) => ofRoot.split(' ').some((part) => name.includes(`/${part}`)))
  console.log(`# of ${left.length} files ${own.length} are run for root alone: test/run.js`)
  return own
}

function isLeftOut(name, table, where) {
  const reason = rowOf(table, name)
  if (reason !== undefined) console.log(`# left out ${where}: ${name}: ${reason}`)
  return reason !== undefined
}

/** Where no sandbox can be made, most tests can only fail, and some take their whole time for it. */
function canMakeSandboxes() {
  const { status, stderr } = spawnSync(process.execPath, ['dist/src/cli/main.cjs', 'run', '--', 'true'], {
    encoding: 'utf8',
  })
  if (status === 0) return true
  console.error(`the tests make sandboxes, and none can be made here:\n${stderr.trimEnd()}`)
  if (isVial()) console.error('inside a vial: the outer one needs "--seccomp nested"')
  return false
}

/** Whether pid 1 is one of vial's. */
function isVial() {
  try {
    return readFileSync('/proc/1/cmdline', 'utf8').startsWith('vial\0')
  } catch {
    return false
  }
}
