/**
 * Attacks on what vial executes and tells, through every door, on a warm cache: the vial that runs next is the same, and a payload
 * that ends badly has ended badly.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, copyFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { frontPath } from '../../src/bwrap/frontFile.js'
import { callers, workDirectory } from '../support/user.js'
import { attackProgram, noAttacks } from './attack.js'
import { type Door, doorsOf, enter, type Shows, spawned } from './doors.js'
import { filesBelow, recursive } from './recursive.js'

/** How the attacks of programs/init.c end that do not say how it went. */
const badly = 7
/** A race that was lost once may be won. */
const turns = 3

for (const caller of callers) {
  const own = (path: string) => {
    if (process.getuid?.() === 0) chownSync(path, caller.uid, caller.gid)
  }

  describe(`what is executed and told, by ${caller.name}`, { skip: noAttacks }, () => {
    test('poison succeeds on a process outside, and forge-end on a pipe of one', async () => {
      const directory = workDirectory(caller, 'poisoned')
      const victim = join(directory, 'sleep')
      copyFileSync('/usr/bin/sleep', victim)
      chmodSync(victim, 0o500)
      own(victim)
      const start = { program: 'unshare', args: [], vials: directory }
      const script = '"$0" 100 3>&1 & until [ -e /proc/$!/fd/3 ]; do :; done; exec "$@"'
      // Its own pid namespace, in which the victim has a small number.
      const inside = (...words: string[]) =>
        enter(caller, {
          ...start,
          args: ['-rpf', '--mount-proc', '--', 'sh', '-c', script, victim, attackProgram(), ...words],
        })
      assert.equal(inside('poison', directory).status, badly)
      assert.equal(statSync(victim).mode & 0o777, 0o700)
      assert.equal(inside('forge-end', '2').answer.charCodeAt(0), 1)
    })

    for (const [index, [name, door]] of doorsOf(caller).entries()) {
      const ends = (words: readonly string[]) => enter(caller, door(caller, ['/attack', ...words]))

      test(`nothing changes the vial that runs next: ${name}`, () => {
        const { vials } = door(caller, [])
        // The first run stores it.
        ends(['poison', '/none'])
        const before = filesBelow(vials)
        assert.ok(Object.keys(before).length > 0)
        for (let turn = 0; turn < turns; turn++) assert.equal(ends(['poison', vials]).status, badly)
        assert.deepEqual(filesBelow(vials), before)
      })

      test(`a bad end is told as one: ${name}`, () => {
        const { status, told } = ends(['forge-end', '1'])
        assert.equal(status, badly)
        if (door(caller, []).args.includes('--json-status-fd')) {
          const exits = told.split('\n').filter((line) => line.includes('exit-code'))
          assert.deepEqual(exits, [`{ "exit-code": ${badly} }`])
        }
      })

      test(`a payload that executes /proc/self/exe changes nothing: ${name}`, () => {
        const shared = workDirectory(caller, `recursive-${index}`)
        const programs = recursive(shared)
        const { vials } = door(caller, [], { shared })
        const run = (program: string) =>
          enter(caller, door(caller, [`/shared/${program}`, '/attack', 'poison', vials], { shared }))
        run('none')
        const before = filesBelow(vials)
        for (const program of programs) assert.notEqual(run(program).status, 0)
        assert.deepEqual(filesBelow(vials), before)
      })

      test(`a second sandbox of the user gains nothing by /proc of the first: ${name}`, {
        timeout: 60_000,
      }, async () => {
        const shared = workDirectory(caller, `handed-${index}`)
        assert.match(await lookThrough(door, '/proc/1', { shared }), /^E(PERM|ACCES)$/)
      })
    }

    test('what lies outside is seen so', async () => {
      const shared = workDirectory(caller, 'handed')
      assert.equal(await lookThrough(undefined, '/proc/self', { shared }), 'succeeded')
    })

    /** One gives the directory away, and another uses it; both through the door. */
    async function lookThrough(door: Door | undefined, directory: string, shows: Required<Shows>): Promise<string> {
      const start = (...words: string[]) =>
        door?.(caller, ['/attack', ...words], shows) ?? { program: attackProgram(), args: words, vials: '' }
      const socket = join(door === undefined ? shows.shared : '/shared', 'socket')
      rmSync(join(shows.shared, 'socket'), { force: true })
      const first = start('hand-directory', socket, directory)
      const giver = spawn(first.program, first.args, spawned(caller, first))
      after(() => giver.kill('SIGKILL'))
      const ended = once(giver, 'exit')
      while (!readdirSync(shows.shared).includes('socket')) {
        assert.equal(giver.exitCode, null, String(giver.stderr!.read()))
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      // It listens right after it bound.
      const { answer } = enter(caller, start('look-through', socket))
      giver.kill('SIGKILL')
      await ended
      return answer
    }

    // The payload of a vial that is executed inside sees the very processes of that vial.
    test('a vial of vial-bwrap that the payload executes again, with all of the host beneath', () => {
      const directory = workDirectory(caller, 'again')
      const [program = ''] = recursive(directory)
      const vials = join(workDirectory(caller, 'home'), '.cache')
      for (const more of [[], ['--unshare-pid'], ['--unshare-pid', '--cap-drop', 'ALL']]) {
        const args = [...['--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc'], ...more]
        const run = (...words: string[]) => enter(caller, { program: frontPath, args: [...args, ...words], vials })
        run('true')
        const before = filesBelow(vials)
        const words = [attackProgram(), 'poison', vials]
        for (let turn = 0; turn < turns; turn++) run(join(directory, program), ...words)
        assert.deepEqual(filesBelow(vials), before, more.join(' '))
      }
    })
  })
}
