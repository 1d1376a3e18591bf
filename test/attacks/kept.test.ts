/** A payload that may write the directory in which vial, its cache or its policy lie decides nothing about the next run. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, join, resolve } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Policy } from '../../src/index.js'
import { callers, workDirectory } from '../support/user.js'

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
    const directory = workDirectory(caller, `kept-${projects++}`)
    const installed = join(directory, 'node_modules/vial')
    for (const one of ['dist', 'package.json'])
      cpSync(
        one === 'dist' ? join(top, 'dist/src') : join(top, one),
        join(installed, one === 'dist' ? 'dist/src' : one),
        {
          recursive: true,
        },
      )
    cpSync(join(top, 'node_modules/valibot'), join(directory, 'node_modules/valibot'), {
      recursive: true,
      dereference: true,
    })
    chmodSync(join(installed, 'dist/src/cli/main.cjs'), 0o755)
    mkdirSync(join(directory, 'node_modules/.bin'))
    symlinkSync('../vial/dist/src/cli/main.cjs', join(directory, 'node_modules/.bin/vial'))
    writeFileSync(join(directory, 'policy.json'), JSON.stringify(system))
    if (process.getuid?.() === 0) spawnSync('chown', ['-R', `${caller.uid}:${caller.gid}`, directory])
    const run = (command: string, args: readonly string[], cwd = directory, more: NodeJS.ProcessEnv = {}) =>
      spawnSync(command, args, {
        cwd,
        encoding: 'utf8',
        env: { PATH: process.env.PATH, HOME: directory, VIAL_CACHE: join(directory, 'hidden/cache'), ...more },
        ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
      })
    const command = join(directory, 'node_modules/.bin/vial')
    const vial = (...args: string[]) => run(command, args)
    return { directory, run, vial, command }
  }
  const main = 'node_modules/vial/dist/src/cli/main.cjs'
  const all = Object.keys(attempts) as Attempt[]
  /** Nothing but the link itself, and the way to it, is kept; what it leads to has a path of its own. */
  const asLink: Attempt[] = ['remove', 'rename it away', 'rename another over it', 'rename its directory']
  /** In a directory that is kept only as far as its place goes, files beside a trusted one may be made. */
  const asFile = all.filter((one) => one !== 'make another beside it' && one !== 'rename its directory')

  /** Nothing succeeded, and nothing failed for a reason of its own. */
  function refused({ stdout, stderr, status }: { stdout: string; stderr: string; status: number | null }): void {
    assert.deepEqual([stdout, status], ['[]\n', 0], stderr)
  }

  test(`${caller.name}: --rw . over node_modules, the cache and the policy, cold and from the cache`, () => {
    const { vial, directory } = project()
    const before = readFileSync(join(directory, main))
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
            script([main, 'node_modules/valibot/package.json'], directory, all),
          ),
        )
        refused(vial('run', ...flags, '--', 'python3', '-c', script(['node_modules/.bin/vial'], directory, asLink)))
        if (flags.includes('policy.json'))
          refused(vial('run', ...flags, '--', 'python3', '-c', script(['policy.json'], directory, asFile)))
        assert.match(
          vial('run', ...flags, '--', 'sh', '-c', 'ls -d hidden/cache/*; touch hidden/cache/x; mv hidden away').stderr,
          /Read-only[\s\S]*busy/,
        )
      }
    }
    assert.deepEqual(readFileSync(join(directory, main)), before)
    assert.equal(vial('run', '--', 'echo', 'next').stdout, 'next\n')
  })

  test(`${caller.name}: at another place inside, by a directory above, and by a link`, () => {
    const { vial, directory } = project()
    const inside = (work: string) => ['--', 'python3', '-c', script([main], work, all)]
    refused(vial('run', '--rw', '.:/work', ...inside('/work')))
    const above = resolve(directory, '..')
    refused(vial('run', '--rw', `${above}:/above`, ...inside(`/above/${directory.slice(above.length + 1)}`)))
    symlinkSync(directory, join(above, `link-${projects}`))
    refused(vial('run', '--rw', `${join(above, `link-${projects}`)}:/linked`, ...inside('/linked')))
    refused(vial('run', '--rw', '.:/one', '--rw', '.:/two', ...inside('/two')))
    refused(vial('run', '--rw', '.:/one', '--rw', '.:/two', ...inside('/one')))
  })

  test(`${caller.name}: by the library, for a bind, a root and the upper layer of an overlay`, () => {
    const { run, directory } = project()
    for (const name of ['lower', 'work']) mkdirSync(join(directory, '..', `${name}-${projects}`), { recursive: true })
    const beside = (name: string) => join(directory, '..', `${name}-${projects}`)
    if (process.getuid?.() === 0) spawnSync('chown', [`${caller.uid}:${caller.gid}`, beside('lower'), beside('work')])
    const program = (policy: Policy, work: string) => `
import { sandbox } from 'vial'
const { stdout, stderr, exitCode } = await sandbox(${JSON.stringify(policy)}).run('python3', ['-c', ${JSON.stringify(script([main], work, all))}])
process.stdout.write(stdout)
process.stderr.write(stderr)
process.exitCode = exitCode`
    const policies: [Policy, string][] = [
      [{ ...system, filesystem: [{ bind: '/work', from: directory, writable: true }] }, '/work'],
      [{ filesystem: [{ bind: '/', writable: true }, { proc: '/proc' }, { dev: '/dev' }] }, directory],
      [
        {
          ...system,
          filesystem: [
            { overlay: '/work', lower: [beside('lower')], upper: { upper: directory, work: beside('work') } },
          ],
        },
        '/work',
      ],
    ]
    for (const [policy, work] of policies) {
      writeFileSync(join(directory, 'program.mjs'), program(policy, work))
      refused(run(process.execPath, ['program.mjs']))
    }
  })

  test(`${caller.name}: a compiled vial keeps itself`, () => {
    const { run, vial, directory } = project()
    assert.equal(vial('compile', 'policy.json', '--rw', '.', '-o', 'tool').status, 0)
    refused(run('./tool', ['python3', '-c', script(['tool'], directory, asFile)]))
    // A vial whose surroundings have gone since starts all the same.
    renameSync(join(directory, 'node_modules'), join(directory, '../gone'))
    assert.equal(run('./tool', ['echo', 'ran']).stdout, 'ran\n')
  })

  test(`${caller.name}: a compiled vial keeps the cache also where there is none`, () => {
    const { run, vial, directory, command } = project()
    const cache = join(directory, 'hidden/cache')
    const plant = `umask 0; mkdir -p ${cache}/run && touch ${cache}/run/planted`
    assert.equal(vial('compile', 'policy.json', '--rw', '.', '-o', 'tool').status, 0)
    const { uid } = statSync(directory)
    for (const gone of ['hidden/cache', 'hidden']) {
      if (existsSync(join(directory, gone)))
        renameSync(join(directory, gone), join(directory, `../gone-${uid}-${basename(gone)}`))
      assert.match(run('./tool', ['sh', '-c', plant]).stderr, /Read-only/)
      assert.match(run('./tool', ['mv', 'hidden', 'away'], directory).stderr, /busy/)
      for (const made of ['hidden', 'hidden/cache']) {
        const { mode, uid: owner } = statSync(join(directory, made))
        assert.deepEqual([mode & 0o777, owner], [0o700, caller.uid], made)
      }
      assert.deepEqual(readdirSync(cache), [])
    }
    assert.equal(vial('run', '--', 'echo', 'next').stdout, 'next\n')
    // The weakened one: the cache that was compiled for is another.
    renameSync(join(directory, 'hidden'), join(directory, 'away'))
    const elsewhere = { VIAL_CACHE: join(directory, '../elsewhere') }
    assert.equal(run(command, ['compile', 'policy.json', '--rw', '.', '-o', 'tool'], directory, elsewhere).status, 0)
    assert.equal(run('./tool', ['sh', '-c', plant]).status, 0)
    assert.ok(existsSync(join(cache, 'run/planted')))
  })

  test(`${caller.name}: a cache that the caller may not make is left out, for the payload may not either`, () => {
    const { run, directory, command } = project()
    const closed = join(directory, '../closed')
    mkdirSync(join(closed, 'open'), { recursive: true })
    const at = { VIAL_CACHE: join(closed, 'not/made') }
    assert.equal(run(command, ['compile', 'policy.json', '--rw', closed, '-o', 'tool'], directory, at).status, 0)
    if (process.getuid?.() === 0) spawnSync('chown', ['-R', 'nobody', closed])
    chmodSync(closed, 0o555)
    const { status, stdout } = run('./tool', ['ls', '-A', closed])
    chmodSync(closed, 0o755)
    // Its mode does not keep a directory's owner out, who has all capabilities there: then it is made.
    assert.deepEqual([status, stdout], [0, process.getuid?.() === 0 ? 'open\n' : 'not\nopen\n'])
  })

  test(`${caller.name}: what is asked for by its own name is writable, and what lies beside stays`, () => {
    const { vial, directory } = project()
    const write = (...flags: string[]) =>
      vial('run', ...flags, '--', 'sh', '-c', `echo >> ${main} && echo >> policy.json && echo written`)
    const named = ['--rw', 'node_modules/vial', '--rw', 'policy.json']
    assert.equal(write('--policy', 'policy.json', '--rw', '.').stdout, '')
    assert.equal(write('--policy', 'policy.json', '--rw', '.', ...named).stdout, 'written\n')
    // The weakened one: the next run is the payload's.
    const evil = `printf '#!/usr/bin/env node\\nconsole.log("evil")\\n' > ${main}`
    assert.equal(vial('run', '--rw', '.', ...named, '--', 'sh', '-c', evil).status, 0)
    assert.equal(vial('run', '--', 'echo', 'next').stdout, 'evil\n')
    assert.ok(existsSync(join(directory, 'node_modules')))
  })

  test(`${caller.name}: a link on the way to what is trusted cannot be exchanged, in the very directory of the bind too`, () => {
    const { vial, run, directory } = project()
    renameSync(join(directory, 'policy.json'), join(directory, '../real.json'))
    symlinkSync('../real.json', join(directory, 'policy.json'))
    const inside = ['--', 'python3', '-c', script(['policy.json'], directory, asLink)]
    for (const _ of ['cold', 'from the cache']) refused(vial('run', '--policy', 'policy.json', '--rw', '.', ...inside))
    // A link to a link, and a directory's link in the middle of the path.
    mkdirSync(join(directory, 'deep'))
    renameSync(join(directory, 'policy.json'), join(directory, 'deep/second'))
    symlinkSync('../../real.json', join(directory, 'deep/real'))
    symlinkSync('deep', join(directory, 'way'))
    symlinkSync('way/real', join(directory, 'policy.json'))
    if (process.getuid?.() === 0) spawnSync('chown', ['-hR', `${caller.uid}:${caller.gid}`, directory])
    const links = script(['policy.json', 'way', 'deep/real'], directory, asLink)
    refused(vial('run', '--policy', 'policy.json', '--rw', '.', '--', 'python3', '-c', links))
    // What was a link when it was compiled, and has become a file since, is as trusted.
    assert.equal(vial('compile', 'policy.json', '--rw', '.', '-o', 'tool').status, 0)
    unlinkSync(join(directory, 'policy.json'))
    assert.equal(run('./tool', ['true']).status, 0)
    writeFileSync(join(directory, 'policy.json'), '{}')
    chmodSync(join(directory, 'policy.json'), 0o666)
    assert.match(run('./tool', ['sh', '-c', 'echo x >> policy.json'], directory).stderr, /Read-only/)
    // The weakened one: the link is nothing that this run names.
    assert.equal(
      vial('run', '--rw', '.', '--', 'python3', '-c', script(['way'], directory, ['remove'])).stdout,
      "[['way', 'remove']]\n",
    )
  })

  /** How other package managers lay vial out, with what the next run goes by there. */
  const layouts: Record<string, (directory: string) => { links: string[]; kept: string[] }> = {
    'npm link, and a checkout with its modules behind a link': (directory) => {
      const checkout = join(directory, 'checkout')
      renameSync(join(directory, 'node_modules/vial'), checkout)
      mkdirSync(join(directory, 'modules'))
      renameSync(join(directory, 'node_modules/valibot'), join(directory, 'modules/valibot'))
      symlinkSync('../modules', join(checkout, 'node_modules'))
      symlinkSync('../checkout', join(directory, 'node_modules/vial'))
      return {
        links: ['node_modules/vial', 'checkout/node_modules'],
        kept: ['checkout/dist/src/index.js', 'checkout/package.json', 'modules/valibot/package.json'],
      }
    },
    "pnpm's store": (directory) => {
      const store = join(directory, 'node_modules/.pnpm')
      for (const [name, at] of [
        ['vial', 'vial@1/node_modules/vial'],
        ['valibot', 'valibot@1/node_modules/valibot'],
      ] as const) {
        mkdirSync(join(store, at, '..'), { recursive: true })
        renameSync(join(directory, 'node_modules', name), join(store, at))
      }
      symlinkSync('../../valibot@1/node_modules/valibot', join(store, 'vial@1/node_modules/valibot'))
      symlinkSync('.pnpm/vial@1/node_modules/vial', join(directory, 'node_modules/vial'))
      unlinkSync(join(directory, 'node_modules/.bin/vial'))
      writeFileSync(
        join(directory, 'node_modules/.bin/vial'),
        '#!/bin/sh\nexec node ../vial/dist/src/cli/main.cjs "$@"\n',
      )
      return {
        links: ['node_modules/vial', 'node_modules/.pnpm/vial@1/node_modules/valibot'],
        kept: [
          ...['vial@1/node_modules/vial/dist/src/index.js', 'valibot@1/node_modules/valibot/package.json'].map(
            (name) => `node_modules/.pnpm/${name}`,
          ),
          'node_modules/.bin/vial',
        ],
      }
    },
    'a workspace whose dependency is hoisted': (directory) => {
      const app = join(directory, 'packages/app/node_modules')
      mkdirSync(app, { recursive: true })
      renameSync(join(directory, 'node_modules/vial'), join(app, 'vial'))
      symlinkSync('../packages/app/node_modules/vial', join(directory, 'node_modules/vial'))
      return {
        links: ['node_modules/vial'],
        // What is nearer would be found first.
        kept: ['node_modules/valibot/package.json', 'packages/app/node_modules/valibot'],
      }
    },
  }
  for (const [name, lay] of Object.entries(layouts))
    test(`${caller.name}: the library in another layout: ${name}`, () => {
      const { run, directory } = project()
      const { links, kept } = lay(directory)
      if (process.getuid?.() === 0) spawnSync('chown', ['-hR', `${caller.uid}:${caller.gid}`, directory])
      const payload = [
        script(links, directory, asLink),
        script(
          kept.filter((path) => existsSync(join(directory, path))),
          directory,
          ['write in place', 'remove', 'rename it away', 'rename another over it', 'rename its directory'],
        ),
        // What is missing cannot be made.
        `import os\nfor p in ${JSON.stringify(kept)}:\n    try: os.makedirs('${directory}/' + p); print('made', p)\n    except OSError as error: pass`,
      ]
      const policy: Policy = { ...system, filesystem: [{ bind: directory, writable: true }] }
      writeFileSync(
        join(directory, 'program.mjs'),
        `
import { sandbox } from 'vial'
for (const payload of ${JSON.stringify(payload)}) {
  const { stdout, stderr, exitCode } = await sandbox(${JSON.stringify(policy)}).run('python3', ['-c', payload])
  console.log(stdout + stderr + exitCode)
}`,
      )
      const { stdout, stderr } = run(process.execPath, ['program.mjs'])
      assert.equal(stdout, '[]\n0\n[]\n0\n0\n', stderr)
    })

  test(`${caller.name}: a vial that was remembered before something was trusted is not used afterwards`, () => {
    const { run, directory } = project()
    const [first, second] = [join(directory, 'one'), join(directory, 'two')]
    const call = (bin: string) =>
      run(bin, [
        'run',
        '--rw',
        '.',
        '--',
        'python3',
        '-c',
        script([bin.slice(directory.length + 1)], directory, asLink),
      ])
    for (const bin of [first, second]) {
      mkdirSync(bin)
      symlinkSync('../node_modules/vial/dist/src/cli/main.cjs', join(bin, 'vial'))
    }
    if (process.getuid?.() === 0) spawnSync('chown', ['-hR', `${caller.uid}:${caller.gid}`, first, second])
    for (const bin of [first, second, first]) refused(call(join(bin, 'vial')))
  })

  test(`${caller.name}: explain tells what is kept, and why`, () => {
    const { vial, directory } = project()
    const { stdout } = vial('explain', '--policy', 'policy.json', '--rw', '.')
    for (const path of ['node_modules/vial', 'policy.json', 'hidden/cache'])
      assert.match(
        stdout,
        new RegExp(`keep ${join(directory, path)} read-only[\\s\\S]*?it decides what the next run`),
        path,
      )
    for (const path of ['node_modules', 'node_modules/.bin', 'node_modules/.bin/vial', 'hidden'])
      assert.match(stdout, new RegExp(`keep ${join(directory, path)} at its place`), path)
    assert.doesNotMatch(vial('explain', '--ro', '.').stdout, /keep/)
  })
}
