/**
 * Payloads against who works on the files of their sandbox from outside: with links, FIFOs, endless and deep things, hostile names, and names
 * that are exchanged all the time.
 *
 * What each is refused by is taken away once, and then it succeeds: weakenedFiles.ts, or, for links to the host, the way through
 * /proc/PID/root by which a program without vial would read them.
 */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { callers, root, workDirectory } from '../support/user.js'

const weakened = new URL('weakenedFiles.js', import.meta.url).href
const policy: Policy = { preset: 'system', filesystem: [{ proc: '/proc' }, { tmpfs: '/tmp' }] }
const skip = notInstalled('python3')

/** A mount of FUSE whose server never answers, not even FUSE_INIT: whatever looks at what is in it waits. fuse.rst of the kernel's documentation. */
const stall = `import ctypes, os, time
os.mkdir("/tmp/stall")
server = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={server},rootmode=40000,user_id=0,group_id=0,allow_other"
if ctypes.CDLL(None, use_errno=True).mount(b"stall", b"/tmp/stall", b"fuse", 0, options.encode()) != 0:
    raise OSError(ctypes.get_errno(), "mount")
print("mounted", flush=True)
time.sleep(600)`
const noFuse =
  process.getuid?.() !== 0 ? 'needs root, for /dev/fuse' : !existsSync('/dev/fuse') && 'this kernel has no /dev/fuse'

test('a filesystem that never answers holds one request for as long as it may take, and nothing else', {
  skip: skip || noFuse,
}, async () => {
  const told = await evaluate(
    root,
    async ({ sandbox }, { policy, stall }) => {
      const box = await sandbox(policy).open()
      const code = (work: Promise<unknown>) => work.then(() => 'none').catch((error) => error.code ?? error.message)
      const payload = box.spawn('sh', ['-c', 'exec python3 -c "$1" 2>&1', 'sh', stall])
      const first = await new Promise((resolve) => payload.stdout!.once('data', resolve))
      const { files } = box
      const read = async () => {
        for await (const _ of files.createReadStream('/tmp/stall/file', { timeout: 300 }));
      }
      const told = [
        String(first),
        await Promise.all([
          code(files.read('/tmp/stall/file', { timeout: 300 })),
          code(read()),
          code(files.watch('/tmp/stall/file', { timeout: 300 })),
          files.write('/tmp/other', 'served').then(
            () => 'none',
            (error) => error.code,
          ),
        ]),
        await code(files.list('/tmp/stall', { timeout: 300 })),
        await files.write('/tmp/other', 'served').then(() => files.read('/tmp/other', { encoding: 'utf8' })),
      ]
      await box.close()
      return told
    },
    {
      policy: {
        preset: 'system',
        filesystem: [
          { proc: '/proc', masked: false },
          { tmpfs: '/tmp' },
          { bind: '/dev/fuse', devices: true, writable: true },
        ],
        identity: { uid: 0, gid: 0 },
        capabilities: ['CAP_SYS_ADMIN'],
        seccomp: 'none',
      } satisfies Policy as Policy,
      stall,
    },
  )
  assert.deepEqual(told, ['mounted\n', ['ETIMEDOUT', 'ETIMEDOUT', 'ETIMEDOUT', 'ETIMEDOUT'], 'ETIMEDOUT', 'served'])
})

