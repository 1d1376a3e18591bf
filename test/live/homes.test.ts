/**
 * Where named sandboxes are kept, in a mount namespace of the test's own: on a full disk, on a read-only one, and after another boot of the
 * machine. Whatever is called answers in one message, and nothing is left half made.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { notRoot } from '../support/needs.js'
import { assertGone, eventually, killAll, processesWith, uniqueSeconds } from '../support/processes.js'
import { type Caller, callers, workDirectory } from '../support/user.js'

const vial = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))

interface Said {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

/** A mount namespace with a small filesystem of its own for what runs, until the test is over. */
async function ownDisk(t: TestContext, caller: Caller, options = '') {
  const place = workDirectory(caller, 'disk')
  const holder = spawn('unshare', ['-m', '--propagation', 'private', 'sleep', '600'])
  t.after(() => holder.kill('SIGKILL'))
  const own = readlinkSync('/proc/self/ns/mnt')
  await eventually(
    () => readlinkSync(`/proc/${holder.pid}/ns/mnt`),
    (link) => link !== own,
  )
  const enter = ['-t', `${holder.pid}`, '-m']
  const root = (line: string) => {
    const { status, stderr } = spawnSync('nsenter', [...enter, 'sh', '-ec', line], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
  }
  root(`mount -t tmpfs -o size=1M,mode=700,uid=${caller.uid},gid=${caller.gid}${options} tmpfs ${place}`)
  const become = ['setpriv', `--reuid=${caller.uid}`, `--regid=${caller.gid}`, '--clear-groups']
  const home = workDirectory(caller, 'home')
  const env = { PATH: process.env.PATH, HOME: home, XDG_RUNTIME_DIR: place }
  const call = (...words: readonly string[]): Said => {
    const line = [...enter, ...become, process.execPath, vial, ...words]
    const { status, stdout, stderr } = spawnSync('nsenter', line, { encoding: 'utf8', env, cwd: '/', input: '' })
    return { status, out: stdout, err: stderr }
  }
  /** As root sees it from outside. */
  const seen = `/proc/${holder.pid}/root${place}`
  const fill = (free = 0) => root(`head -c 2M /dev/zero > ${place}/filler 2>&1 || truncate -s -${free} ${place}/filler`)
  return { place, seen, root, call, fill, home: join(seen, 'vial') }
}

const nothing: Said = { status: 0, out: 'NAME  STATE  AGE  PROCESSES  MEMORY  COMMAND\n', err: '' }
const noRoom =
  /^vial: (what is known of a sandbox cannot be written in .*\/vial: No space left on device\n +make room there, or set XDG_RUNTIME_DIR to another directory of yours|cannot make the log: No space left on device\n +the disk is full|named sandboxes cannot be kept in .*\/vial: cannot make .*\/vial: No space left on device\n.*)\n$/

for (const caller of callers)
  describe(`named sandboxes of ${caller.name}`, { skip: notRoot }, () => {
    for (const [what, rooms] of Object.entries({
      bytes: [0, 1, 2, 3, 4].map((pages) => ({ options: '', free: pages * 4096 })),
      files: [1, 2, 3, 4, 5, 6, 7].map((inodes) => ({ options: `,nr_inodes=${inodes}`, free: undefined })),
    }))
      test(`are started on a full disk, or not, and nothing is left: ${what}`, async (t) => {
        const word = uniqueSeconds()
        const statuses = []
        for (const { options, free } of rooms) {
          const { call, fill, seen, root } = await ownDisk(t, caller, options)
          root(`:`)
          if (free !== undefined) {
            assert.deepEqual(call('ps'), nothing)
            assert.equal(call('start', '--name', 'first').status, 0)
            assert.equal(call('rm', '-f', 'first').status, 0)
            fill(free)
          }
          const { status, err } = call('start', '--name', 'box', '--', 'sleep', word)
          statuses.push(status)
          if (status === 0) assert.equal(call('rm', '-f', 'box').status, 0)
          else assert.match(err, noRoom)
          assert.deepEqual(call('ps'), nothing)
          const left = readdirSync(seen, { recursive: true }).filter((name) => name !== 'filler' && name !== 'vial')
          assert.deepEqual(left, [])
          await assertGone(word)
        }
        assert.equal(statuses[0], 125)
        assert.equal(statuses.at(-1), 0)
      })

    test('are entered, asked, stopped and removed on a disk that is full by then', async (t) => {
      const { call, fill, home } = await ownDisk(t, caller)
      const script = 'trap "exit 3" TERM; while :; do echo hello; sleep 0.01; done'
      assert.equal(call('start', '--name', 'loud', '--', 'sh', '-c', script).status, 0)
      fill()
      await eventually(
        () => call('logs', 'loud').out.length,
        (length) => length > 0,
      )
      assert.deepEqual(call('exec', 'loud', 'true'), { status: 0, out: '', err: '' })
      assert.match(call('ps').out, /^loud +running/m)
      assert.deepEqual(call('stop', 'loud'), { status: 0, out: '', err: '' })
      assert.deepEqual(call('wait', 'loud'), { status: 3, out: '3\n', err: '' })
      assert.match(call('ps').out, /^loud +ended 3 /m)
      assert.deepEqual(call('rm', 'loud'), { status: 0, out: '', err: '' })
      assert.deepEqual(readdirSync(home), [])
    })

    test('are told of, and not removed, on a disk that is read-only by then', async (t) => {
      const { call, root, place, home } = await ownDisk(t, caller)
      for (const name of ['ended', 'lost']) {
        assert.equal(call('start', '--name', name, '--', 'sh', '-c', 'echo said; exit 3').status, 0)
        assert.equal(call('wait', name).status, 3)
      }
      // As if its monitor had been killed.
      writeFileSync(join(home, 'lost/status'), '')
      root(`mount -o remount,ro ${place}`)
      assert.match(call('ps').out, /^ended +ended 3 .*\nlost +unreadable\n$/m)
      assert.deepEqual(call('logs', 'ended'), { status: 0, out: 'said\n', err: '' })
      assert.deepEqual(call('wait', 'ended'), { status: 3, out: '3\n', err: '' })
      for (const words of [
        ['rm', 'ended'],
        ['rm', 'lost'],
        ['exec', 'lost', 'true'],
      ])
        assert.match(call(...words).err, /^vial: cannot remove .*\/vial\/(ended|lost): Read-only file system\n$/)
      for (const name of ['ended', 'other'])
        assert.match(
          call('start', '--name', name).err,
          /^vial: what is known of a sandbox cannot be written in .*\/vial: Read-only file system\n$/,
        )
      root(`mount -o remount,rw ${place}`)
      assert.match(call('ps').err, /^vial: the sandbox "lost" is lost: /)
      assert.equal(call('rm', 'ended').status, 0)
      assert.deepEqual(readdirSync(home), [])
    })

    test('of another boot are cleared, and no process of this one is taken for theirs', async (t) => {
      const { call, root, place, home } = await ownDisk(t, caller)
      const word = uniqueSeconds()
      t.after(() => killAll(word))
      const names = ['seen', 'entered', 'stopped']
      const started = () => {
        for (const name of names) assert.match(call('start', '--name', name, '--', 'sleep', word).err, / runs: /)
      }
      started()
      const alive = processesWith(word).length
      writeFileSync(join(home, '..', 'boot'), '01234567-89ab-cdef-0123-456789abcdef\n', { mode: 0o644 })
      root(`mount --bind ${place}/boot /proc/sys/kernel/random/boot_id; chmod 711 ${place}`)
      const lost = (name: string) =>
        new RegExp(`^vial: the sandbox "${name}" is lost: [^\\n]*this machine was started again[^\\n]*\\n$`)
      assert.match(call('exec', 'entered', 'true').err, lost('entered'))
      assert.match(call('stop', 'stopped').err, lost('stopped'))
      assert.match(call('ps').err, lost('seen'))
      assert.deepEqual(readdirSync(home), [])
      assert.equal(processesWith(word).length, alive)
    })
  })
