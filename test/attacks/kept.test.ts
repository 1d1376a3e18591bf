/** A payload that may write the directory in which vial, its cache or its policy lie decides nothing about the next run. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Policy } from '../../src/index.js'
import { callers, workFolder } from '../support/user.js'

const top = resolve(fileURLToPath(import.meta.url), '../../../..')
const system: Policy = { preset: 'system' }

/** What a payload tries with the directory it may write, a Python expression each; `p` is a trusted path's own, `d` its directory. */
const attempts = {
  'write in place': "open(p, 'a').write('#')",
  remove: 'os.unlink(p)',
  'rename it away': "os.rename(p, p + '.old')",
  'rename another over it': "open(w + '/evil', 'w').close() or os.rename(w + '/evil', p)",
  'rename its directory': "os.rename(d, w + '/away')",
  'change its mode': 'os.chmod(p, 0o777)',
  'make another beside it': "open(p + '.more', 'w').close()",
}
type Attempt = keyof typeof attempts

/** Which of these a payload can do; each is undone. */
const script = (paths: readonly string[], work: string, which: readonly Attempt[]) => `
import os, sys
w = '${work}'
done = []
for p in ${JSON.stringify(paths)}:
    p = w + '/' + p
    d = os.path.dirname(p)
    for name, does in ${JSON.stringify(which.map((one) => [one, attempts[one]]))}:
        try:
            exec(does)
            done.append([p[len(w) + 1:], name])
            if os.path.exists(w + '/away'): os.rename(w + '/away', d)
            if os.path.exists(p + '.old'): os.rename(p + '.old', p)
        except OSError as error:
            if error.errno not in (1, 13, 16, 18, 26, 30): print('for another reason:', p, name, error)
print(done)
open(w + '/allowed', 'w').close()
open(w + '/node_modules/allowed', 'w').close()
`

