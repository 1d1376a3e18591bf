/** Mounts into a sandbox that runs: what is there then and what may be done with it, what is refused, and that what was added can be taken away. */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { type Caller, callers, root, user, workDirectory } from '../support/user.js'

let trees = 0

/** `tree` with a file and a directory, `file`, and `link` to the tree: of the caller. */
function hostTree(caller: Caller): string {
  const top = workDirectory(caller, `mounted-${++trees}`)
  mkdirSync(join(top, 'tree/sub'), { recursive: true })
  writeFileSync(join(top, 'tree/word'), 'from the host\n')
  writeFileSync(join(top, 'file'), 'a file\n')
  symlinkSync('tree', join(top, 'link'))
  if (process.getuid?.() === 0)
    for (const name of ['tree', 'tree/sub', 'tree/word', 'file']) chownSync(join(top, name), caller.uid, caller.gid)
  return top
}

const modes: readonly (readonly [string, Caller, Policy])[] = [
  ...callers.map((caller) => [caller.name, caller, {}] as const),
  ...(process.getuid?.() === 0 ? [['root mode', root, { namespaces: { user: 'host' as const } }] as const] : []),
]

for (const [name, caller, base] of modes) {
  describe(`mounts into a sandbox of ${name}`, () => {
    test('files and directories, on a tmpfs, a writable and a read-only directory of the host, and below a read-only root', async () => {
      const top = hostTree(caller)
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { top, base }) => {
          const filesystem = [
            { proc: '/proc' },
            { tmpfs: '/tmp', mode: '1777' },
            { bind: '/ro', from: `${top}/tree` },
            { bind: '/rw', from: top, writable: true },
          ]
          const box = await sandbox({ preset: 'system', ...base, filesystem }).open()
          try {
            const sh = async (script: string) => {
              const { stdout, stderr } = await box.run('sh', ['-c', script])
              return (stdout + stderr.replace(/^.*: /gm, '')).trim()
            }
            const seen: unknown[] = []
            const places = ['/tmp/a/b', '/ro/sub', '/rw/made', '/data/below', '/opt']
            for (const place of places)
              seen.push(
                await box.mount(`${top}/tree`, place),
                await sh(`cat ${place}/word; touch ${place}/new`),
                await sh(`grep ' ${place} ' /proc/self/mountinfo | cut -d ' ' -f 6 | cut -d , -f 1-3`),
              )
            seen.push(await box.mount(`${top}/file`, '/tmp/file'), await sh('cat /tmp/file; echo > /tmp/file'))
            seen.push(await box.mount(`${top}/file`, '/below/root/file'))
            return seen
          } finally {
            await box.close()
          }
        },
        { top, base },
      )
      const readOnly = [true, 'from the host\nRead-only file system', 'ro,nosuid,nodev']
      assert.deepEqual(seen, [
        ...Array.from({ length: 5 }, () => readOnly).flat(),
        true,
        'a file\nRead-only file system',
        true,
      ])
      assert.deepEqual(readdirSync(join(top, 'tree')).sort(), ['sub', 'word'])
      assert.ok(existsSync(join(top, 'made')), 'the place was made in what the payload may write')
    })

    test('writable, what the payload writes is on the host; what is mounted beneath comes along, and its devices are none', async () => {
      const top = hostTree(caller)
      const owner = base.namespaces === undefined ? caller : { uid: 65534, gid: 65534 }
      if (process.getuid?.() === 0) chownSync(join(top, 'tree'), owner.uid, owner.gid)
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { top, base }) => {
          const box = await sandbox({
            preset: 'system',
            ...base,
            filesystem: [{ proc: '/proc' }, { tmpfs: '/tmp' }],
          }).open()
          try {
            const sh = async (script: string) => {
              const { stdout, stderr } = await box.run('sh', ['-c', script])
              return (stdout + stderr.replace(/^.*: /gm, '')).trim()
            }
            await box.mount(`${top}/tree`, '/tmp/rw', { writable: true })
            const wrote = await sh('echo inside > /tmp/rw/new; cat /tmp/rw/new')
            await box.mount('/dev', '/media')
            return [
              wrote,
              await sh('echo > /media/null'),
              await sh('grep " /media/pts " /proc/self/mountinfo | cut -d " " -f 6 | cut -d , -f 1-3 | uniq'),
              await sh('umount /media/pts 2>&1 | wc -l; umount /media 2>&1 | wc -l; umount /tmp/rw 2>&1 | wc -l'),
            ]
          } finally {
            await box.close()
          }
        },
        { top, base },
      )
      assert.deepEqual(seen, ['inside', 'Permission denied', 'ro,nosuid,nodev', '1\n1\n1'])
      assert.ok(existsSync(join(top, 'tree/new')))
    })

    test('is taken away again, also where the payload has moved it or is in it; what the policy mounts is not', async () => {
      const top = hostTree(caller)
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { top, base }) => {
          const filesystem = [{ proc: '/proc' }, { tmpfs: '/tmp', mode: '1777' }, { bind: '/ro', from: `${top}/tree` }]
          const box = await sandbox({ preset: 'system', ...base, filesystem }).open()
          try {
            const said = (promise: Promise<unknown>) =>
              promise.catch((error) => [error.name, error.message.split('\n')[0]])
            const mounts = async () => {
              const { stdout } = await box.run('sh', [
                '-c',
                'cut -d " " -f 5 /proc/self/mountinfo | grep -E "^/(tmp|ro|mnt)"',
              ])
              return stdout.trim().split('\n')
            }
            await box.run('mkdir', ['-p', '/tmp/above/place'])
            await box.mount(`${top}/tree`, '/tmp/above/place')
            await box.mount(`${top}/file`, '/tmp/file')
            await box.mount(`${top}/tree`, '/ro')
            await box.mount(`${top}/tree`, '/mnt')
            const inIt = box.spawn('sh', ['-c', 'exec 3< /mnt/word; cd /mnt; echo ready; read line; cat <&3'])
            await new Promise((resolve) => inIt.stdout!.once('data', resolve))
            await box.run('mv', ['/tmp/above', '/tmp/moved'])
            const before = await mounts()
            for (const place of ['/tmp/above/place', '/tmp/file', '/ro', '/mnt']) await box.unmount(place)
            let word = ''
            inIt.stdout!.on('data', (bytes) => {
              word += bytes
            })
            inIt.stdin!.end('\n')
            await inIt.result
            return [
              before,
              await mounts(),
              word,
              await said(box.unmount('/ro')),
              await said(box.unmount('/usr')),
              await said(box.unmount('/mnt')),
            ]
          } finally {
            await box.close()
          }
        },
        { top, base },
      )
      const none = (place: string) => ['OptionError', `nothing was mounted on ${place} while the sandbox ran`]
      assert.deepEqual(seen, [
        ['/tmp', '/ro', '/tmp/moved/place', '/tmp/file', '/ro', '/mnt'],
        ['/tmp', '/ro'],
        'from the host\n',
        none('/ro'),
        none('/usr'),
        none('/mnt'),
      ])
    })

    test('each thing that is refused says what is wrong, and leaves nothing', async () => {
      const top = hostTree(caller)
      const odd = `${top}/with a\nnewline`
      mkdirSync(odd)
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { top, base, odd }) => {
          const filesystem = [{ proc: '/proc' }, { tmpfs: '/tmp', mode: '1777' }, { bind: '/ro', from: `${top}/tree` }]
          const box = await sandbox({ preset: 'system', ...base, filesystem }).open()
          try {
            const sh = (script: string) => box.run('sh', ['-c', script])
            await sh('ln -s /etc /tmp/link; ln -s / /tmp/up; mkfifo /tmp/fifo; mkdir /tmp/directory')
            const table = async () => (await sh('cat /proc/self/mountinfo')).stdout
            const before = await table()
            const said = (...args: Parameters<typeof box.mount>) =>
              box.mount(...args).catch((error) => `${error.code ?? error.name}: ${error.message.split('\n')[0]}`)
            const tree = `${top}/tree`
            const seen = [
              await said(tree, '/'),
              await said(tree, '//./'),
              await said(tree, '/proc'),
              await said(tree, '/proc/sys/kernel'),
              await said(tree, '/dev/shm'),
              await said(tree, '/dev/null'),
              await said(tree, 'relative'),
              await said(tree, '/tmp/../etc'),
              await said(tree, '/tmp/a\0b'),
              await said(tree, '/tmp/link'),
              await said(tree, '/tmp/link/below'),
              await said(tree, '/tmp/up/proc'),
              await said(tree, '/bin/below'),
              await said(tree, '/ro/new'),
              await said(tree, '/ro/word'),
              await said(tree, '/ro/word/below'),
              await said(`${top}/file`, '/tmp/directory'),
              await said(tree, '/tmp/fifo'),
              await said(`${top}/link`, '/tmp/x'),
              await said(`${top}/link/sub`, '/tmp/x'),
              await said(`${top}/nowhere`, '/tmp/x'),
              await said('/proc/self/cwd', '/tmp/x'),
              await said(`${top}/nowhere`, '/tmp/x', { optional: true }),
              await said(tree, '/tmp/x', { writeable: true } as never),
              await said(tree, '/tmp/x', { writable: 1 } as never),
              before === (await table()),
              (await sh('ls -d /tmp/x')).exitCode,
              // Names are no more than names.
              await said(odd, '/tmp/a b\n\\c'),
              (await sh('test -d "/tmp/a b\n\\c"')).exitCode,
              await said(tree, '/tmp/a b\n\\c'),
            ]
            await box.unmount('/tmp/a b\n\\c')
            return [...seen, before === (await table()), (await sh('test -p /tmp/fifo')).exitCode]
          } finally {
            await box.close()
          }
        },
        { top, base, odd },
      )
      const on = (place: string, source = 'tree') => `cannot mount ${top}/${source} on ${place}: `
      const root = 'OptionError: nothing is mounted on "/": it would hide the whole sandbox'
      const kernel = (place: string, what: string) =>
        `OptionError: nothing is mounted on ${place}: ${what} shows the kernel or its devices, and covers what is kept from the payload`
      const loop = (place: string) => `ELOOP: ${on(place)}Too many levels of symbolic links`
      assert.deepEqual(seen, [
        root,
        root,
        kernel('/proc', '/proc'),
        kernel('/proc/sys/kernel', '/proc'),
        kernel('/dev/shm', '/dev'),
        kernel('/dev/null', '/dev'),
        'OptionError: inside: must be an absolute path inside the sandbox',
        'OptionError: inside: must not contain ".."',
        'OptionError: inside: has a NUL byte',
        loop('/tmp/link'),
        loop('/tmp/link/below'),
        loop('/tmp/up/proc'),
        loop('/bin/below'),
        `EROFS: ${on('/ro/new')}Read-only file system`,
        `ENOTDIR: ${on('/ro/word')}Not a directory`,
        `ENOTDIR: ${on('/ro/word/below')}Not a directory`,
        `EISDIR: ${on('/tmp/directory', 'file')}Is a directory`,
        `ENOTDIR: ${on('/tmp/fifo')}Not a directory`,
        `ELOOP: ${on('/tmp/x', 'link')}${top}/link: Too many levels of symbolic links`,
        `ELOOP: ${on('/tmp/x', 'link/sub')}${top}/link/sub: Too many levels of symbolic links`,
        `ENOENT: ${on('/tmp/x', 'nowhere')}${top}/nowhere: No such file or directory`,
        'ELOOP: cannot mount /proc/self/cwd on /tmp/x: /proc/self/cwd: Too many levels of symbolic links',
        false,
        'OptionError: writeable: is not a known key (did you mean writable?)',
        'OptionError: writable: must be true or false, not 1',
        true,
        2,
        true,
        0,
        'OptionError: something was mounted on /tmp/a b?\\c already',
        true,
        0,
      ])
    })

    test('some sandboxes take none: by their policy, without mounts of their own, with CAP_SYS_ADMIN', async () => {
      const top = hostTree(caller)
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { top, base }) => {
          const said = async (policy: object) => {
            const box = await sandbox({ preset: 'system', ...base, ...policy }).open()
            try {
              return await box.mount(`${top}/tree`, '/mnt').catch((error) => error.message)
            } finally {
              await box.close()
            }
          }
          return [
            await said({ mounts: 'changeable' }),
            await said({ mounts: 'fixed' }),
            await said({ preset: 'empty', capabilities: ['CAP_SYS_ADMIN'] }),
          ]
        },
        { top, base },
      )
      assert.deepEqual(seen, [
        true,
        'nothing is mounted into this sandbox: its policy says mounts: "fixed"',
        'nothing is mounted into this sandbox: its payload has CAP_SYS_ADMIN, capabilities, and could make it writable',
      ])
    })

    test('where Landlock would let the payload write nothing, nothing is mounted to be written', async () => {
      const top = hostTree(caller)
      if (process.getuid?.() === 0) chmodSync(join(top, 'tree'), 0o777)
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { top, base }) => {
          const said = async (landlock: 'on' | 'off') => {
            const box = await sandbox({ preset: 'system', ...base, landlock }).open()
            const mounted = await box.mount(`${top}/tree`, '/mnt', { writable: true }).catch((error) => error.message)
            const { exitCode } = await box.run('touch', ['/mnt/new'])
            await box.close()
            return [mounted, exitCode]
          }
          return [await said('off'), await said('on')]
        },
        { top, base },
      )
      assert.deepEqual(seen[0], [true, 0])
      const [mounted, status] = seen[1]!
      if (mounted === true) assert.equal(status, 0)
      else
        assert.equal(
          mounted,
          `${top}/tree cannot be mounted writable on /mnt: Landlock lets the payload write only where its policy does\n      choose a place in what is writable, or start the sandbox with landlock: "off"`,
        )
    })

    test('what the next run trusts does not become writable, nor what is read-only in the policy', async () => {
      const top = hostTree(caller)
      mkdirSync(join(top, 'cache'), { mode: 0o700 })
      if (process.getuid?.() === 0) chownSync(join(top, 'cache'), caller.uid, caller.gid)
      const seen = await evaluate(
        caller,
        async ({ sandbox }, { top, base }) => {
          const filesystem = [{ tmpfs: '/tmp' }, { bind: `${top}/tree/sub` }]
          const box = await sandbox({ preset: 'system', ...base, filesystem }).open()
          try {
            const said = (path: string, writable: boolean) =>
              box.mount(path, '/tmp/mnt', { writable }).catch((error) => error.message)
            return [await said(top, true), await said(`${top}/tree`, true), await said(top, false)]
          } finally {
            await box.close()
          }
        },
        { top, base },
        { env: { VIAL_CACHE: join(top, 'cache') } },
      )
      const other = '\n      mount a directory that does not hold it, or this one read-only'
      assert.deepEqual(seen, [
        `${top} is not mounted writable: it holds ${top}/cache, which the next run trusts${other}`,
        `${top}/tree is not mounted writable: ${top}/tree/sub is read-only in this sandbox, and could be written at /tmp/mnt/sub${other}`,
        true,
      ])
    })
  })
}

