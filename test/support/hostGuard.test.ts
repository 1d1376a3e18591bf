/** A test that changes a system directory of the host fails by its name: run.js preloads hostGuard.js. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import test from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { notRoot } from './needs.js'
import { callers, workDirectory } from './user.js'

const guard = pathToFileURL(resolve(fileURLToPath(import.meta.url), '../../../../test/hostGuard.js')).href

/** What a test does in a directory that is watched: each through a link, or by a name of its own. */
const deeds: Readonly<Record<string, { does: string; told?: RegExp }>> = {
  'nothing of the host': { does: `fs.writeFileSync(own + '/file', ''); fs.chmodSync(own + '/file', 0o700)` },
  'a chmod through a link': {
    does: `fs.chmodSync(own + '/link', 0o700)`,
    told: /system\/sh was mode 755, .* is mode 700/,
  },
  'a chown through a link': {
    does: `fs.chownSync(own + '/link', 1, 1)`,
    told: /system\/sh was .* is mode 755, owner 1:1/,
  },
  'a write through a link': {
    does: `fs.writeFileSync(own + '/link', 'other')`,
    told: /system\/sh was .* is .* 5 bytes/,
  },
  'a new file': { does: `fs.writeFileSync(system + '/new', '')`, told: /system\/new is new/ },
  'a file is removed': { does: `fs.rmSync(system + '/sh')`, told: /system\/sh is gone/ },
  'the directory is closed': { does: `fs.chmodSync(system, 0o700)`, told: /system was mode 755, .* is mode 700/ },
}

for (const [what, { does, told }] of Object.entries(deeds))
  test(`the host is watched: ${what}`, { skip: notRoot }, () => {
    const at = realpathSync(mkdtempSync(join(tmpdir(), 'vial-guard-')))
    const [own, system] = [join(at, 'own'), join(at, 'system')]
    try {
      for (const directory of [own, system]) mkdirSync(directory, { mode: 0o755 })
      writeFileSync(join(system, 'sh'), '#!', { mode: 0o755 })
      symlinkSync(join(system, 'sh'), join(own, 'link'))
      const file = join(at, 'deed.test.js')
      writeFileSync(
        file,
        `const [own, system] = ${JSON.stringify([own, system])}; const fs = require('node:fs'); require('node:test')('one', () => { ${does} })`,
      )
      const run = (...options: string[]) =>
        spawnSync(process.execPath, [...options, '--test', '--test-reporter=tap', file], {
          encoding: 'utf8',
          // In a test file, Node's own variable makes a runner of the child's, which prints for a parent.
          env: { PATH: process.env.PATH, VIAL_TEST_WATCHED: system },
        })
      const { status, stdout } = run('--import', guard)
      assert.equal(status, told === undefined ? 0 : 1, stdout)
      if (told !== undefined) {
        assert.match(stdout, /deed\.test\.js changed the host/)
        assert.match(stdout, told)
      }
    } finally {
      rmSync(at, { recursive: true })
    }
  })

for (const [where, waits] of Object.entries({
  'in spawnSync': `require('node:child_process').spawnSync('sleep', ['600'])`,
  'for a promise': `const child = require('node:child_process').spawn('sleep', ['600']); return new Promise((end) => child.on('exit', end))`,
}))
  test(`a file that waits for ever, ${where}, is ended, and what it started is told`, () => {
    const at = workDirectory(callers[0]!, 'deadline')
    const file = join(at, 'deed.test.js')
    writeFileSync(file, `require('node:test')('one', () => { ${waits} })`)
    const { status, stdout } = spawnSync(process.execPath, ['--import', guard, '--test', '--test-reporter=tap', file], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, VIAL_TEST_WATCHED: at, VIAL_TEST_DEADLINE: '1' },
    })
    assert.equal(status, 1, stdout)
    assert.match(stdout, /deed\.test\.js is not over after 1 s.*\n# +\d+ S sleep 600/)
  })
