/** Files and directories copied into a sandbox that runs and out of it, by the library and by `vial cp`: whole, and by no link on either side. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Copied } from '../../src/index.js'
import { type Body, evaluate } from '../support/evaluate.js'
import { type Caller, callers, vial, workDirectory } from '../support/user.js'

const main = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))
let trees = 0

/** Of the caller: `tree` with files of several modes, a link, and odd names. */
function hostTree(caller: Caller): string {
  const top = workDirectory(caller, `copied-${++trees}`)
  const tree = join(top, 'tree')
  mkdirSync(join(tree, 'sub/empty'), { recursive: true })
  writeFileSync(join(tree, 'word'), 'from the host\n')
  writeFileSync(join(tree, 'sub/big'), Buffer.alloc(2_000_000, 'abc'))
  writeFileSync(join(tree, 'sub/run'), '#!/bin/sh\necho ran\n')
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/`), Buffer.of(0xff, 0x0a, 0x41)]), 'odd')
  chmodSync(join(tree, 'sub/run'), 0o755)
  chmodSync(join(tree, 'word'), 0o640)
  symlinkSync('sub/run', join(tree, 'link'))
  if (process.getuid?.() === 0) spawnSync('chown', ['-hR', `${caller.uid}:${caller.gid}`, top])
  return top
}

for (const caller of callers)
  describe(`copies by ${caller.name}`, () => {
    test('a tree goes in with its links, and comes out without them, the same to each byte', async () => {
      const top = hostTree(caller)
      const seen = await evaluate(
        caller,
        async ({ sandbox }, top) => {
          const box = await sandbox({ preset: 'system', filesystem: [{ tmpfs: '/tmp' }] }).open()
          try {
            const { files } = box
            const sh = async (script: string) => (await box.run('sh', ['-c', script])).stdout.trim()
            const into = await files.copyIn(`${top}/tree`, '/tmp/tree')
            const again = await files.copyIn(`${top}/tree`, '/tmp/tree')
            const ran = await sh('/tmp/tree/link; stat -c "%a %u" /tmp/tree/word /tmp/tree/tree/sub/run')
            await sh('cd /tmp/tree; rm -r tree; mkfifo fifo; chmod 4755 sub/run')
            const out = await files.copyOut('/tmp/tree', `${top}/out`)
            const below = await files.copyOut('/tmp/tree/word', top)
            const renamed = await files.copyOut('/tmp/tree/word', `${top}/renamed`)
            return [into, again.files, ran, out, below.files, renamed.bytes]
          } finally {
            await box.close()
          }
        },
        top,
      )
      const whole = { files: 4, directories: 3, bytes: 2_000_036, skipped: [] as unknown[] }
      const skipped = [
        { path: 'fifo', why: 'it is a fifo' },
        { path: 'link', why: 'it is a link' },
      ]
      const out = seen[3] as Copied
      seen[3] = { ...out, skipped: out.skipped.toSorted((a, b) => (a.path < b.path ? -1 : 1)) }
      assert.deepEqual(seen, [whole, 4, 'ran\n640 1000\n755 1000', { ...whole, skipped }, 1, 14])
      rmSync(join(top, 'tree/link'))
      const { status, stdout } = spawnSync('diff', ['-r', join(top, 'tree'), join(top, 'out')], { encoding: 'utf8' })
      assert.deepEqual([status, stdout], [0, ''])
      assert.equal(statSync(join(top, 'out/sub/run')).mode & 0o7777, 0o755)
      assert.equal(readFileSync(join(top, 'renamed'), 'utf8'), readFileSync(join(top, 'word'), 'utf8'))
    })

    test('no link on the host is followed, on either way, as the last name or before it', async () => {
      const top = hostTree(caller)
      const secret = join(top, 'secret')
      mkdirSync(secret, { mode: 0o777 })
      writeFileSync(join(secret, 'word'), 'secret')
      const shared = join(top, 'shared')
      mkdirSync(shared)
      for (const path of [secret, shared]) chmodSync(path, 0o777)
      const seen = await evaluate(
        caller,
        async ({ sandbox }, top) => {
          const filesystem = [
            { tmpfs: '/tmp' as const },
            { bind: '/shared', from: `${top}/shared`, writable: true as const },
          ]
          const box = await sandbox({ preset: 'system', filesystem }).open()
          try {
            // What the payload plants where the host copies to and from.
            await box.run('sh', [
              '-c',
              `cd /shared; ln -s ${top}/secret dir; ln -s ${top}/secret/word file; mkdir -p out tree
               ln -s ${top}/secret out/sub; ln -s ${top}/secret/word out/word; ln -s ${top}/secret/word tree/word
               mkfifo fifo; mkdir -p /tmp/out/sub; echo planted > /tmp/out/word; echo planted > /tmp/out/sub/word`,
            ])
            const said = (promise: Promise<unknown>) => promise.then(() => 'done').catch((error) => error.code)
            const { files } = box
            const answers = [
              await said(files.copyOut('/tmp/out/word', `${top}/shared/file`)),
              await said(files.copyOut('/tmp/out/word', `${top}/shared/dir`)),
              await said(files.copyOut('/tmp/out/word', `${top}/shared/dir/word`)),
              await said(files.copyOut('/tmp/out/word', `${top}/shared/fifo`)),
              await said(files.copyOut('/tmp/out', `${top}/shared`)),
              await said(files.copyIn(`${top}/shared/file`, '/tmp/in')),
              await said(files.copyIn(`${top}/shared/dir`, '/tmp/in')),
              await said(files.copyIn(`${top}/shared/dir/word`, '/tmp/in')),
              await said(files.copyIn(`${top}/shared/fifo`, '/tmp/in')),
              await said(files.copyIn(`${top}/shared/tree`, '/tmp/tree')),
              await said(files.copyOut('/tmp/nowhere', `${top}/x`)),
              await said(files.copyOut('/tmp/out/word', `${top}/shared/x`, { limit: 3 })),
            ]
            return [answers, (await files.list('/tmp/tree')).map(({ kind }) => kind), await files.exists('/tmp/in')]
          } finally {
            await box.close()
          }
        },
        top,
      )
      const [answers, kinds, wasRead] = seen as [string[], string[], boolean]
      assert.deepEqual(
        answers.map((one) => one.replace('ENOTDIR', 'ELOOP')),
        ['ELOOP', 'ELOOP', 'ELOOP', 'ENXIO', 'ELOOP', 'ELOOP', 'ELOOP', 'ELOOP', 'EINVAL', 'done', 'ENOENT', 'EFBIG'],
      )
      assert.deepEqual([kinds, wasRead], [['link'], false])
      assert.deepEqual(readdirSync(secret), ['word'])
      assert.equal(readFileSync(join(secret, 'word'), 'utf8'), 'secret')
    })

    test('a file comes out whole or not at all: what was there stays until then, with its mode; what is not whole leaves nothing', async () => {
      const top = hostTree(caller)
      const cache = workDirectory(caller, 'copy-cache')
      const seen = await evaluate(
        caller,
        async ({ sandbox }, top) => {
          const { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } = await import('node:fs')
          const box = await sandbox({ preset: 'system', filesystem: [{ tmpfs: '/tmp' }] }).open()
          const { files } = box
          await files.write('/tmp/t', 'new\n')
          await files.mkdir('/tmp/d')
          for (const name of ['a', 'b', 'c']) await files.write(`/tmp/d/${name}`, name.repeat(5000))
          await box.run('chmod', ['000', '/tmp/d/b'])
          mkdirSync(`${top}/d`)
          for (const name of ['t', 'd/b', 'd/c']) writeFileSync(`${top}/${name}`, 'old\n')
          chmodSync(`${top}/t`, 0o604)
          const before = lstatSync(`${top}/t`).ino
          await files.copyOut('/tmp/t', `${top}/t`)
          const { mode, ino } = lstatSync(`${top}/t`)
          const { files: count, skipped } = await files.copyOut('/tmp/d', top, { limit: '1M' })
          const limited = await files.copyOut('/tmp/d', top, { limit: 12_000 }).catch(({ code }) => code)
          const small = await files.copyOut('/tmp/d', `${top}/small`, { limit: 7_000 }).catch(({ code }) => code)
          await box.close()
          const read = (name: string) => readFileSync(`${top}/${name}`, 'utf8')
          const left = readdirSync(top, { recursive: true }).filter((name) => String(name).includes('.vial'))
          return {
            replaced: [read('t'), mode & 0o777, ino === before],
            tree: [count, skipped, read('d/b'), read('d/c').length, left],
            limits: [typeof limited, small, readdirSync(`${top}/small`).length],
          }
        },
        top,
        { env: { VIAL_CACHE: cache } },
      )
      assert.deepEqual(seen.replaced, ['new\n', 0o604, false])
      assert.deepEqual(seen.tree, [2, [{ path: 'b', why: 'EACCES' }], 'old\n', 5000, []])
      assert.deepEqual(seen.limits, ['object', 'EFBIG', 1])
      assert.deepEqual(readdirSync(join(cache, 'copies')), [])
    })

    test('what a copy that is killed has begun is removed by the next one, or by vial gc; what was there is as it was', async () => {
      const top = hostTree(caller)
      const cache = workDirectory(caller, 'killed-cache')
      const env = { VIAL_CACHE: cache }
      writeFileSync(join(top, 'single'), 'old\n')
      if (process.getuid?.() === 0) spawnSync('chown', [`${caller.uid}:${caller.gid}`, join(top, 'single')])
      const copy: Body<string, void> = async ({ sandbox }, top) => {
        const { default: fs } = await import('node:fs')
        const { syncBuiltinESMExports } = await import('node:module')
        const box = await sandbox({ preset: 'system', filesystem: [{ tmpfs: '/tmp' }] }).open()
        await box.files.mkdir('/tmp/out/below', { recursive: true })
        for (const name of ['single', 'out/below/file']) await box.files.write(`/tmp/${name}`, 'a'.repeat(5000))
        const original = fs.writeFileSync
        // In the midst of a file of the tree, or of the single one.
        fs.writeFileSync = (fd, bytes) => {
          original(fd, (bytes as Buffer).subarray(0, 1000))
          process.kill(process.pid, 'SIGKILL')
        }
        syncBuiltinESMExports()
        await (process.env.TREE
          ? box.files.copyOut('/tmp/out', top)
          : box.files.copyOut('/tmp/single', `${top}/single`))
      }
      const begun = () =>
        readdirSync(top, { recursive: true }).filter((name) => /\.vial-[0-9a-f]{16}$/.test(String(name))).length
      await assert.rejects(evaluate(caller, copy, top, { env }), /SIGKILL/)
      assert.deepEqual([begun(), readFileSync(join(top, 'single'), 'utf8')], [1, 'old\n'])
      await assert.rejects(evaluate(caller, copy, top, { env: { ...env, TREE: '1' } }), /SIGKILL/)
      assert.deepEqual([begun(), readdirSync(join(top, 'out/below')).length], [1, 1])
      const { status, stdout } = vial(caller, ['gc'], { env })
      assert.deepEqual([status, /^removed .*\/out\/below\/\.vial-[0-9a-f]{16}$/m.test(stdout), begun()], [0, true, 0])
      assert.deepEqual(readdirSync(join(cache, 'copies')), [])
    })

    test('vial cp', () => {
      const cwd = hostTree(caller)
      const runtime = workDirectory(caller, 'runtime-cp')
      const call = (...args: string[]) => {
        const { status, stdout, stderr } = vial(caller, args, { env: { XDG_RUNTIME_DIR: runtime }, cwd })
        return [status, stdout, stderr.split('\n').slice(0, 1).join('')]
      }
      after(() => void call('rm', '-f', 'box'))
      assert.equal(call('start', '--name', 'box')[0], 0)
      assert.deepEqual(call('cp', 'tree', 'box:/tmp/tree'), [0, '', ''])
      assert.deepEqual(call('exec', 'box', 'cat', '/tmp/tree/word'), [0, 'from the host\n', ''])
      assert.deepEqual(call('cp', 'box:/tmp/tree', 'out'), [1, '', 'vial: not copied: link: it is a link'])
      assert.ok(existsSync(join(cwd, 'out/sub/big')))
      assert.deepEqual(call('cp', 'box:/tmp/tree/word', 'copy'), [0, '', ''])
      assert.equal(readFileSync(join(cwd, 'copy'), 'utf8'), 'from the host\n')
      const shell = (line: string) => {
        const words = ['-c', line, process.execPath, main]
        const { status, stdout, stderr } = spawnSync('sh', words, {
          encoding: 'utf8',
          cwd,
          env: { PATH: process.env.PATH, XDG_RUNTIME_DIR: runtime, HOME: runtime, LC_ALL: 'C.UTF-8' },
          ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
        })
        return [status, stdout.trim().split('\n').sort().join(' '), stderr]
      }
      assert.deepEqual(shell('"$0" "$1" cp box:/tmp/tree - | tar -tf -'), [
        0,
        'link sub/ sub/big sub/empty/ sub/run word',
        'vial: not copied: \ufffd?A: its name is no UTF-8\n',
      ])
      assert.deepEqual(shell('tar -cf - tree/sub/big | "$0" "$1" cp - box:/tmp/new'), [0, '', ''])
      assert.deepEqual(call('exec', 'box', 'cmp', '/tmp/new/tree/sub/big', '/tmp/tree/sub/big'), [0, '', ''])
      assert.deepEqual(shell('echo text | "$0" "$1" cp - box:/tmp/new')[0], 125)
      const sides = (what: string) =>
        `vial: ${what} of a sandbox: vial cp NAME:INSIDE PATH, or vial cp PATH NAME:INSIDE; PATH may be - for a tar archive`
      assert.deepEqual(call('cp', './box:/tmp', 'copy'), [125, '', sides('neither "./box:/tmp" nor "copy" is')])
      assert.deepEqual(call('cp', 'box:/tmp', 'box:/srv'), [125, '', sides('both "box:/tmp" and "box:/srv" are')])
      assert.equal(call('cp', 'nobox:/tmp', 'x')[0], 125)
      const large = call('cp', '--limit', '1K', 'box:/tmp/tree', 'small')
      assert.deepEqual([large[0], String(large[2]).endsWith('File too large')], [125, true])
    })
  })