test('the caller may mount only what the caller may read, whatever the user namespace of the sandbox gives', async (t) => {
  const caller = user
  if (caller === undefined || caller.uid === 0) return t.skip('needs a caller who is not root')
  const top = hostTree(caller)
  const closed = join(top, 'closed')
  mkdirSync(join(closed, 'below'), { recursive: true })
  if (process.getuid?.() === 0)
    for (const path of [closed, join(closed, 'below')]) chownSync(path, caller.uid, caller.gid)
  chmodSync(closed, 0)
  t.after(() => chmodSync(closed, 0o700))
  const seen = await evaluate(
    caller,
    async ({ sandbox }, top) => {
      const box = await sandbox({ preset: 'system' }).open()
      try {
        const said = (path: string) => box.mount(path, '/mnt').catch((error) => [error.code, error.hint])
        return [await said(`${top}/closed`), await said(`${top}/closed/below`), await said('/root')]
      } finally {
        await box.close()
      }
    },
    top,
  )
  const denied = ['EACCES', 'the caller may not read it, or not search a directory on the way']
  assert.deepEqual(seen, [denied, denied, denied])
})

test('mounts of a sandbox with a name are known to all who attach to it, and gone with it', async () => {
  for (const caller of callers) {
    const top = hostTree(caller)
    const runtime = workDirectory(caller, `runtime-${trees}`)
    chmodSync(runtime, 0o700)
    const seen = await evaluate(
      caller,
      async ({ sandbox, Sandbox }, top) => {
        const policy: Policy = { preset: 'system', filesystem: [{ proc: '/proc' }] }
        const box = await sandbox(policy).open({ name: 'held' })
        await box.mount(`${top}/tree`, '/mnt')
        const other = await Sandbox.attach('held')
        const again = await other.mount(`${top}/tree`, '/mnt').catch((error) => error.message.split('\n')[0])
        await other.mount(`${top}/file`, '/srv/file')
        const inspected = async (one: typeof box) =>
          (await one.inspect()).mounts.flatMap(({ asked }) => (/^added/.test(String(asked)) ? [asked] : []))
        const both = await inspected(box)
        await other.unmount('/mnt')
        const left = await inspected(box)
        await box.close()
        const next = await sandbox(policy).open({ name: 'held' })
        try {
          return [again, both, left, await inspected(next), (await next.inspect()).agreement]
        } finally {
          await next.close()
        }
      },
      top,
      { env: { XDG_RUNTIME_DIR: runtime } },
    )
    const added = (source: string) => `added: ${top}/${source} of the host ro,nosuid,nodev`
    assert.deepEqual(seen, [
      'something was mounted on /mnt already',
      [added('tree'), added('file')],
      [added('file')],
      [],
      'asked',
    ])
  }
})
