/**
 * Attacks on pid 1, whose executable is the vial, through every door: whatever starts a sandbox starts the same walls. Each
 * succeeds without a sandbox against a process of the same user.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { type Caller, callers, workDirectory } from '../support/user.js'
import { attackProgram, noAttacks } from './attack.js'
import { doorsOf, enter } from './doors.js'

const attacks: readonly (readonly string[])[] = [
  ['executable-of', 'PID'],
  ['reopen-of', 'PID'],
  ['trace', 'PID'],
  ['steal-descriptor', 'PID'],
  ['mapped-files', 'PID'],
]

/** A process outside, by a program of the caller's. */
const outside = (caller: Caller, words: readonly string[]) =>
  enter(caller, { program: attackProgram(), args: words, vials: '' }).answer

/** ENODATA: init has nothing open any more; ENXIO: only an eventfd. */
const refused = /^E(PERM|ACCES|NODATA|NXIO)$/

for (const caller of callers) {
  describe(`the doors, by ${caller.name}`, { skip: noAttacks }, () => {
    const victim = join(workDirectory(caller, 'victim'), 'sleep')
    const decoy = (() => {
      if (noAttacks) return undefined
      copyFileSync('/usr/bin/sleep', victim)
      chmodSync(victim, 0o755)
      const ids = process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}
      if (process.getuid?.() === 0) spawnSync('chown', [`${caller.uid}`, victim])
      return spawn(victim, ['1000'], { stdio: ['pipe', 'pipe', openSync('/dev/null', 'w')], ...ids })
    })()
    after(() => decoy?.kill('SIGKILL'))

    for (const words of attacks) {
      const on = (pid: number) => words.map((word) => (word === 'PID' ? String(pid) : word))
      test(`${words[0]} succeeds on a process outside`, () => {
        assert.equal(outside(caller, on(decoy!.pid!)), 'succeeded')
      })
      for (const [name, door] of doorsOf(caller)) {
        test(`${words[0]} of pid 1 is refused: ${name}`, () => {
          // Twice: the second time the vial is in the cache.
          for (const turn of [1, 2])
            assert.match(enter(caller, door(caller, ['/attack', ...on(1)])).answer, refused, `turn ${turn}`)
        })
      }
    }

    // Without a pid namespace the monitor is the payload's parent, and it is still outside.
    test('the monitor is closed to a payload that sees it', () => {
      const start = new Map(doorsOf(caller)).get('vial-bwrap')!(caller, [])
      const options = [...start.args.filter((word) => word !== '--unshare-all'), '--cap-drop', 'ALL']
      for (const words of attacks) {
        const attack = words.map((word) => (word === 'PID' ? '$PPID' : word)).join(' ')
        const { answer } = enter(caller, { ...start, args: [...options, 'sh', '-c', `/attack ${attack}; exit`] })
        assert.match(answer, refused, attack)
      }
    })

    test('what pid 1 executes cannot be changed, where a payload with all capabilities sees it', () => {
      const look = ['sh', '-c', 'readlink /proc/1/exe; chmod 0 /proc/1/exe']
      for (const door of ['vial-bwrap', 'vial bwrap']) {
        const start = new Map(doorsOf(caller)).get(door)!(caller, look)
        // Options of bwrap end with the command.
        const options = start.args.slice(0, -look.length)
        const args = [...options, '--cap-add', 'ALL', '--json-status-fd', '3', ...look]
        assert.match(enter(caller, { ...start, args, told: true }).answer, /^\/memfd:vial \(deleted\)$/)
      }
    })
  })
}
