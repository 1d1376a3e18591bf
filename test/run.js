// Runs every compiled test file with Node's own runner: a plain list, so that Node 20 needs no glob support. One at a
// time: some look at all processes of the machine, and at what a terminal types.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'

const files = readdirSync('dist/test', { recursive: true })
  .filter((name) => name.endsWith('.test.js'))
  .map((name) => `dist/test/${name}`)
  .sort()
const words = process.argv.slice(2)
const unmatched = words.filter((word) => !files.some((name) => name.includes(word)))
if (unmatched.length > 0) {
  console.error(`no test file has "${unmatched.join('" or "')}" in its path, as sandbox/ or cli/start have`)
  process.exitCode = 1
} else {
  const chosen = words.length === 0 ? files : files.filter((name) => words.some((word) => name.includes(word)))
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
