/** The files of a sandbox that runs, worked on from outside: as its payload's user has them, in every mode; what is refused, and that what works on them ends. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { type Caller, callers, root, workDirectory } from '../support/user.js'

const modes: readonly (readonly [string, Caller, Policy])[] = [
  ...callers.map((caller) => [caller.name, caller, {}] as const),
  ...(process.getuid?.() === 0
    ? [['root mode', root, { namespaces: { user: 'host' as const }, identity: { uid: 1234, gid: 1235 } }] as const]
    : []),
]

for (const [name, caller, base] of modes)
  describe(`files of a sandbox of ${name}`, () => {
    test('are read, written, listed, looked at, renamed, copied and removed, and are the payload’s own', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, base) => {
          const box = await sandbox({ preset: 'system', filesystem: [{ tmpfs: '/tmp' }], ...base }).open()
          try {
            const { files } = box
            const sh = async (script: string) => {
              const { stdout, stderr } = await box.run('sh', ['-c', script])
              return (stdout + stderr).trim()
            }
            const big = Buffer.alloc(3_000_000, 'abcdefg')
            await files.mkdir('/tmp/a/b/c', { recursive: true })
            await files.mkdir('/tmp/a/b/c', { recursive: true })
            await files.write('/tmp/a/text', 'first\n')
            await files.append('/tmp/a/text', 'second\n')
            await files.write('/tmp/a/big', big, { mode: '0600' })
            await files.write('/tmp/a/empty', '')
            await sh('ln -s text /tmp/a/link; umask 0; mkfifo /tmp/a/fifo; echo inside > "/tmp/a/b/with a\nnewline"')
            const seen: Record<string, unknown> = {
              text: await files.read('/tmp/a/text', { encoding: 'utf8' }),
              big: big.equals(await files.read('/tmp/a/big')),
              empty: (await files.read('/tmp/a/empty')).length,
              etc: (await files.read('/bin/sh').catch((error) => error.code)) as unknown,
              behindLink: (await files.read('/bin/cat')).subarray(1, 4).toString(),
              owner: await sh('stat -c "%u %g %a %F" /tmp/a/text /tmp/a/big /tmp/a/b/c; id -u; id -g'),
              list: (await files.list('/tmp/a'))
                .map(({ name, kind, size, target }) => [name, kind, size, target])
                .sort(),
              stat: await files.stat('/tmp/a/big'),
              exists: [
                await files.exists('/tmp/a/link'),
                await files.exists('/tmp/x'),
                await files.exists('/tmp/a/text/x'),
              ],
            }
            await files.rename('/tmp/a/text', '/tmp/a/b/moved')
            await files.copy('/tmp/a/big', '/tmp/a/b/copy')
            seen.moved = await sh('cat /tmp/a/b/moved; cmp /tmp/a/big /tmp/a/b/copy && echo same')
            seen.tree = (await files.tree('/tmp/a'))
              .map(({ name, kind, content }) => [name, kind, content === undefined ? undefined : content.length])
              .sort()
            await files.remove('/tmp/a/link')
            seen.full = await files.remove('/tmp/a').catch((error) => error.code)
            await files.remove('/tmp/a', { recursive: true })
            seen.left = await files.list('/tmp')
            seen.root = (await files.list('/')).some(({ name }) => name === 'tmp')
            return seen
          } finally {
            await box.close()
          }
        },
        base,
      )
      const { modified, ...stat } = seen.stat as { modified: string; [key: string]: unknown }
      assert.ok(Math.abs(Date.parse(modified) - Date.now()) < 600_000)
      const [uid, gid] = base.identity === undefined ? [1000, 1000] : [1234, 1235]
      assert.deepEqual(
        { ...seen, stat },
        {
          text: 'first\nsecond\n',
          big: true,
          empty: 0,
          etc: 'ELOOP',
          behindLink: 'ELF',
          owner: `${uid} ${gid} 644 regular file\n${uid} ${gid} 600 regular file\n${uid} ${gid} 755 directory\n${uid}\n${gid}`,
          list: [
            ['b', 'directory', stat.kind === 'file' ? (seen.list as [string, string, number][])[0]![2] : 0, null],
            ['big', 'file', 3_000_000, null],
            ['empty', 'file', 0, null],
            ['fifo', 'fifo', 0, null],
            ['link', 'link', 4, 'text'],
            ['text', 'file', 13, null],
          ],
          stat: { kind: 'file', mode: 0o600, size: 3_000_000, uid, gid },
          exists: [true, false, false],
          moved: 'first\nsecond\nsame',
          tree: [
            ['b', 'directory', null],
            ['b/c', 'directory', null],
            ['b/copy', 'file', 3_000_000],
            ['b/moved', 'file', 13],
            ['b/with a\nnewline', 'file', 7],
            ['big', 'file', 3_000_000],
            ['empty', 'file', 0],
            ['fifo', 'fifo', null],
            ['link', 'link', null],
          ],
          full: 'ENOTEMPTY',
          left: [],
          root: true,
        },
      )
    })

    test('what cannot be done says why, and what may not be written is not', async () => {
      const top = workDirectory(caller, `files-${name}`)
      mkdirSync(join(top, 'shown'))
      writeFileSync(join(top, 'shown/word'), 'of the host')
      chmodSync(join(top, 'shown'), 0o777)
      chmodSync(join(top, 'shown/word'), 0o666)
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { top, base }) => {
          const filesystem = [
            { proc: '/proc' as const },
            { tmpfs: '/tmp' as const },
            { bind: '/shown', from: `${top}/shown` },
          ]
          const box = await sandbox({ preset: 'system', filesystem, ...base }).open()
          try {
            const { files } = box
            const said = (promise: Promise<unknown>) =>
              promise.then(
                () => 'done',
                (error) => `${error.code ?? error.name}: ${error.message.split('\n')[0]}`,
              )
            await files.write('/tmp/file', 'content')
            await files.mkdir('/tmp/full')
            for (let index = 0; index < 5; index++) await files.write(`/tmp/full/${index}`, '')
            return [
              await said(files.read('/tmp/nowhere')),
              await said(files.read('/tmp')),
              await said(files.read('/tmp/file', { limit: 6 })),
              await said(files.read('/tmp/file', { limit: 7 })),
              await said(files.list('/tmp/full', { entries: 4 })),
              await said(files.list('/tmp/full', { entries: 5 })),
              await said(files.tree('/tmp', { entries: 6 })),
              await said(files.write('/tmp/file', '', { exclusive: true })),
              await said(files.write('/shown/word', '')),
              await said(files.write('/shown/new', '')),
              await said(files.write('/proc/sys/kernel/hostname', 'x')),
              await said(files.mkdir('/tmp/file')),
              await said(files.mkdir('/tmp/file', { recursive: true })),
              await said(files.mkdir('/tmp/x/y')),
              await said(files.remove('/shown/word')),
              await said(files.remove('/', { recursive: true })),
              await said(files.rename('/tmp/file', '/shown/file')),
              await said(files.copy('/tmp/file', '/tmp/file')),
              await said(files.read('relative')),
              await said(files.read('/tmp/../etc/passwd')),
              await said(files.read('/tmp/a\0b')),
              await said(files.read('/tmp/file', { limits: 1 } as never)),
              (await files.read('/tmp/file')).toString(),
            ]
          } finally {
            await box.close()
          }
        },
        { top, base },
      )
      assert.deepEqual(seen, [
        'ENOENT: cannot read /tmp/nowhere: No such file or directory',
        'EISDIR: cannot read /tmp: Is a directory',
        'EFBIG: cannot read /tmp/file: File too large',
        'done',
        'E2BIG: cannot list /tmp/full: Argument list too long',
        'done',
        'E2BIG: cannot read /tmp: Argument list too long',
        'EEXIST: cannot write /tmp/file: File exists',
        'EROFS: cannot write /shown/word: Read-only file system',
        'EROFS: cannot write /shown/new: Read-only file system',
        'EPERM: cannot write /proc/sys/kernel/hostname: Operation not permitted',
        'EEXIST: cannot make /tmp/file: File exists',
        'EEXIST: cannot make /tmp/file: File exists',
        'ENOENT: cannot make /tmp/x/y: No such file or directory',
        'EROFS: cannot remove /shown/word: Read-only file system',
        'OptionError: path: must not be "/": it stays',
        'EXDEV: cannot rename /tmp/file: Invalid cross-device link',
        'EEXIST: cannot copy /tmp/file: File exists',
        'OptionError: path: must be an absolute path inside the sandbox',
        'OptionError: path: must not contain ".."',
        'OptionError: path: has a NUL byte',
        'OptionError: limits: is not a known key (did you mean limit?)',
        'content',
      ])
      assert.deepEqual(readdirSync(join(top, 'shown')), ['word'])
      assert.equal(readFileSync(join(top, 'shown/word'), 'utf8'), 'of the host')
    })

    test('many requests at once are answered each by its own, and the process ends with the box', async () => {
      const [equal, after, children] = await evaluate(
        caller,
        async ({ sandbox }, base) => {
          const box = await sandbox({ preset: 'system', filesystem: [{ tmpfs: '/tmp' }], ...base }).open()
          const names = Array.from({ length: 300 }, (_, index) => `/tmp/${index}`)
          await Promise.all(names.map((name) => box.files.write(name, name.repeat(500))))
          const read = await Promise.all(names.map((name) => box.files.read(name, { encoding: 'utf8' })))
          const { readFileSync } = await import('node:fs')
          const children = () =>
            readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ').length
          const before = children()
          await box.close()
          const after = await box.files.read('/tmp/1').catch((error) => error.message)
          await new Promise((resolve) => setTimeout(resolve, 200))
          return [read.every((text, index) => text === names[index]!.repeat(500)), after, [before, children()]]
        },
        base,
      )
      assert.deepEqual([equal, after], [true, 'the sandbox has ended'])
      assert.ok((children as number[])[0]! >= 2)
    })
  })

test('files of a bind are the caller’s on the host', async () => {
  for (const caller of callers) {
    const top = workDirectory(caller, 'files-bound')
    await evaluate(
      caller,
      async ({ sandbox }, top) => {
        const box = await sandbox({
          preset: 'system',
          filesystem: [{ bind: '/data', from: top, writable: true }],
        }).open()
        try {
          await box.files.write('/data/made', 'inside', { mode: '0640' })
          return null
        } finally {
          await box.close()
        }
      },
      top,
    )
    const { uid, gid, mode } = statSync(join(top, 'made'))
    assert.deepEqual([uid, gid, mode & 0o777], [caller.uid, caller.gid, 0o640])
  }
})
