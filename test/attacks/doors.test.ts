/**
 * Attacks on pid 1, whose executable is the vial, through every door: whatever starts a sandbox starts the same walls. Each
 * succeeds without a sandbox against a process of the same user.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { frontPath } from '../../src/cli/bwrap/frontFile.js'
import { type Caller, callers, root, runAs, workFolder } from '../support/user.js'
import { attackProgram, noAttacks } from './attack.js'

const command = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))

const attacks: readonly (readonly string[])[] = [
  ['executable-of', 'PID'],
  ['reopen-of', 'PID'],
  ['trace', 'PID'],
  ['steal-descriptor', 'PID'],
  ['mapped-files', 'PID'],
]

/** Runs a program outside, as the caller. */
function outside(caller: Caller, program: string, args: readonly string[], stdio: readonly ('pipe' | 'ignore')[] = []) {
  const { stdout, stderr, signal } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { HOME: workFolder(caller, 'home'), PATH: '/usr/bin:/bin' },
    stdio: ['pipe', 'pipe', 'pipe', ...stdio],
    ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
  })
  return signal ?? (stdout.trim() || stderr)
}

const system = ['--ro-bind', '/usr', '/usr', '--proc', '/proc', '--dev', '/dev', '--unshare-all']
for (const name of ['bin', 'lib', 'lib64']) system.push('--symlink', `usr/${name}`, `/${name}`)

/** Root's payload keeps what root has, as with bwrap, unless it is told otherwise: then it may look at pid 1. */
const dropped = ['--cap-drop', 'ALL']
const asRoot = ['--uid', '0', '--gid', '0', ...dropped]

type Door = (caller: Caller, words: readonly string[]) => string

const bwrap = (program: readonly string[], more: readonly string[], stdio: readonly 'pipe'[] = []): Door => {
  const [file = '', ...first] = program
  return (caller, words) => {
    const args = [...first, ...system, ...more, '--ro-bind', attackProgram(), '/attack', '/attack', ...words]
    return outside(caller, file, args, stdio)
  }
}

const doors: Readonly<Record<string, Door>> = {
  'the library': (caller, words) => {
    const policy = { preset: 'system' as const, filesystem: [{ bind: '/attack', from: attackProgram() }] }
    return runAs(caller, policy, '/attack', words).stdout.trim()
  },
  'the command': (caller, words) =>
    outside(caller, process.execPath, [
      command,
      'run',
      '--ro',
      `${attackProgram()}:/attack`,
      '--',
      '/attack',
      ...words,
    ]),
  'the command in root mode': (caller, words) =>
    caller.uid !== root.uid
      ? 'EPERM'
      : outside(caller, process.execPath, [
          ...[command, 'run', '--root', '--uid', '0', '--gid', '0'],
          ...['--ro', `${attackProgram()}:/attack`, '--', '/attack', ...words],
        ]),
  'a compiled vial': (caller, words) => {
    const folder = workFolder(caller, 'compiled')
    const vial = join(folder, 'vial')
    const policy = { preset: 'system', filesystem: [{ bind: '/attack', from: attackProgram() }] }
    writeFileSync(join(folder, 'policy.json'), JSON.stringify(policy))
    if (!existsSync(vial))
      outside(caller, process.execPath, [command, 'compile', join(folder, 'policy.json'), '-o', vial])
    return outside(caller, vial, ['/attack', ...words])
  },
  'vial-bwrap': bwrap([frontPath], []),
  'vial-bwrap, whose pid others are told': bwrap([frontPath], [...dropped, '--json-status-fd', '3'], ['pipe']),
  'vial-bwrap with a payload that is root inside': bwrap([frontPath], [...asRoot, '--info-fd', '3'], ['pipe']),
  'vial bwrap': bwrap([process.execPath, command, 'bwrap'], []),
}

/** ENODATA: init has nothing open any more; ENXIO: only an eventfd. */
const refused = /^E(PERM|ACCES|NODATA|NXIO)$/

for (const caller of callers) {
  describe(`the doors, by ${caller.name}`, { skip: noAttacks }, () => {
    const victim = join(workFolder(caller, 'victim'), 'sleep')
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
        assert.equal(outside(caller, attackProgram(), on(decoy!.pid!)), 'succeeded')
      })
      for (const [name, door] of Object.entries(doors)) {
        test(`${words[0]} of pid 1 is refused: ${name}`, () => {
          // Twice: the second time the vial is in the cache.
          for (const turn of [1, 2]) assert.match(door(caller, on(1)), refused, `turn ${turn}`)
        })
      }
    }

    test('what pid 1 executes cannot be changed, where a payload with all capabilities sees it', () => {
      const look = ['sh', '-c', 'readlink /proc/1/exe; chmod 0 /proc/1/exe']
      const args = [...system, '--cap-add', 'ALL', '--json-status-fd', '3', ...look]
      for (const program of [[frontPath], [process.execPath, command, 'bwrap']]) {
        const [file = '', ...first] = program
        assert.match(outside(caller, file, [...first, ...args], ['pipe']), /^\/memfd:vial \(deleted\)$/)
      }
    })
  })
}