for (const caller of callers)
  describe(`attacks on what works on files, by ${caller.name}`, { skip }, () => {
    const top = workDirectory(caller, 'files-attacked')
    const secret = join(top, 'secret')
    writeFileSync(secret, 'secret')

    test('links to the host, and around every corner, lead nowhere', async () => {
      const [answers, naive] = await evaluate(
        caller,
        async ({ sandbox }, { policy, secret }) => {
          const box = await sandbox(policy).open()
          try {
            const links: Record<string, string> = {
              a: secret,
              b: `../../../../../../../..${secret}`,
              c: `/proc/1/root${secret}`,
              d: `/proc/self/root${secret}`,
              e: `/proc/1/cwd${secret}`,
              f: 'f',
              g: '/tmp/h',
              h: '/tmp/g',
            }
            const script = Object.entries(links).map(([name, text]) => `ln -s '${text}' /tmp/${name}`)
            script.push(
              `mkdir /tmp/dir; ln -s '${secret.replace(/\/[^/]*$/, '')}' /tmp/up; ln -s /proc/1/root /tmp/root`,
            )
            await box.run('sh', ['-c', script.join(';')])
            const answers: unknown[] = []
            const paths = [...Object.keys(links).map((name) => `/tmp/${name}`), '/tmp/up/secret', `/tmp/root${secret}`]
            for (const path of paths) {
              const tries = [
                box.files.read(path),
                box.files.write(path, 'written'),
                box.files.list(path),
                box.files.copy(path, '/tmp/dir/copy'),
              ]
              for (const one of tries)
                answers.push(await one.then(() => `${path} succeeds`).catch((error) => error.code))
            }
            const tree = await box.files.tree('/tmp')
            if (tree.some(({ content }) => content?.includes('secret'))) answers.push('the tree has it')
            // Without vial: by way of a process inside.
            const child = box.spawn('sh', ['-c', 'echo ready; read line; # a way'])
            await new Promise((resolve) => child.stdout!.once('data', resolve))
            const { readdirSync, readFileSync } = await import('node:fs')
            const inside = readdirSync('/proc').filter((pid) => {
              try {
                return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(
                  'sh\x00-c\x00echo ready; read line; # a way',
                )
              } catch {
                return false
              }
            })
            const naive = inside.map((pid) => {
              try {
                return readFileSync(`/proc/${pid}/root/tmp/a`, 'utf8')
              } catch (error) {
                return (error as NodeJS.ErrnoException).code
              }
            })
            return [answers, naive] as const
          } finally {
            await box.close()
          }
        },
        { policy, secret },
      )
      assert.deepEqual(
        (answers as string[]).filter((one) => !['ELOOP', 'ENOENT', 'EACCES', 'ENOTDIR', 'EXDEV'].includes(one)),
        [],
      )
      assert.equal(readFileSync(secret, 'utf8'), 'secret')
      assert.ok(naive.includes('secret'), `without it they can be followed: ${naive}`)
    })

    test('a magic link to what a process inside has open is not followed', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { policy, secret, weakened }) => {
          const { weakenedFiles } = await import(weakened)
          const { openSync } = await import('node:fs')
          const box = await sandbox(policy).open()
          try {
            const child = box.spawn('sh', ['-c', 'ln -s /proc/$$/fd/0 /tmp/link; echo ready; exec sleep 600'], {
              stdio: [openSync(secret, 'r'), 'pipe', 'inherit'],
            } as never)
            await new Promise((resolve) => child.stdout!.once('data', resolve))
            const said = (files: typeof box.files) =>
              files.read('/tmp/link', { encoding: 'utf8' }).catch((error) => error.code)
            return [await said(box.files), await said(weakenedFiles(box, policy, 'links'))]
          } finally {
            await box.close()
          }
        },
        { policy, secret, weakened },
      )
      assert.deepEqual(seen, ['ELOOP', 'secret'])
    })

    test('a FIFO holds nobody; where something does, it is killed after a time, and the next request is served', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { policy, weakened }) => {
          const { weakenedFiles } = await import(weakened)
          const box = await sandbox(policy).open()
          try {
            await box.run('sh', ['-c', 'mkdir /tmp/d; mkfifo /tmp/d/fifo; echo > /tmp/file'])
            const said = (promise: Promise<unknown>) => promise.then(() => 'done').catch((error) => error.code)
            const { files } = box
            const weak: typeof files = weakenedFiles(box, policy, 'waits')
            return [
              await said(files.read('/tmp/d/fifo')),
              await said(files.write('/tmp/d/fifo', 'x')),
              await said(files.copy('/tmp/d/fifo', '/tmp/copy')),
              await said(files.copy('/tmp/file', '/tmp/d/fifo')),
              (await files.tree('/tmp/d')).map(({ kind }) => kind),
              await said(files.read('/dev/zero')),
              await said(files.read('/dev/null')),
              await said(weak.read('/tmp/d/fifo', { timeout: 300 })),
            ]
          } finally {
            await box.close()
          }
        },
        { policy, weakened },
      )
      assert.deepEqual(seen, ['EINVAL', 'ENXIO', 'EINVAL', 'ENXIO', ['fifo'], 'EINVAL', 'EINVAL', 'ETIMEDOUT'])
    })

    test('endless, sparse and deep things end at a limit; names of any bytes are names', async () => {
      const make = `
import os
os.chdir('/tmp')
with open('sparse', 'w') as f: f.truncate(1 << 40)
os.makedirs('tree')
for name in (b'\\xff' * 255, b'\\x05\\x01\\x01\\x08', b'a\\nb', b'-rf', b' '): open(b'tree/' + name, 'w').write('x')
os.makedirs('deep'); os.chdir('deep')
for i in range(3000): os.mkdir('d'); os.chdir('d')
`
      const grow = `
import os
with open('/tmp/growing', 'ab', buffering=0) as f:
    f.write(b'x' * 100); print('ready', flush=True)
    while os.fstat(f.fileno()).st_size < 1 << 26: f.write(b'x' * 65536)
`
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { policy, make, grow }) => {
          const box = await sandbox(policy).open()
          try {
            const { stderr } = await box.run('python3', ['-c', make])
            if (stderr !== '') return [stderr]
            const growing = box.spawn('python3', ['-c', grow])
            await new Promise((resolve) => growing.stdout!.once('data', resolve))
            const said = (promise: Promise<unknown>) => promise.then(() => 'done').catch((error) => error.code)
            const { files } = box
            const deep = await files.tree('/tmp/deep')
            return [
              await said(files.read('/tmp/sparse', { limit: '1M' })),
              await said(files.copy('/tmp/sparse', '/tmp/copy', { limit: '1M' })),
              await said(files.tree('/tmp', { limit: '1M' })),
              await said(files.read('/tmp/growing', { limit: 99 })),
              deep.length,
              deep.filter(({ fault }) => fault !== undefined).map(({ fault }) => fault),
              await said(files.remove('/tmp/deep', { recursive: true })),
              (await files.list('/tmp/tree')).map(({ name }) => name.length).sort((a, b) => a - b),
              (await files.tree('/tmp/tree')).map(({ content }) => content!.toString()).join(''),
              await said(files.remove('/tmp/tree', { recursive: true })),
              await files.exists('/tmp/tree'),
            ]
          } finally {
            await box.close()
          }
        },
        { policy, make, grow },
      )
      assert.deepEqual(seen, [
        'EFBIG',
        'EFBIG',
        'EFBIG',
        'EFBIG',
        200,
        ['ELOOP'],
        'ELOOP',
        [1, 3, 3, 4, 255],
        'xxxxx',
        'done',
        false,
      ])
    })

    test('what is read and removed is what lies there, however often a directory is exchanged for a link', async (t) => {
      const precious = join(top, 'precious')
      mkdirSync(precious)
      for (const name of ['a', 'b']) writeFileSync(join(precious, name), 'precious')
      // So the payload, and whoever follows its links, may remove them.
      chmodSync(precious, 0o777)
      const exchange = `import ctypes, os
os.chdir('/tmp'); libc = ctypes.CDLL(None); print('ready', flush=True)
while True:
    if libc.renameat2(-100, b'tree/x', -100, b'link', 2) != 0:
        try: os.symlink('/precious', 'link')
        except OSError:
            try: os.rmdir('link')
            except OSError: pass`
      const [counts, reached, weak] = await evaluate(
        caller,
        async ({ sandbox }, { policy, precious, exchange, weakened }) => {
          const { weakenedFiles } = await import(weakened)
          const bound = {
            ...policy,
            filesystem: [...policy.filesystem!, { bind: '/precious', from: precious, writable: true as const }],
          }
          const box = await sandbox(bound).open()
          try {
            const racer = box.spawn('python3', ['-c', exchange])
            await new Promise((resolve) => racer.stdout!.once('data', resolve))
            const make = async () => {
              await box.files.mkdir('/tmp/tree/x', { recursive: true }).catch(() => {})
              // It is read among many: so there is time between its name and its opening.
              for (let index = 0; index < 80; index++) await box.files.write(`/tmp/tree/${index}`, '').catch(() => {})
            }
            await make()
            const reads = async (files: typeof box.files, rounds: number) => {
              for (let round = 0; round < rounds; round++) {
                const tree = await files.tree('/tmp/tree')
                if (tree.some(({ content }) => content?.includes('precious'))) return true
              }
              return false
            }
            const [reached, weak] = [await reads(box.files, 300), await reads(weakenedFiles(box, bound, 'links'), 3000)]
            const counts: Record<string, number> = {}
            for (let round = 0; round < 100; round++) {
              const outcome = await box.files
                .remove('/tmp/tree', { recursive: true })
                .then(() => 'removed')
                .catch((error) => error.code)
              counts[outcome] = (counts[outcome] ?? 0) + 1
              await make()
            }
            return [counts, reached, weak] as const
          } finally {
            await box.close()
          }
        },
        { policy, precious, exchange, weakened },
      )
      t.diagnostic(JSON.stringify(counts))
      assert.deepEqual([reached, weak], [false, true])
      assert.deepEqual(readdirSync(precious).sort(), ['a', 'b'])
    })
  })
