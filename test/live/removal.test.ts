/** Removing what lies under a name, while other commands look at it, take it, or are starting its sandbox. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import test, { describe } from 'node:test'
import { fileURLToPath } from 'node:url'
import { findSandbox } from '../../src/live/findSandbox.js'
import { namedSandboxes } from '../../src/live/namedSandboxes.js'
import { reserve } from '../../src/live/records.js'
import { removeSandbox } from '../../src/live/removeSandbox.js'
import { attempt } from '../../src/text/attempt.js'
import { assertGone, eventually, killAll, processesWith, uniqueSeconds } from '../support/processes.js'
import { commander } from './commander.js'
import { about, close, edit, ownHome, standIn } from './scene.js'

const linksIn = (directory: string): string[] =>
  attempt(() => readdirSync(directory).map((name) => readlinkSync(join(directory, name)))) ?? []

/** As a command leaves it that was killed while it removed: what it had removed by then, and what not. */
function halfRemoved(home: string, ...files: readonly string[]): string {
  const directory = join(home, 'web')
  mkdirSync(directory)
  for (const name of files) writeFileSync(join(directory, name), '')
  chmodSync(directory, 0o1700)
  return directory
}

test('what a command has begun to remove is no sandbox any more, and was not lost: the next command goes on with it', (t) => {
  const home = ownHome(t)
  for (const files of [[], ['status'], ['status', 'log', 'log.1'], ['record.json', 'maker', 'status']]) {
    halfRemoved(home, ...files)
    assert.deepEqual(namedSandboxes(), { found: [], lost: [] })
    assert.deepEqual(readdirSync(home), [])
    halfRemoved(home, ...files)
    close(reserve('web'))
    assert.deepEqual(readdirSync(join(home, 'web')).sort(), ['maker', 'status'])
    rmSync(join(home, 'web'), { recursive: true })
  }
})

test('what cannot be removed whole stays, and is told', (t) => {
  const home = ownHome(t)
  mkdirSync(join(halfRemoved(home, 'status'), 'log'))
  const found = findSandbox(home, 'web')
  assert.ok(found?.state === 'unreadable')
  assert.match(
    found.fault,
    /^cannot remove .*web\/log: Is a directory\n +vial made nothing of that kind: remove it by hand$/,
  )
  assert.throws(() => removeSandbox(home, found), /cannot remove .*web\/log: Is a directory/)
  assert.throws(() => reserve('web'), /the name "web" is in use: cannot remove .*web\/log/)
})

test('a starter whose directory was removed writes nothing in that of another who has the name by then', (t) => {
  const home = ownHome(t)
  const monitor = standIn(t)
  for (const remove of [
    (directory: string) => rmSync(directory, { recursive: true }),
    (directory: string) => chmodSync(directory, 0o1700),
    (directory: string) => {
      chmodSync(directory, 0o1700)
      renameSync(directory, join(home, 'aside'))
    },
  ]) {
    const first = reserve('web')
    remove(join(home, 'web'))
    const second = reserve('web')
    const removed = { name: 'HostError', message: 'the sandbox "web" was removed while it was started' }
    assert.throws(() => first.plan({ version: 2, paths: ['/sys/fs/cgroup/vial.1.2.3.4'] }), removed)
    assert.throws(() => first.commit(about(monitor.pid)), removed)
    first.abandon()
    assert.deepEqual(readdirSync(join(home, 'web')).sort(), ['maker', 'status'])
    assert.equal(findSandbox(home, 'web')?.state, 'starting')
    second.abandon()
    for (const one of [first, second]) close(one)
    rmSync(join(home, 'aside'), { recursive: true, force: true })
    assert.deepEqual(readdirSync(home), [])
  }
})

test('one that is being started is removed by force when its start is over', async (t) => {
  const home = ownHome(t)
  const vial = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))
  const monitor = standIn(t)
  const reserved = reserve('web')
  const child = spawn(process.execPath, [vial, 'rm', '-f', 'web'], { stdio: 'inherit' })
  const ended = once(child, 'exit')
  // It waits for what the starter writes.
  await eventually(
    () => child.exitCode !== null || linksIn(`/proc/${child.pid}/fd`).includes('anon_inode:inotify'),
    (waits) => waits,
  )
  assert.ok(existsSync(join(home, 'web/maker')))
  reserved.commit(about(monitor.pid))
  assert.deepEqual(await ended, [0, null])
  assert.deepEqual(readdirSync(home), [])
  assert.equal(monitor.signalCode ?? (await once(monitor, 'exit'))[1], 'SIGKILL')
  close(reserved)
})

describe('vial rm -f of a sandbox whose record cannot be read', () => {
  const damages: Readonly<Record<string, (home: string) => void>> = {
    'is cut': (home) => truncateSync(join(home, 'web/record.json'), 40),
    'is of a later vial': (home) => edit(join(home, 'web'), (record) => ({ ...record, version: 2 })),
    'lies where others can write': (home) => chmodSync(join(home, 'web'), 0o777),
  }
  for (const [what, damage] of Object.entries(damages))
    test(`it ${what}: all in it ends, and no other`, async (t) => {
      const { call, home } = commander(t)
      const [word, other] = [uniqueSeconds(), uniqueSeconds()]
      t.after(() => killAll(word))
      assert.equal((await call('start', '--name', 'web', '--', 'sleep', word)).status, 0)
      assert.equal((await call('start', '--name', 'other', '--', 'sleep', other)).status, 0)
      damage(home)
      assert.match((await call('ps')).out, /^web +unreadable$/m)
      assert.equal((await call('rm', 'web')).status, 125)
      assert.ok(processesWith(word).length > 0)
      assert.deepEqual(await call('rm', '-f', 'web'), { status: 0, out: '', err: '' })
      await assertGone(word)
      assert.deepEqual(readdirSync(home), ['other'])
      assert.equal((await call('exec', 'other', 'true')).status, 0)
    })

  test('of what is a link to another nothing ends', async (t) => {
    const { call, home } = commander(t)
    assert.equal((await call('start', '--name', 'other')).status, 0)
    symlinkSync('other', join(home, 'web'))
    assert.equal((await call('rm', '-f', 'web')).status, 0)
    assert.deepEqual(readdirSync(home), ['other'])
    assert.equal((await call('exec', 'other', 'true')).status, 0)
  })
})
