import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chownSync,
  lchownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { compile, type Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { runAs, workDirectory } from '../support/user.js'
import { modes } from './attempts.js'

type Entries = NonNullable<Policy['filesystem']>

/** What each policy comes to: an error, or `ran`. */
async function runEach({ sandbox }: typeof import('../../src/index.js'), policies: readonly Policy[]) {
  const answers: string[] = []
  for (const policy of policies)
    try {
      const { verdict } = await sandbox(policy).run('true', [], { timeout: 3000 })
      answers.push(verdict.kind === 'ok' ? 'ran' : verdict.kind)
    } catch (error) {
      answers.push((error as Error).message)
    }
  return answers
}

for (const { name, caller, policy } of modes) {
  const directoryOf = (what: string) => {
    const directory = workDirectory(caller, `${what} ${name}`)
    rmSync(directory, { recursive: true })
    return workDirectory(caller, `${what} ${name}`)
  }

  describe(`links that a payload left, by ${name}`, () => {
    test('a source beneath a writable directory stays beneath it', () => {
      const directory = directoryOf('planted')
      const secret = directoryOf('secret')
      writeFileSync(join(secret, 'key'), 'secret')
      mkdirSync(join(directory, 'real'))
      writeFileSync(join(directory, 'real', 'key'), 'own')
      const shown = (from: string): Policy => ({
        ...policy,
        filesystem: [
          { bind: '/data', from: directory, writable: true },
          { bind: '/sub', from: join(directory, from) },
        ],
      })
      symlinkSync(secret, join(directory, 'absolute'))
      symlinkSync(`../${secret.split('/').at(-1)}`, join(directory, 'relative'))
      symlinkSync('real', join(directory, 'inner'))
      for (const from of ['absolute', 'relative', 'absolute/key']) {
        const { error, stdout } = runAs(caller, shown(from), 'sh', ['-c', 'cat /sub /sub/key'])
        assert.match(error ?? stdout, /cannot bind .*\n.*a link on the way leads out/, from)
      }
      for (const from of ['real', 'inner'])
        assert.equal(runAs(caller, shown(from), 'cat', ['/sub/key']).stdout, 'own', from)
      // So does the root.
      const root: Policy = { ...policy, filesystem: [{ bind: '/', from: join(directory, 'absolute') }] }
      const { preset, ...bare } = {
        ...root,
        filesystem: [...root.filesystem!, { bind: '/key', from: directory, writable: true }],
      }
      assert.match(runAs(caller, bare, '/x').error ?? '', /cannot use .* as the root.*\n.*a link on the way leads out/)
      // What another sandbox may write is known only if it is named.
      const beneath: Policy = {
        ...policy,
        filesystem: [{ bind: '/sub', from: join(directory, 'absolute'), beneath: directory }],
      }
      assert.match(
        runAs(caller, beneath, 'cat', ['/sub/key']).error ?? '',
        /cannot bind .*\n.*a link on the way leads out/,
      )
      const apart: Policy = { ...policy, filesystem: [{ bind: '/sub', from: secret, beneath: directory }] }
      assert.match(
        runAs(caller, apart, 'true').error ?? '',
        /^filesystem: .* does not lie beneath .*: beneath must name a directory above it/m,
      )
      assert.throws(
        () => compile({ filesystem: [{ bind: '/sub', fd: 5, beneath: directory }] }),
        /beneath is about links on the way of a path/,
      )
      // A link of the caller's own, where no payload writes, is followed.
      const plain: Policy = { ...policy, filesystem: [{ bind: '/sub', from: join(directory, 'absolute') }] }
      assert.equal(runAs(caller, plain, 'cat', ['/sub/key']).stdout, 'secret')
    })

    test('so do the layers of an overlay, and what lies in its upper directory', () => {
      const directory = directoryOf('layers')
      const secret = directoryOf('secret layer')
      writeFileSync(join(secret, 'key'), 'secret')
      for (const name of ['lower', 'upper', 'work']) mkdirSync(join(directory, name))
      symlinkSync(secret, join(directory, 'link'))
      symlinkSync(secret, join(directory, 'upper', 'link'))
      for (const name of ['lower', 'upper', 'work', '.'])
        if (process.getuid?.() === 0) chownSync(join(directory, name), caller.uid, caller.gid)
      const layer = (name: string) => join(directory, name)
      const layers = (lower: string, upper = 'upper', work = 'work') => ({
        overlay: '/app',
        lower: [layer(lower)],
        upper: { upper: layer(upper), work: layer(work) },
      })
      const writable = { bind: '/data', from: directory, writable: true }
      const said = (filesystem: NonNullable<Policy['filesystem']>) => {
        const { error, stdout } = runAs(caller, { ...policy, filesystem }, 'sh', ['-c', 'cat /app/key /sub/key; :'])
        return error ?? stdout
      }
      for (const entry of [layers('link'), layers('lower', 'link'), layers('lower', 'upper', 'link')])
        assert.match(said([writable, entry]), /cannot mount an overlay .*\n.*a link on the way leads out/)
      const beneath = { bind: '/sub', from: layer('upper/link') }
      assert.match(said([layers('lower'), beneath]), /cannot bind .*\n.*a link on the way leads out/)
      // The caller's own links, where no payload writes, are followed.
      assert.equal(said([{ ...layers('link'), upper: 'tmpfs' }]), 'secret')
    })

    test('nothing is made, written or given a mode through one, nor over what is no regular file', async () => {
      const data = directoryOf('places')
      const other = directoryOf('other places')
      writeFileSync(join(other, 'secret'), 'secret', { mode: 0o600 })
      writeFileSync(join(data, 'plain'), 'a longer text')
      symlinkSync('/other', join(data, 'aside'))
      symlinkSync('/other/secret', join(data, 'file'))
      symlinkSync('/other/new', join(data, 'dangling'))
      symlinkSync('plain', join(data, 'near'))
      linkSync(join(data, 'plain'), join(data, 'second'))
      spawnSync('mkfifo', [join(data, 'fifo')])
      if (process.getuid?.() === 0)
        for (const path of [join(other, 'secret'), join(data, 'plain'), join(data, 'fifo')])
          lchownSync(path, caller.uid, caller.gid)
      const shown: Entries = [
        { bind: '/data', from: data, writable: true },
        { bind: '/other', from: other, writable: true },
      ]
      const link = /Too many levels of symbolic links\n +a symbolic link lies at the place or on the way to it/
      const cases: [Entries[number], RegExp][] = [
        [{ chmod: '/data/file', mode: 0o777 }, link],
        [{ chmod: '/data/aside/secret', mode: 0o777 }, link],
        [{ chmod: '/data/near', mode: 0o777 }, link],
        [{ chmod: '/data/second', mode: 0o777 }, /Too many links\n +the file has another name/],
        [{ file: '/data/file', content: 'x' }, link],
        [{ file: '/data/dangling', content: 'x' }, link],
        [{ file: '/data/aside/new', content: 'x' }, link],
        [{ file: '/data/second', content: 'x' }, /Too many links\n +the file has another name/],
        [{ file: '/data/fifo', content: 'x' }, /File exists\n +something else is at this place already/],
        [{ directory: '/data/aside/new' }, link],
        [{ directory: '/data/aside' }, link],
        [{ symlink: '/data/aside/new', to: 'x' }, link],
        [{ tmpfs: '/data/aside/new' }, link],
        [{ tmpfs: '/data/aside' }, link],
        [{ bind: '/data/aside/new', from: '/usr' }, link],
        [{ bind: '/data/dangling', from: '/etc/hostname', optional: true }, link],
        [{ readonly: '/data/aside' }, link],
        [{ file: '/data/near', content: 'x', mount: 'readonly' }, link],
      ]
      const trials = cases.map(([entry]) => ({ ...policy, filesystem: [...shown, entry] }))
      const answers = await evaluate(caller, runEach, trials)
      cases.forEach(([entry, complaint], index) => {
        assert.match(answers[index]!, complaint, JSON.stringify(entry))
      })
      assert.deepEqual(readdirSync(other), ['secret'])
      assert.deepEqual(
        [readFileSync(join(other, 'secret'), 'utf8'), statSync(join(other, 'secret')).mode & 0o777],
        ['secret', 0o600],
      )
      assert.equal(readFileSync(join(data, 'plain'), 'utf8'), 'a longer text')

      // Links of the policy's own are followed, and those that lie in what no payload writes, to what is there.
      const followed: Entries[] = [
        [...shown, { symlink: '/way', to: 'data' }, { file: '/way/made', content: 'x' }],
        [...shown, { symlink: '/data/way', to: '../other' }, { directory: '/data/way/made' }],
        [{ bind: '/data', from: data }, { bind: '/other', from: other, writable: true }, { tmpfs: '/data/aside' }],
      ]
      const fine = followed.map((filesystem) => ({ ...policy, filesystem }))
      assert.deepEqual(await evaluate(caller, runEach, fine), ['ran', 'ran', 'ran'])
      assert.equal(readFileSync(join(data, 'made'), 'utf8'), 'x')
      assert.deepEqual(readdirSync(other), ['made', 'secret'])
      const through = { ...policy, filesystem: [...followed[2]!.slice(0, 2), { tmpfs: '/data/aside/new' }] }
      assert.match((await evaluate(caller, runEach, [through]))[0]!, link)
      assert.deepEqual(readdirSync(other), ['made', 'secret'])
    })
  })
}
