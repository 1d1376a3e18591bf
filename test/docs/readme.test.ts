/** The commands on the README's first screens can be typed in a fresh checkout, in their order, by an ordinary user. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { user, workDirectory } from '../support/user.js'

const top = resolve(fileURLToPath(import.meta.url), '../../../..')
const caller = user
const readme = readFileSync(join(top, 'README.md'), 'utf8')
const [first, second] = [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, text]) => text!.trim().split('\n'))

describe('the README', () => {
  // As a checkout is after `npm install`; the compiled files are not copied. npx would link the checkout into npm's cache
  // and build it again: here it only does what it does then.
  const checkout = workDirectory(caller, 'checkout')
  for (const name of ['package.json', 'examples']) cpSync(join(top, name), join(checkout, name), { recursive: true })
  for (const name of ['dist', 'node_modules'])
    if (existsSync(join(top, name))) symlinkSync(join(top, name), join(checkout, name))
  const commands = workDirectory(caller, 'commands')
  const { bin } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as { bin: { vial: string } }
  writeFileSync(
    join(commands, 'npx'),
    `#!/bin/sh\n[ "$1" = vial ] && shift && exec node ${join(top, bin.vial)} "$@"\n`,
    { mode: 0o755 },
  )

  const type = (line: string) =>
    spawnSync('sh', ['-c', line], {
      encoding: 'utf8',
      cwd: checkout,
      env: { PATH: `${commands}:/usr/local/bin:/usr/bin:/bin`, HOME: workDirectory(caller, 'home') },
      ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
    })

  test('the first screen has one command that runs it, and one that runs the tests', () => {
    assert.equal(first!.length, 2)
    assert.match(first![1]!, /^npm test\b/)
    const [, run] = /^npm install && (.*)$/.exec(first![0]!)!
    const { status, stdout, stderr } = type(run!)
    assert.deepEqual([status, stdout], [0, 'hello from a vial, as process 2\n'], stderr)
  })

  for (const line of second!) {
    test(line.replace(/ +#.*$/, ''), () => {
      const { status, stdout, stderr } = type(line)
      assert.equal(status, 0, `${stdout}${stderr}`)
      if (line.includes('uptime')) assert.equal(stdout, 'true\n')
      if (line.includes('conf.d')) assert.equal(stdout, 'hello.conf\n')
      if (line.includes('verdict')) assert.deepEqual([stdout, stderr], ['quick\n', 'vial: ok\n'])
      if (line.startsWith('./')) assert.equal(stdout, 'hello\n')
    })
  }

  test('and what they make is there', () => {
    assert.equal(readFileSync(join(checkout, 'made.txt'), 'utf8'), 'made inside\n')
  })
})
