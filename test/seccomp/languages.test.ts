/** Each language under each profile, as docs/seccomp.md says: see languages.ts. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { build, columns, input, languages, PATH } from '../support/languages.js'
import { notInstalled } from '../support/needs.js'
import { user, workDirectory } from '../support/user.js'
import { page, table, withTable } from './languages.js'

const caller = user
const main = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))
const home = workDirectory(caller, 'home')

for (const [index, language] of languages.entries()) {
  const { name, needs, command, prints, refused = {}, filesystem = [] } = language
  test(name, { skip: notInstalled(...needs) }, () => {
    const directory = workDirectory(caller, `language${index}`)
    build(language, directory)
    for (const seccomp of columns) {
      // Root's sandbox leaves nesting's /proc uncovered only where the policy says so.
      const proc = seccomp === 'nested' ? [{ proc: '/proc', masked: false } as const] : []
      const policy = {
        preset: 'system',
        seccomp,
        env: { set: { PATH } },
        filesystem: [...proc, { bind: '/p', from: directory }, ...filesystem],
      }
      const file = join(directory, `${seccomp}.json`)
      writeFileSync(file, JSON.stringify(policy))
      const words = [process.execPath, main, 'run', '--policy', file, '--timeout', '30', '--', ...command]
      // Standard input is a pipe, and one of the sockets that Node gives a child.
      for (const shell of ['cat | "$@"', 'exec "$@"']) {
        const { stdout, stderr, status } = spawnSync('sh', ['-c', shell, 'sh', ...words], {
          encoding: 'utf8',
          input,
          env: { PATH, HOME: home },
          ...(process.getuid!() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
        })
        const says = seccomp in refused ? refused[seccomp] : undefined
        if (says === undefined) assert.deepEqual([stdout, stderr, status], [prints, '', 0], `${seccomp}: ${shell}`)
        else {
          assert.match(stderr, says)
          assert.notEqual(status, 0)
          assert.equal(stdout, '')
        }
      }
    }
  })
}

test('the document shows this table', () => {
  const text = readFileSync(page, 'utf8')
  assert.equal(withTable(text, table()), text, 'run npm run languages')
})
