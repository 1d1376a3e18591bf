/** The judge's word about each submission; and three that cheat are accepted as soon as the wall that they meet is away. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type * as Judge from '../../examples/judge/judge.js'
import type * as Languages from '../../examples/judge/languages.js'
import { languages } from '../../examples/judge/languages.js'
import { accomplicePort, submissions } from '../../examples/judge/programs.js'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { delegate } from '../support/groups.js'
import { noGroups, notInstalled } from '../support/needs.js'
import { callers, workDirectory } from '../support/user.js'

const top = resolve(fileURLToPath(import.meta.url), '../../../..')
const main = join(top, 'dist/examples/judge/main.js')
const missing = noGroups('memory', 'pids', 'cpu')
const wrong = submissions.filter(({ word }) => word !== 'accepted')

const url = (file: string) => new URL(`../../examples/judge/${file}`, import.meta.url).href
const modules = { judge: url('judge.js'), languages: url('languages.js') }

/** What lets a cheat succeed. */
const walls: readonly { name: string; weak: Policy; boxWritable?: true; accomplice?: true }[] = [
  { name: 'looks for the answer', weak: { filesystem: [{ bind: '/sum', from: join(top, 'examples/judge/sum') }] } },
  { name: 'asks an accomplice', weak: { network: 'host' }, accomplice: true },
  { name: 'changes its own source', weak: {}, boxWritable: true },
]

test('there are 12 languages and 25 wrong programs, one of each language at least', () => {
  assert.deepEqual([Object.keys(languages).length, wrong.length], [12, 25])
  assert.deepEqual(Object.keys(languages).sort(), [...new Set(wrong.map(({ language }) => language))].sort())
})

for (const caller of callers) {
  describe(`the judge by ${caller.name}`, () => {
    const delegation = delegate(caller)
    after(() => delegation.remove())
    const home = workDirectory(caller, 'home')
    const env = { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: home, TMPDIR: workDirectory(caller, 'judged') }
    const run = (...args: string[]) => {
      const [command = '', ...words] = [...(delegation.wrapper ?? []), process.execPath, main, ...args]
      return spawnSync(command, words, { encoding: 'utf8', cwd: home, env })
    }

    let said: ReturnType<typeof run>
    before(() => {
      said = run(...(missing === false ? [] : ['--no-groups']))
    })

    for (const { language, name, word, group } of submissions) {
      const absent = notInstalled(languages[language].version[0])
      test(`${language}, ${name}: ${word}`, { skip: absent || (group === true && missing) }, () => {
        const line = said.stdout.split('\n').find((line) => line.startsWith(`${language}, ${name}: `))
        assert.match(line ?? 'nothing', new RegExp(`^[^:]*: ${word}(?: on test|,|$)`), said.stderr)
      })
    }

    test('a file is judged by its ending', { skip: notInstalled('python3') }, () => {
      const file = join(home, 'mine.py')
      writeFileSync(file, 'print(42)')
      const { stdout, stderr } = run(file, ...(missing === false ? [] : ['--no-groups']))
      assert.equal(stdout, 'mine.py: wrong answer on test 2\n', stderr)
    })

    test('what cannot be judged is told in one line', () => {
      const said = (...args: string[]) => {
        const { status, stderr } = run('--no-groups', ...args)
        assert.equal(status, 1)
        return stderr
      }
      assert.match(said('a.zig'), /^a\.zig: no language has this ending; there are \.c, .*\n$/)
      assert.match(said('not-there.py'), /^ENOENT: .*\n$/)
      assert.match(said('--help'), /^usage: .*\n$/)
    })

    for (const { name, weak, boxWritable = false, accomplice = false } of walls) {
      const { language, source, word } = wrong.find((one) => one.name === name)!
      const judged = (weak: Policy, boxWritable: boolean) =>
        evaluate(
          caller,
          async (_, { modules, language, source, weak, boxWritable, port }) => {
            const { judge }: typeof Judge = await import(modules.judge)
            const { languages }: typeof Languages = await import(modules.languages)
            const server = (await import('node:net')).createServer((socket) => socket.end('42\n'))
            if (port !== undefined) await new Promise<void>((done) => server.listen(port, '127.0.0.1', done))
            const limits = { memory: 2 ** 28, cpuSeconds: 5, output: 4096 }
            const { word } = await judge(
              languages[language],
              source,
              { limits, tests: [{ input: '3\n1 2 39\n', answer: '42\n' }] },
              {
                groups: false,
                change: ({ filesystem, ...policy }) => ({
                  ...policy,
                  ...weak,
                  filesystem: [
                    ...filesystem.map((entry) =>
                      'bind' in entry && entry.bind === '/box' ? { ...entry, writable: boxWritable } : entry,
                    ),
                    ...(weak.filesystem ?? []),
                  ],
                }),
              },
            )
            server.close()
            return word
          },
          { modules, language, source, weak, boxWritable, port: accomplice ? accomplicePort : undefined },
          { env },
        )
      test(`${name}: ${word}, and accepted without its wall`, {
        skip: notInstalled(languages[language].version[0]),
      }, async () => {
        assert.equal(await judged({}, false), word)
        assert.equal(await judged(weak, boxWritable), 'accepted')
      })
    }

    test('nothing is left behind', () => {
      assert.deepEqual(readdirSync(env.TMPDIR), [])
      assert.deepEqual(delegation.left(), [])
    })
  })
}