for (const caller of callers) {
  let projects = 0
  /** A project as the README has it: vial in node_modules, called by its link in .bin; policy and cache beside it. */
  function project() {
    const folder = workFolder(caller, `kept-${projects++}`)
    const installed = join(folder, 'node_modules/vial')
    for (const one of ['dist', 'package.json'])
      cpSync(
        one === 'dist' ? join(top, 'dist/src') : join(top, one),
        join(installed, one === 'dist' ? 'dist/src' : one),
        {
          recursive: true,
        },
      )
    cpSync(join(top, 'node_modules/valibot'), join(folder, 'node_modules/valibot'), {
      recursive: true,
      dereference: true,
    })
    chmodSync(join(installed, 'dist/src/cli/main.cjs'), 0o755)
    mkdirSync(join(folder, 'node_modules/.bin'))
    symlinkSync('../vial/dist/src/cli/main.cjs', join(folder, 'node_modules/.bin/vial'))
    writeFileSync(join(folder, 'policy.json'), JSON.stringify(system))
    if (process.getuid?.() === 0) spawnSync('chown', ['-R', `${caller.uid}:${caller.gid}`, folder])
    const run = (command: string, args: readonly string[], cwd = folder) =>
      spawnSync(command, args, {
        cwd,
        encoding: 'utf8',
        env: { PATH: process.env.PATH, HOME: folder, VIAL_CACHE: join(folder, 'hidden/cache') },
        ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
      })
    const vial = (...args: string[]) => run(join(folder, 'node_modules/.bin/vial'), args)
    return { folder, run, vial, installed }
  }
  const main = 'node_modules/vial/dist/src/cli/main.cjs'
  const all = Object.keys(attempts) as Attempt[]
  /** In a directory that is kept only as far as its place goes, files beside a trusted one may be made. */
  const asFile = all.filter((one) => one !== 'make another beside it' && one !== 'rename its directory')

  /** Nothing succeeded, and nothing failed for a reason of its own. */
  function refused({ stdout, stderr, status }: { stdout: string; stderr: string; status: number | null }): void {
    assert.deepEqual([stdout, status], ['[]\n', 0], stderr)
  }

  test(`${caller.name}: --rw . over node_modules, the cache and the policy, cold and from the cache`, () => {
    const { vial, folder } = project()
    const before = readFileSync(join(folder, main))
    for (const flags of [
      ['--rw', '.'],
      ['--policy', 'policy.json', '--rw', '.'],
      ['--policy', 'policy.json', '--rw', '.', '--wall-time', '1m'],
    ]) {
      for (const _ of ['cold', 'from the cache']) {
        refused(
          vial(
            'run',
            ...flags,
            '--',
            'python3',
            '-c',
            script([main, 'node_modules/.bin/vial', 'node_modules/valibot/package.json'], folder, all),
          ),
        )
        if (flags.includes('policy.json'))
          refused(vial('run', ...flags, '--', 'python3', '-c', script(['policy.json'], folder, asFile)))
        assert.match(
          vial('run', ...flags, '--', 'sh', '-c', 'ls -d hidden/cache/*; touch hidden/cache/x; mv hidden away').stderr,
          /Read-only[\s\S]*busy/,
        )
      }
    }
    assert.deepEqual(readFileSync(join(folder, main)), before)
    assert.equal(vial('run', '--', 'echo', 'next').stdout, 'next\n')
  })

  test(`${caller.name}: at another place inside, by a directory above, and by a link`, () => {
    const { vial, folder } = project()
    const inside = (work: string) => ['--', 'python3', '-c', script([main], work, all)]
    refused(vial('run', '--rw', '.:/work', ...inside('/work')))
    const above = resolve(folder, '..')
    refused(vial('run', '--rw', `${above}:/above`, ...inside(`/above/${folder.slice(above.length + 1)}`)))
    symlinkSync(folder, join(above, `link-${projects}`))
    refused(vial('run', '--rw', `${join(above, `link-${projects}`)}:/linked`, ...inside('/linked')))
    refused(vial('run', '--rw', '.:/one', '--rw', '.:/two', ...inside('/two')))
    refused(vial('run', '--rw', '.:/one', '--rw', '.:/two', ...inside('/one')))
  })

  test(`${caller.name}: by the library, for a bind, a root and the upper layer of an overlay`, () => {
    const { run, folder } = project()
    for (const name of ['lower', 'work']) mkdirSync(join(folder, '..', `${name}-${projects}`), { recursive: true })
    const beside = (name: string) => join(folder, '..', `${name}-${projects}`)
    if (process.getuid?.() === 0) spawnSync('chown', [`${caller.uid}:${caller.gid}`, beside('lower'), beside('work')])
    const program = (policy: Policy, work: string) => `
import { sandbox } from 'vial'
const { stdout, stderr, exitCode } = await sandbox(${JSON.stringify(policy)}).run('python3', ['-c', ${JSON.stringify(script([main], work, all))}])
process.stdout.write(stdout)
process.stderr.write(stderr)
process.exitCode = exitCode`
    const policies: [Policy, string][] = [
      [{ ...system, filesystem: [{ bind: '/work', from: folder, writable: true }] }, '/work'],
      [{ filesystem: [{ bind: '/', writable: true }, { proc: '/proc' }, { dev: '/dev' }] }, folder],
      [
        {
          ...system,
          filesystem: [{ overlay: '/work', lower: [beside('lower')], upper: { upper: folder, work: beside('work') } }],
        },
        '/work',
      ],
    ]
    for (const [policy, work] of policies) {
      writeFileSync(join(folder, 'program.mjs'), program(policy, work))
      refused(run(process.execPath, ['program.mjs']))
    }
  })

  test(`${caller.name}: a compiled vial keeps itself`, () => {
    const { run, vial, folder } = project()
    assert.equal(vial('compile', 'policy.json', '--rw', '.', '-o', 'tool').status, 0)
    refused(run('./tool', ['python3', '-c', script(['tool'], folder, asFile)]))
    // A vial whose surroundings have gone since starts all the same.
    renameSync(join(folder, 'node_modules'), join(folder, '../gone'))
    assert.equal(run('./tool', ['echo', 'ran']).stdout, 'ran\n')
  })

  test(`${caller.name}: a compiled vial keeps the cache also where there was none`, () => {
    const { run, vial, folder } = project()
    const cache = join(folder, 'hidden/cache')
    assert.equal(vial('compile', 'policy.json', '--rw', '.', '-o', 'tool').status, 0)
    const plant = `mkdir -p ${cache}/run && touch ${cache}/run/planted`
    assert.match(run('./tool', ['sh', '-c', plant]).stderr, /Read-only/)
    // The weakened one: without a cache there is nothing to keep.
    renameSync(join(folder, 'hidden'), join(folder, 'away'))
    assert.equal(run('./tool', ['sh', '-c', plant]).status, 0)
    assert.ok(existsSync(join(cache, 'run/planted')))
  })

  test(`${caller.name}: what is asked for by its own name is writable, and what lies beside stays`, () => {
    const { vial, folder } = project()
    const write = (...flags: string[]) =>
      vial('run', ...flags, '--', 'sh', '-c', `echo >> ${main} && echo >> policy.json && echo written`)
    const named = ['--rw', 'node_modules/vial', '--rw', 'policy.json']
    assert.equal(write('--policy', 'policy.json', '--rw', '.').stdout, '')
    assert.equal(write('--policy', 'policy.json', '--rw', '.', ...named).stdout, 'written\n')
    // The weakened one: the next run is the payload's.
    const evil = `printf '#!/usr/bin/env node\\nconsole.log("evil")\\n' > ${main}`
    assert.equal(vial('run', '--rw', '.', ...named, '--', 'sh', '-c', evil).status, 0)
    assert.equal(vial('run', '--', 'echo', 'next').stdout, 'evil\n')
    assert.ok(existsSync(join(folder, 'node_modules')))
  })

  test(`${caller.name}: a link that cannot be kept is an error, which says what to name instead`, () => {
    const { vial, folder } = project()
    renameSync(join(folder, 'policy.json'), join(folder, '../real.json'))
    symlinkSync('../real.json', join(folder, 'policy.json'))
    const { status, stderr } = vial('run', '--policy', 'policy.json', '--rw', '.', '--', 'true')
    assert.equal(status, 125)
    assert.match(stderr, /policy\.json is reached by the symbolic link .*use the real path, .*real\.json/)
    assert.equal(vial('run', '--policy', '../real.json', '--rw', '.', '--', 'true').status, 0)
  })

  test(`${caller.name}: a vial that was remembered before something was trusted is not used afterwards`, () => {
    const { run, folder } = project()
    const [first, second] = [join(folder, 'one'), join(folder, 'two')]
    const call = (bin: string) =>
      run(bin, ['run', '--rw', '.', '--', 'python3', '-c', script([bin.slice(folder.length + 1)], folder, all)])
    for (const bin of [first, second]) {
      mkdirSync(bin)
      symlinkSync('../node_modules/vial/dist/src/cli/main.cjs', join(bin, 'vial'))
    }
    if (process.getuid?.() === 0) spawnSync('chown', ['-hR', `${caller.uid}:${caller.gid}`, first, second])
    for (const bin of [first, second, first]) refused(call(join(bin, 'vial')))
  })

  test(`${caller.name}: explain tells what is kept, and why`, () => {
    const { vial, folder } = project()
    const { stdout } = vial('explain', '--policy', 'policy.json', '--rw', '.')
    for (const path of ['node_modules/vial', 'node_modules/.bin', 'policy.json', 'hidden/cache'])
      assert.match(
        stdout,
        new RegExp(`keep ${join(folder, path)} read-only[\\s\\S]*?it decides what the next run`),
        path,
      )
    for (const path of ['node_modules', 'hidden'])
      assert.match(stdout, new RegExp(`keep ${join(folder, path)} at its place`), path)
    assert.doesNotMatch(vial('explain', '--ro', '.').stdout, /keep/)
  })
}
