/** `vial inspect`: what it prints, and what its status is. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import type { Inspection } from '../../src/index.js'
import { notInstalled } from '../support/needs.js'
import { childrenOf, eventually } from '../support/processes.js'
import { Terminal } from '../support/terminal.js'
import { callers, vial, workDirectory } from '../support/user.js'

const command = new URL('../../src/cli/main.cjs', import.meta.url).pathname

for (const caller of callers)
  describe(`vial inspect by ${caller.name}`, () => {
    const runtime = workDirectory(caller, 'runtime')
    const call = (...args: string[]) => vial(caller, args, { env: { XDG_RUNTIME_DIR: runtime } })
    after(() => void call('rm', '-f', 'box'))

    test('tells what is as asked, in plain text or as JSON', () => {
      assert.equal(call('start', '--name', 'box', '--tmpfs', '/work:1M', '--', 'sleep', '600').status, 0)
      const { status, stdout, stderr } = call('inspect', 'box')
      assert.deepEqual([status, stderr], [0, ''])
      const lines = stdout.split('\n')
      assert.equal(lines[0], 'box: as its policy asks')
      assert.equal(lines[1], '? the kernel does not tell, or it cannot be compared')
      assert.match(stdout, /^ {4}\/work +tmpfs size=1024k rw,nosuid,nodev +tmpfs size=1048576 rw,nosuid,nodev$/m)
      assert.match(stdout, /^ {2}\? Landlock +not told +restrict the payload by Landlock$/m)
      assert.match(stdout, /^ {4}\d+ \(1 inside\): vial's own pid 1$/m)
      assert.match(stdout, /^ {4}\d+ \(2 inside\): sleep 600$/m)
      assert.ok(!stdout.includes('\x1b') && !stdout.includes('!'))
      const told = call('inspect', '--json', 'box')
      const { name, agreement, processes } = JSON.parse(told.stdout) as Inspection
      assert.deepEqual([told.status, name, agreement], [0, 'box', 'asked'])
      assert.deepEqual(
        processes.map(({ inside, origin }) => [inside, origin]),
        [
          [1, 'init'],
          [2, 'inside'],
        ],
      )
    })

    test('marks what differs, and says so by its status; in colours only on a terminal', {
      skip: notInstalled('nsenter', 'script'),
    }, async (t) => {
      const { init } = JSON.parse(readFileSync(join(runtime, 'vial/box/record.json'), 'utf8'))
      const [payload] = childrenOf(init)
      // What it is called holds what a terminal would obey.
      const shell = ['sh', '-c', 'read line', '\x1b[31mred']
      const words = ['-t', String(payload), '-U', '--preserve-credentials', '-m', '-p', ...shell]
      const ids = process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}
      const joined = spawn('nsenter', words, { ...ids, stdio: ['pipe', 'ignore', 'inherit'] })
      t.after(() => joined.kill('SIGKILL'))
      const { status, stdout } = await eventually(
        () => call('inspect', 'box'),
        ({ stdout }) => stdout.includes('entered from outside'),
      )
      assert.equal(status, 1)
      assert.match(stdout, /^box: \d+ differences from its policy\n! more than that, or something else, \? the kernel/)
      assert.match(stdout, /^ {4}\d+ \(\d+ inside, entered from outside\): sh -c read line \?\[31mred$/m)
      assert.match(stdout, /^ {6}! filters of system calls +\d+ +\d+$/m)
      assert.ok(!stdout.includes('\x1b'))
      const coloured = new Terminal(
        caller,
        `TERM=xterm XDG_RUNTIME_DIR=${runtime} ${process.execPath} ${command} inspect box`,
      )
      await coloured.ended
      const [line] = coloured.screen.split('\r\n').filter((one) => one.includes('filters of system calls  '))
      assert.ok(line!.trimStart().startsWith('\x1b[1;31m') && line!.endsWith('\x1b[0m'), line)
      const plain = new Terminal(
        caller,
        `NO_COLOR=1 TERM=xterm XDG_RUNTIME_DIR=${runtime} ${process.execPath} ${command} inspect box`,
      )
      await plain.ended
      assert.ok(plain.screen.includes('filters of system calls') && !plain.screen.includes('\x1b'))
    })

    test('of what does not run says what it is', () => {
      const first = (...args: string[]) => {
        const { status, stderr } = call('inspect', ...args)
        return [status, stderr.split('\n')[0]]
      }
      assert.deepEqual(first('none'), [125, 'vial: there is no sandbox "none": there are box'])
      assert.deepEqual(first(), [125, 'vial: no name of a sandbox was given: see "vial ps"'])
      assert.equal(first('../box')[0], 125)
      assert.equal(call('stop', 'box').status, 0)
      assert.deepEqual(first('box'), [125, 'vial: the sandbox "box" has ended'])
    })
  })
