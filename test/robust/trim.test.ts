/** The cache of one-off policies is trimmed by those that add to it, and no process loses what it uses. */
import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { entryKinds } from '../../src/cache/entryKinds.js'
import { trim } from '../../src/cache/trim.js'
import { evaluate } from '../support/evaluate.js'
import { callers, workDirectory } from '../support/user.js'

const vialName = /^[0-9a-f]{40}$/
const minute = 60
const day = 24 * 60 * minute
const secondsNow = () => Date.now() / 1000

/** A file that was last used so many seconds ago. */
function file(path: string, unused: number, size = 0): void {
  writeFileSync(path, '')
  truncateSync(path, size)
  utimesSync(path, secondsNow() - unused, secondsNow() - unused)
}

/** The parts of the cache, and how long the names of their vials are. */
const parts = {
  'by content': ['.', 40, entryKinds.content],
  'of vial run': ['run', 16, entryKinds.request],
  'of vial-bwrap': ['bwrap', 16, entryKinds.front],
} as const

/** Makes a part of a cache, and gives what is left of it, sorted, when it was trimmed. */
function trimmed(
  [part, digits, kind]: (typeof parts)[keyof typeof parts],
  fill: (at: (name: string | number) => string) => void,
) {
  const cache = mkdtempSync(join(tmpdir(), 'vial-trim-'))
  try {
    mkdirSync(join(cache, part), { recursive: true, mode: 0o700 })
    fill((name) => join(cache, part, typeof name === 'number' ? name.toString(16).padStart(digits, '0') : name))
    trim(cache, kind)
    return readdirSync(join(cache, part)).sort()
  } finally {
    rmSync(cache, { recursive: true })
  }
}

const numbers = (names: readonly string[]) => names.map((name) => Number.parseInt(name, 16))

for (const [what, part] of Object.entries(parts)) {
  const nameOf = (index: number) => index.toString(16).padStart(part[1], '0')

  test(`${what}: beyond 512 files those go that were not used for longest, but none that was used just now`, () => {
    const old = trimmed(part, (at) => {
      for (let index = 0; index < 600; index++) file(at(index), 20 * minute + index)
    })
    assert.deepEqual(
      numbers(old),
      Array.from({ length: 512 }, (_, index) => index),
    )
    const recent = trimmed(part, (at) => {
      for (let index = 0; index < 600; index++) file(at(index), minute)
    })
    assert.equal(recent.length, 600)
  })

  test(`${what}: beyond 64 MiB as well`, () => {
    const left = trimmed(part, (at) => {
      for (let index = 0; index < 5; index++) file(at(index), 20 * minute + index, 20 * 2 ** 20)
    })
    assert.deepEqual(numbers(left), [0, 1, 2])
  })

  test(`${what}: what was not used for a month goes, what was read or is another file stays`, () => {
    const left = trimmed(part, (at) => {
      file(at(1), 31 * day)
      file(at(2), 29 * day)
      file(at(3), 31 * day)
      utimesSync(at(3), secondsNow() - day, secondsNow() - 31 * day)
      file(at('notes'), 31 * day)
    })
    assert.deepEqual(left, [nameOf(2), nameOf(3), 'notes'])
  })

  test(`${what}: what a writer left that is gone, or was an hour ago, goes; not what one of another pid namespace writes now`, () => {
    // The kernel gives none beyond 2^22: proc_sys_kernel(5), pid_max.
    const gone = 2 ** 22 + 1
    const left = trimmed(part, (at) => {
      // Process 1 is always there, but not the writer of such a file.
      for (const name of [nameOf(1), 'status']) {
        file(at(`${name}.1.00000000`), 2 * 60 * minute)
        file(at(`${name}.1.11111111`), minute)
        file(at(`${name}.${gone}.22222222`), minute)
        file(at(`${name}.${gone}.33333333`), 1)
      }
      file(at(`notes.${gone}.00000000`), 31 * day)
    })
    const kept = (name: string) => [`${name}.1.11111111`, `${name}.${gone}.33333333`]
    assert.deepEqual(left, [...kept(nameOf(1)), `notes.${gone}.00000000`, ...kept('status')].sort())
  })
}

test('a part of the cache that another directory stands for is left alone', () => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'vial-trim-'))
  const cache = mkdtempSync(join(tmpdir(), 'vial-trim-'))
  try {
    file(join(elsewhere, '1'.padStart(16, '0')), 31 * day)
    symlinkSync(elsewhere, join(cache, 'run'))
    trim(cache, entryKinds.request)
    assert.equal(readdirSync(elsewhere).length, 1)
  } finally {
    for (const one of [cache, elsewhere]) rmSync(one, { recursive: true })
  }
})

const nameOf = (index: number) => index.toString(16).padStart(40, '0')

for (const caller of callers) {
  test(`${caller.name}: the library trims what it adds to`, async () => {
    const cache = workDirectory(caller, 'trimmed')
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
    const cache = workDirectory(caller, 'running')
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
    const cache = workDirectory(caller, 'many')
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
