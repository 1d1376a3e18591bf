/** The cache of one-off policies is trimmed by those that add to it, and no process loses what it uses. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { trim } from '../../src/cache/trim.js'
import { evaluate } from '../support/evaluate.js'
import { callers, workFolder } from '../support/user.js'

const vialName = /^[0-9a-f]{40}$/
const nameOf = (index: number) => index.toString(16).padStart(40, '0')
const minute = 60
const day = 24 * 60 * minute
const secondsNow = () => Date.now() / 1000

/** A file that was last used so many seconds ago. */
function file(path: string, unused: number, size = 0): void {
  writeFileSync(path, '')
  truncateSync(path, size)
  utimesSync(path, secondsNow() - unused, secondsNow() - unused)
}

function withFolder(action: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'vial-trim-'))
  try {
    action(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const numbersIn = (folder: string) => readdirSync(folder).map((name) => Number.parseInt(name, 16))

test('beyond 512 files those go that were not used for longest, but none that was used just now', () =>
  withFolder((folder) => {
    for (let index = 0; index < 600; index++) file(join(folder, nameOf(index)), 20 * minute + index)
    trim(folder, { vial: vialName })
    assert.deepEqual(
      numbersIn(folder).sort((a, b) => a - b),
      Array.from({ length: 512 }, (_, index) => index),
    )
    for (let index = 0; index < 600; index++) file(join(folder, nameOf(index)), minute)
    trim(folder, { vial: vialName })
    assert.equal(readdirSync(folder).length, 600)
  }))

test('beyond 64 MiB as well', () =>
  withFolder((folder) => {
    for (let index = 0; index < 5; index++) file(join(folder, nameOf(index)), 20 * minute + index, 20 * 2 ** 20)
    trim(folder, { vial: vialName })
    assert.deepEqual(numbersIn(folder).sort(), [0, 1, 2])
  }))

test('what was not used for a month goes, what was read or is another file stays', () =>
  withFolder((folder) => {
    file(join(folder, nameOf(1)), 31 * day)
    file(join(folder, nameOf(2)), 29 * day)
    file(join(folder, nameOf(3)), 31 * day)
    utimesSync(join(folder, nameOf(3)), secondsNow() - day, secondsNow() - 31 * day)
    file(join(folder, 'notes'), 31 * day)
    file(join(folder, 'status.1.00000000'), 31 * day)
    trim(folder, { vial: vialName })
    assert.deepEqual(readdirSync(folder).sort(), [nameOf(2), nameOf(3), 'notes', 'status.1.00000000'])
  }))

for (const caller of callers) {
  test(`${caller.name}: the library trims what it adds to`, async () => {
    const cache = workFolder(caller, 'trimmed')
    for (let index = 0; index < 600; index++) file(join(cache, nameOf(index)), 20 * minute + index)
    file(join(cache, nameOf(700)), 31 * day)
    const sandboxes = () => readdirSync(cache).filter((name) => vialName.test(name))
    assert.equal(sandboxes().length, 601)
    await evaluate(
      caller,
      async ({ sandbox }, { cache }) => {
        process.env.VIAL_CACHE = cache
        await sandbox({ hostname: 'one' }).compile()
      },
      { cache },
    )
    assert.equal(sandboxes().length, 512)
    assert.equal(existsSync(join(cache, nameOf(700))), false)
  })

  test(`${caller.name}: what runs, and a sandbox that runs again, lose nothing`, async () => {
    const cache = workFolder(caller, 'running')
    const ended = await evaluate(
      caller,
      async ({ sandbox }, { cache }) => {
        process.env.VIAL_CACHE = cache
        const fs = await import('node:fs')
        const system = sandbox({ preset: 'system' })
        const path = await system.compile()
        const running = system.spawn('sh', ['-c', 'echo ready; read line; echo $line'])
        running.stdout!.setEncoding('utf8')
        await new Promise((resolve) => running.stdout!.once('data', resolve))
        // As if all in the cache had not been used for a month.
        const trimmed: boolean[] = []
        const age = () => {
          for (const name of fs.readdirSync(cache))
            if (/^[0-9a-f]{40}$/.test(name)) fs.utimesSync(`${cache}/${name}`, 0, 0)
        }
        for (let index = 0; index < 40; index++) {
          age()
          await sandbox({ hostname: `h${index}` }).compile()
          trimmed.push(!fs.existsSync(path))
        }
        let text = ''
        running.stdout!.on('data', (more) => (text += more))
        running.stdin!.end('on\n')
        const first = await running.result
        const again = await system.run('echo', ['again'])
        return { trimmed: trimmed.includes(true), text, first: first.exitCode, again: again.stdout }
      },
      { cache },
    )
    assert.deepEqual(ended, { trimmed: true, text: 'on\n', first: 0, again: 'again\n' })
  })

  test(`${caller.name}: many processes that add and trim at once lose nothing`, async () => {
    const cache = workFolder(caller, 'many')
    const runs = await evaluate(
      caller,
      async ({ sandbox }, { cache, script }) => {
        process.env.VIAL_CACHE = cache
        await sandbox({}).compile()
        const { execFile } = await import('node:child_process')
        const { promisify } = await import('node:util')
        return Promise.all(
          [0, 1, 2, 3].map(async (number) => {
            const { stdout } = await promisify(execFile)(process.execPath, [
              '--input-type=module',
              '-e',
              script,
              `${number}`,
            ])
            return stdout
          }),
        )
      },
      { cache, script: adder },
    )
    assert.deepEqual(runs, ['40\n', '40\n', '40\n', '40\n'])
  })
}

/** Each of its runs is of a policy of its own, whose vial is the oldest of the cache as soon as it is stored. */
const adder = `
const [{ sandbox }, fs] = await Promise.all([import(${JSON.stringify(new URL('../../src/index.js', import.meta.url).href)}), import('node:fs')])
const cache = process.env.VIAL_CACHE
let right = 0
for (let index = 0; index < 40; index++) {
  for (const name of fs.readdirSync(cache)) {
    try { if (/^[0-9a-f]{40}$/.test(name)) fs.utimesSync(cache + '/' + name, 0, 0) } catch {}
  }
  const { stdout } = await sandbox({ preset: 'system', hostname: 'h' + process.argv[1] + '-' + index % 35 }).run('uname', ['-n'])
  if (stdout === 'h' + process.argv[1] + '-' + index % 35 + '\\n') right++
}
console.log(right)
`
