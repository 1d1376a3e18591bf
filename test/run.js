// Runs every compiled test file with Node's own runner: a plain list, so that Node 20 needs no glob support. One at a
// time: some look at all processes of the machine, and at what a terminal types.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

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
const words = process.argv.slice(2)
const unmatched = words.filter((word) => !files.some((name) => name.includes(word)))
if (unmatched.length > 0) {
  console.error(`no test file has "${unmatched.join('" or "')}" in its path, as sandbox/ or cli/start have`)
  process.exitCode = 1
} else if (words.length === 0 && !canMakeSandboxes()) {
  process.exitCode = 1
} else {
  const chosen = words.length === 0 ? whatCanRun() : files.filter((name) => words.some((word) => name.includes(word)))
  const reporter = new URL('reporter.js', import.meta.url).href
  const guard = new URL('hostGuard.js', import.meta.url).href
  const args = [
    '--import',
    guard,
    '--test',
    '--test-concurrency=1',
    `--test-reporter=${reporter}`,
    '--test-reporter-destination=stdout',
  ]
  const { status } = spawnSync(process.execPath, [...args, ...chosen], { stdio: 'inherit' })
  process.exitCode = status ?? 1
}

function whatCanRun() {
  if (!isVial()) return files
  const reasonOf = (name) =>
    Object.entries(notInside).find(([parts]) => parts.split(' ').some((part) => name.includes(`/${part}`)))?.[1]
  for (const name of files) if (reasonOf(name)) console.log(`# left out inside a vial: ${name}: ${reasonOf(name)}`)
  return files.filter((name) => reasonOf(name) === undefined)
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
