/** Files of a sandbox that runs as streams and archives, and what is told of a watched directory; what a payload may do to them. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { callers, workDirectory } from '../support/user.js'

const policy: Policy = { preset: 'system', filesystem: [{ proc: '/proc' }, { tmpfs: '/tmp', size: '64M' }] }

for (const caller of callers)
  describe(`streams of files of a sandbox of ${caller.name}`, () => {
    test('carry what is longer than memory should hold, both ways, while other requests are served', async () => {
      const told = await evaluate(
        caller,
        async ({ sandbox }, policy) => {
          const { createHash } = await import('node:crypto')
          const { default: streams } = await import('node:stream')
          const box = await sandbox(policy).open()
          try {
            const part = Buffer.alloc(1 << 20, 'stream')
            const sent = createHash('sha256')
            await streams.promises.pipeline(
              async function* () {
                for (let count = 0; count < 24; count++) {
                  sent.update(part)
                  yield part
                }
              },
              box.files.createWriteStream('/tmp/big', { mode: 0o600 }),
            )
            await streams.promises.pipeline(
              [Buffer.from('end')],
              box.files.createWriteStream('/tmp/big', { append: true }),
            )
            sent.update('end')
            const reader = box.files.createReadStream('/tmp/big')
            // Nobody reads it yet.
            await new Promise((resolve) => reader.once('readable', resolve))
            const { size, mode } = await box.files.stat('/tmp/big')
            const got = createHash('sha256')
            let most = 0
            for await (const bytes of reader) {
              got.update(bytes)
              most = Math.max(most, reader.readableLength)
            }
            await streams.promises.pipeline([], box.files.createWriteStream('/tmp/empty'))
            return {
              same: sent.digest('hex') === got.digest('hex'),
              size,
              mode,
              isSmall: most < 8 << 20,
              empty: (await box.files.read('/tmp/empty')).length,
            }
          } finally {
            await box.close()
          }
        },
        policy,
      )
      assert.deepEqual(told, { same: true, size: (24 << 20) + 3, mode: 0o600, isSmall: true, empty: 0 })
    })

    test('fail with the code of the kernel, and end when they are destroyed, when nothing comes, or with the sandbox', async () => {
      const told = await evaluate(
        caller,
        async ({ sandbox }, policy) => {
          const { default: streams } = await import('node:stream')
          const box = await sandbox(policy).open()
          const code = (work: Promise<unknown>) =>
            work.then(() => 'none').catch((error) => error.code ?? error.message ?? error.name)
          const read = async (path: string, options = {}) => {
            for await (const _ of box.files.createReadStream(path, options));
          }
          const write = (path: string, parts: Iterable<Buffer> | AsyncIterable<Buffer>, options = {}) =>
            streams.promises.pipeline(parts, box.files.createWriteStream(path, options))
          const endless = function* () {
            for (;;) yield Buffer.alloc(1 << 20)
          }
          const abort = new AbortController()
          const untilAborted = function* () {
            yield Buffer.from('x')
            abort.abort()
            yield* endless()
          }
          await box.run('sh', ['-c', 'umask 0; mkfifo /tmp/fifo; ln -s /etc/passwd /tmp/link; echo 12345 > /tmp/five'])
          const told: Record<string, unknown> = {
            missing: await code(read('/tmp/none')),
            link: await code(read('/tmp/link')),
            fifo: await code(read('/tmp/fifo')),
            long: await code(read('/tmp/five', { limit: 5 })),
            writtenLink: await code(write('/tmp/link', [Buffer.from('x')])),
            isNew: await code(write('/tmp/five', [Buffer.from('x')], { exclusive: true })),
            full: await code(write('/tmp/full', endless())),
            removed: await code(box.files.remove('/tmp/full')),
            aborted: await code(write('/tmp/aborted', untilAborted(), { signal: abort.signal })),
            badSignal: await code(read('/tmp/five', { signal: 'x' })),
          }
          // What has written nothing for a while is not out of time.
          const slow = box.files.createWriteStream('/tmp/slow', { timeout: 200 })
          slow.write('a')
          await new Promise((resolve) => setTimeout(resolve, 500))
          await new Promise<void>((resolve, reject) => slow.on('error', reject).end('b', () => resolve()))
          told.slow = await box.files.read('/tmp/slow', { encoding: 'utf8' })
          const open = box.files.createWriteStream('/tmp/open')
          await new Promise((resolve) => open.write('x', resolve))
          const broken = new Promise((resolve) => open.once('error', (error) => resolve(error.message)))
          await box.close()
          told.ended = await broken
          told.after = await code(read('/tmp/five'))
          return told
        },
        policy,
      )
      assert.deepEqual(told, {
        missing: 'ENOENT',
        link: 'ELOOP',
        fifo: 'EINVAL',
        long: 'EFBIG',
        writtenLink: 'ELOOP',
        isNew: 'EEXIST',
        full: 'ENOSPC',
        removed: 'none',
        aborted: 'ABORT_ERR',
        badSignal: 'signal: must be an AbortSignal',
        slow: 'ab',
        ended: 'the sandbox has ended',
        after: 'the sandbox has ended',
      })
    })

    test('a watch tells what happens, in its order, until its directory is removed', async () => {
      const told = await evaluate(
        caller,
        async ({ sandbox }, policy) => {
          const box = await sandbox(policy).open()
          const said = async (
            watch: AsyncIterable<{ kind: string; name: string }>,
            until: (name: string) => boolean,
          ) => {
            const lines: string[] = []
            for await (const { kind, name } of watch) {
              if (lines.at(-1) !== `${kind} ${name}`) lines.push(`${kind} ${name}`)
              if (until(name)) break
            }
            return lines
          }
          try {
            await box.files.mkdir('/tmp/seen/below', { recursive: true })
            await box.files.write('/tmp/seen/file', '')
            const [whole, one] = [await box.files.watch('/tmp/seen'), await box.files.watch('/tmp/seen/file')]
            await box.run('sh', [
              '-c',
              'cd /tmp/seen; echo a > a; mv a b; rm b; touch below/not; echo x > file; mv file /tmp/away; mkdir end',
            ])
            const told = {
              whole: await said(whole, (name) => name === 'end'),
              one: [] as string[],
              removed: [] as string[],
            }
            told.one = await said(one, (name) => name === 'file')
            const removed = await box.files.watch('/tmp/seen')
            await box.files.remove('/tmp/seen', { recursive: true })
            told.removed = (await said(removed, () => false)).slice(-1)
            const codes = [box.files.watch('/tmp/none'), box.files.watch('/tmp/away', { signal: AbortSignal.abort() })]
            return { ...told, codes: await Promise.all(codes.map((one) => one.catch((error) => error.code))) }
          } finally {
            await box.close()
          }
        },
        policy,
      )
      assert.deepEqual(told, {
        whole: [
          'created a',
          'changed a',
          'removed a',
          'created b',
          'removed b',
          'changed file',
          'removed file',
          'created end',
        ],
        one: ['changed file'],
        removed: ['removed '],
        codes: ['ENOENT', 'ABORT_ERR'],
      })
    })

    test('an archive whose sandbox ends amid a file fails, and no error is left that nobody hears', async () => {
      const told = await evaluate(
        caller,
        async ({ sandbox }, policy) => {
          const box = await sandbox(policy).open()
          await box.run('sh', ['-c', 'mkdir /tmp/t; head -c 40000000 /dev/zero > /tmp/t/a; echo > /tmp/t/b'])
          const unheard: string[] = []
          process.on('uncaughtException', (error) => unheard.push(error.message))
          let bytes = 0
          const failed = await (async () => {
            for await (const piece of box.files.pack('/tmp/t')) {
              if (bytes === 0) box.signal('SIGKILL')
              bytes += piece.length
            }
          })().then(
            () => 'whole',
            (error) => error.name,
          )
          await box.wait()
          await new Promise((resolve) => setTimeout(resolve, 50))
          return [failed, bytes < 40_000_000, unheard]
        },
        policy,
      )
      assert.deepEqual(told, ['HostError', true, []])
    })

    test('archives: a tree comes out as tar reads it, and goes in again; what leads up, is cut, or is no archive, is refused', async () => {
      const top = workDirectory(caller, 'archives')
      const [path, names] = [join(top, 'out.tar'), 'long'.repeat(40)]
      const told = await evaluate(
        caller,
        async ({ sandbox }, { policy, path, names }) => {
          const { default: files } = await import('node:fs')
          const { default: streams } = await import('node:stream')
          const box = await sandbox(policy).open()
          try {
            await box.run('sh', [
              '-c',
              `umask 022; mkdir -p /tmp/t/a/${names}; cd /tmp/t; echo one > a/one; head -c 300000 /dev/zero > big; ln -s ../x a/link; mkfifo fifo
               echo ä > "ä name"; echo deep > a/${names}/${names}; chmod 4755 a/one; : > empty`,
            ])
            const skipped: unknown[] = []
            const packed = box.files.pack('/tmp/t', { skipped: (one) => skipped.push(one) })
            await streams.promises.pipeline(packed, files.createWriteStream(path))
            const again = await box.files.unpack('/tmp/u', files.createReadStream(path))
            // Once more, in place of what is there.
            await box.files.unpack('/tmp/u', files.createReadStream(path))
            const { stdout } = await box.run('sh', [
              '-c',
              'rm /tmp/t/fifo; diff -r --no-dereference /tmp/t /tmp/u 2>&1; stat -c %a /tmp/u/a/one; readlink /tmp/u/a/link',
            ])
            const bytes = files.readFileSync(path)
            const bad = async (archive: Buffer) =>
              box.files.unpack('/tmp/bad', streams.Readable.from([archive])).then(
                () => 'none',
                (error) => error.message,
              )
            const up = Buffer.from(bytes)
            // The name of its first entry, and the sum of the header: tar(5).
            up.fill(0, 0, 100).write('../up', 0)
            up.fill(' ', 148, 156)
            up.write(
              `${up
                .subarray(0, 512)
                .reduce((sum, one) => sum + one, 0)
                .toString(8)
                .padStart(6, '0')}\0 `,
              148,
            )
            return {
              skipped,
              again,
              stdout,
              bad: [await bad(up), await bad(bytes.subarray(0, 150_000)), await bad(Buffer.alloc(2000, 'x'))],
              list: (await box.files.list('/tmp')).map(({ name }) => name).sort(),
            }
          } finally {
            await box.close()
          }
        },
        { policy, path, names },
      )
      const { stdout } = spawnSync('tar', ['tvf', path], {
        encoding: 'utf8',
        env: { LC_ALL: 'C.UTF-8', PATH: '/usr/bin:/bin' },
      })
      const rows = stdout.trim().split('\n')
      assert.deepEqual(
        rows.map((row) => row.replace(/^(\S+).*\d\d:\d\d (.*)$/, '$1 $2')).sort(),
        [
          `-rw-r--r-- a/${names}/${names}`,
          '-rw-r--r-- big',
          '-rw-r--r-- empty',
          '-rw-r--r-- ä name',
          '-rwxr-xr-x a/one',
          'drwxr-xr-x a/',
          `drwxr-xr-x a/${names}/`,
          'lrwxrwxrwx a/link -> ../x',
        ].sort(),
      )
      assert.deepEqual(told, {
        skipped: [{ path: 'fifo', why: 'it is a fifo' }],
        again: { files: 5, directories: 2, bytes: 300_000 + 4 + 3 + 5, skipped: [] },
        stdout: '755\n../x\n',
        bad: [
          'the archive has a name "../up"',
          'cannot unpack it: Unexpected end of data',
          'cannot unpack it: Invalid tar header. Maybe the tar is corrupted or it needs to be gunzipped?',
        ],
        list: ['bad', 't', 'u'],
      })
      assert.deepEqual(readdirSync(top), ['out.tar'])
    })
  })
