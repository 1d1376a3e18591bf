// Runs every compiled test file with Node's own runner: a plain list, so that Node 20 needs no glob support. One at a
// time: some look at all processes of the machine, and at what a terminal types.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'

const files = readdirSync('dist/test', { recursive: true })
  .filter((name) => name.endsWith('.test.js'))
  .map((name) => `dist/test/${name}`)
  .sort()
const only = process.argv.slice(2)
const chosen = only.length === 0 ? files : files.filter((name) => only.some((word) => name.includes(word)))
const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=1', ...chosen], { stdio: 'inherit' })
process.exitCode = status ?? 1
