/** A work tree: what commands of a box write lies in a layer over a directory of the host, is compared with it, and committed or dropped. */
import assert from 'node:assert/strict'
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Change, CommitOptions } from '../../src/index.js'
import { HostDirectory } from '../../src/live/hostDirectory.js'
import { applyChanges } from '../../src/live/workCommit.js'
import { HostError } from '../../src/text/error.js'
import { evaluate } from '../support/evaluate.js'
import { type Caller, callers, user, workDirectory } from '../support/user.js'
import { hostTree } from '../support/workTree.js'

interface Asked {
  readonly before: string
  /** On the host, while the box is open. */
  readonly meanwhile?: string
  readonly inside: string
  readonly commits?: readonly CommitOptions[]
}

interface Answer {
  readonly diff: readonly Change[]
  /** Of each commit the paths, or the error. */
  readonly commits: readonly (readonly string[] | { readonly code?: string; readonly message: string })[]
  readonly after: readonly Change[]
}

async function work(caller: Caller, { before, meanwhile = ':', inside, commits = [{}] }: Asked) {
  const place = hostTree(caller, before)
  const answer: Answer = await evaluate(
    caller,
    async ({ sandbox }, { tree, meanwhile, inside, commits }) => {
      const { spawnSync } = await import('node:child_process')
      const box = await sandbox({ preset: 'system' }).open({ work: { path: tree, inside: '/w' } })
      try {
        const { exitCode, stderr } = await box.run('sh', ['-ec', inside], { cwd: '/w' })
        if (exitCode !== 0) throw new Error(stderr)
        spawnSync('sh', ['-ec', meanwhile], { cwd: tree, stdio: 'inherit' })
        const diff = await box.diff()
        const made = []
        for (const options of commits)
          made.push(
            await box.commit(options).then(
              (changes) => changes.map(({ path }) => path),
              ({ code, message }) => ({ code, message }),
            ),
          )
        return { diff, commits: made, after: await box.diff() }
      } finally {
        await box.close()
      }
    },
    { tree: place.tree, meanwhile, inside, commits },
    { env: { VIAL_CACHE: place.cache } },
  )
  assert.deepEqual(readdirSync(join(place.cache, 'layers')), [], 'the layer is gone')
  return { ...place, ...answer }
}

const lines = (changes: readonly Change[]) =>
  changes.map(({ kind, type, path }) => `${{ added: 'A', changed: 'M', removed: 'D' }[kind]} ${type} ${path}`)
const text = (...names: string[]) => readFileSync(join(...names), 'utf8')
const listing = (tree: string) => readdirSync(tree, { recursive: true, encoding: 'utf8' }).sort()

test('a link that takes the place of a directory after the trees were compared leads a commit nowhere', () => {
  const top = realpathSync(workDirectory(user, 'work-exchanged'))
  for (const name of ['host', 'upper/d', 'secret']) mkdirSync(join(top, name), { recursive: true })
  for (const name of ['upper/d/new', 'secret/kept']) writeFileSync(join(top, name), name)
  symlinkSync('../secret', join(top, 'host/d'))
  const change = { path: '', type: 'file', size: 0, mode: 0o644 } as const
  const [host, upper] = ['host', 'upper'].map((name) => HostDirectory.at(join(top, name)))
  const kept = host!.status('d')
  for (const [kind, name] of [
    ['added', 'new'],
    ['removed', 'kept'],
  ] as const) {
    const one = {
      change: { ...change, kind },
      names: [Buffer.from('d'), Buffer.from(name)],
      host: kept,
      isSure: true,
      layer: 0,
    }
    assert.throws(() => applyChanges({ host: host!, uppers: [upper!], overwrites: true, token: '0' }, [one]), HostError)
  }
  for (const directory of [host, upper]) directory!.close()
  assert.deepEqual(readdirSync(join(top, 'secret')), ['kept'])
})

for (const caller of callers)
  describe(`a work tree of ${caller.name}`, () => {
    test('files are added, changed and removed in the layer, and on the host by the commit alone', async () => {
      const { tree, diff, commits, after } = await work(caller, {
        before:
          'echo one > kept; echo two > changed; echo three > removed; mkdir -p d/e; echo > d/e/f; chmod 640 changed; echo > mode; ln -s kept link; echo > touched',
        inside: `echo more > new; echo 22 > changed; rm removed; mkdir -p x/y; echo > x/y/z; ln -sf /etc/passwd link
          chmod 755 mode; chmod 4755 new; touch touched; rm -r d; mkfifo x/fifo; rm x/fifo`,
        commits: [],
      })
      assert.deepEqual(commits, [])
      assert.deepEqual(lines(diff), [
        ...['M file changed', 'D directory d', 'D directory d/e', 'D file d/e/f', 'M link link', 'M file mode'],
        ...['A file new', 'D file removed', 'A directory x', 'A directory x/y', 'A file x/y/z'],
      ])
      assert.deepEqual(
        diff.find(({ path }) => path === 'new'),
        {
          ...{ path: 'new', kind: 'added', type: 'file', size: 5, mode: 0o4755 },
        },
      )
      assert.deepEqual(after, diff)
      assert.equal(text(tree, 'changed'), 'two\n')
      assert.deepEqual(listing(tree).length, 9)
    })

    test('a commit makes the host what the box shows', async () => {
      const { tree, diff, commits, after } = await work(caller, {
        before:
          'echo two > changed; echo three > removed; mkdir -p d/e; echo > d/e/f; chmod 640 changed; echo > mode; ln -s kept link; mkdir closed; echo > closed/a; chmod 555 closed',
        inside: `echo more > new; echo 22 > changed; rm removed; mkdir -p x/y; echo > x/y/z; chmod 555 x/y; ln -sf /etc/passwd link
          chmod 755 mode; chmod 4755 new; rm -r d; touch -d @1000000000 new; chmod 755 closed; rm -r closed`,
      })
      assert.deepEqual(commits, [diff.map(({ path }) => path)])
      assert.deepEqual(after, [])
      assert.deepEqual(listing(tree), ['changed', 'link', 'mode', 'new', 'x', 'x/y', 'x/y/z'])
      assert.deepEqual([text(tree, 'changed'), text(tree, 'new')], ['22\n', 'more\n'])
      assert.equal(readlinkSync(join(tree, 'link')), '/etc/passwd')
      const modes = ['changed', 'mode', 'new', 'x/y'].map((name) =>
        (statSync(join(tree, name)).mode & 0o7777).toString(8),
      )
      assert.deepEqual(modes, ['640', '755', '755', '555'])
      const { uid, mtimeMs } = statSync(join(tree, 'new'))
      assert.deepEqual([uid, mtimeMs], [caller.uid, 1e12])
    })

    test('directories: emptied, made anew, in place of a file, and a file in place of one', async () => {
      const { tree, diff, commits, after } = await work(caller, {
        before:
          'mkdir -p empty anew/deep file dir2; echo > empty/a; echo > anew/old; echo same > anew/same; echo > anew/deep/x; echo > file/in; echo > dir; echo > dir2/z',
        inside: `rm empty/a; rm -r anew; mkdir anew; echo > anew/new; echo same > anew/same; rm -r file; echo now > file; rm dir; mkdir dir; echo > dir/b
          mv dir2 dir3`,
      })
      assert.deepEqual(lines(diff), [
        ...[
          'D directory anew/deep',
          'D file anew/deep/x',
          'A file anew/new',
          'D file anew/old',
          'M directory dir',
          'A file dir/b',
        ],
        ...[
          'D directory dir2',
          'D file dir2/z',
          'A directory dir3',
          'A file dir3/z',
          'D file empty/a',
          'M file file',
          'D file file/in',
        ],
      ])
      assert.deepEqual(commits, [diff.map(({ path }) => path)])
      assert.deepEqual(after, [])
      assert.deepEqual(listing(tree), [
        'anew',
        'anew/new',
        'anew/same',
        'dir',
        'dir/b',
        'dir3',
        'dir3/z',
        'empty',
        'file',
      ])
      assert.equal(text(tree, 'file'), 'now\n')
    })

    test('hostile names are names', async () => {
      const { tree, diff, commits, after } = await work(caller, {
        before: `echo > "$(printf 'gone\\377')"; echo > '-rf'`,
        inside: `echo 1 > "$(printf 'a\\nb')"; echo 2 > "$(printf 'x\\377y')"; echo 3 > ' '; rm ./-rf "$(printf 'gone\\377')"; echo 4 > -n; mkdir '...'; echo > .../a`,
      })
      assert.deepEqual(lines(diff), [
        ...['A file  ', 'A file -n', 'D file -rf', 'A directory ...', 'A file .../a', 'A file a\nb'],
        ...['D file gone\ufffd', 'A file x\ufffdy'],
      ])
      assert.equal((commits[0] as string[]).length, 8)
      assert.deepEqual(after, [])
      const names = readdirSync(tree, { encoding: 'latin1' } as never) as unknown as string[]
      assert.deepEqual(names.sort(), [' ', '-n', '...', 'a\nb', 'x\xffy'])
    })

    test('only: a path, with the directories that it needs; what is no path of the diff is refused', async () => {
      const { tree, commits, after } = await work(caller, {
        before: 'mkdir gone; echo > gone/a; echo > gone/b; echo > c',
        inside: 'mkdir -p p/q; echo > p/q/r; echo > p/other; rm -r gone; echo 1 > c; mkfifo pipe',
        commits: [
          { only: ['p/q/r'] },
          { only: ['gone/a'] },
          { only: ['none'] },
          {},
          { only: ['pipe'] },
          { only: ['gone', 'c', 'p'] },
        ],
      })
      assert.deepEqual(commits[0], ['p', 'p/q', 'p/q/r'])
      assert.deepEqual(commits[1], ['gone/a'])
      assert.match((commits[2] as { message: string }).message, /^only: "none" is no path of the diff/)
      for (const one of [3, 4])
        assert.match(
          (commits[one] as { message: string }).message,
          /directories and links are committed: pipe is a fifo/,
        )
      assert.deepEqual(commits[5], ['c', 'gone', 'gone/b', 'p/other'])
      assert.deepEqual(lines(after), ['A fifo pipe'])
      assert.deepEqual(listing(tree), ['c', 'p', 'p/other', 'p/q', 'p/q/r'])
    })

    test('what was changed on the host meanwhile is a conflict, and nothing is written', async () => {
      const asked = {
        before: 'echo 1 > a; echo 1 > b; echo 1 > c; mkdir d e anew; echo > d/x; echo > anew/old; echo > other',
        inside:
          'echo box > a; echo box > b; echo box > new; rm c; rm -r d; echo box > y; echo box > e/x; rm -r anew; mkdir anew',
        meanwhile:
          'echo host > a; echo host > new; echo host > c; echo host > d/z; echo host > other; echo host > e/y; mkdir m; echo > m/n; echo > anew/late',
      }
      const refused = await work(caller, { ...asked, commits: [{}, { only: ['b', 'y'] }] })
      const { code, message } = refused.commits[0] as { code: string; message: string }
      assert.equal(code, 'ESTALE')
      assert.match(
        message,
        /^changed on the host since the box was opened: a, anew\/late, anew\/old, c, d, d\/z, new\n/,
      )
      assert.deepEqual(refused.commits[1], ['b', 'y'])
      assert.deepEqual(
        ['a', 'b', 'c', 'new', 'd/z', 'y'].map((name) => text(refused.tree, name).trim()),
        ['host', 'box', 'host', 'host', 'host', 'box'],
      )
      const forced = await work(caller, { ...asked, commits: [{ conflict: 'overwrite' }] })
      assert.deepEqual(forced.after, [])
      assert.deepEqual(listing(forced.tree), ['a', 'anew', 'b', 'e', 'e/x', 'e/y', 'm', 'm/n', 'new', 'other', 'y'])
      assert.deepEqual(
        ['a', 'other'].map((name) => text(forced.tree, name)),
        ['box\n', 'host\n'],
      )
    })

    test('a commit writes nowhere else: through no link that took the place of a directory', async () => {
      for (const conflict of ['refuse', 'overwrite'] as const) {
        const { top, tree, diff, commits } = await work(caller, {
          before: 'mkdir -p d ../secret; echo > d/a; echo secret > ../secret/a; echo secret > ../secret/b; echo > f',
          inside: 'echo box > d/a; echo box > d/b; ln -s /etc link; echo box > f',
          meanwhile: 'mv d away; ln -s ../secret d; rm f; ln -s ../secret/a f',
          commits: [{ conflict }],
        })
        assert.deepEqual(lines(diff), ['M directory d', 'A file d/a', 'A file d/b', 'M file f', 'A link link'])
        assert.deepEqual(
          ['a', 'b'].map((name) => text(top, 'secret', name)),
          ['secret\n', 'secret\n'],
        )
        assert.deepEqual(readdirSync(join(top, 'secret')), ['a', 'b'])
        if (conflict === 'refuse') {
          assert.equal((commits[0] as { code: string }).code, 'ESTALE')
          assert.ok(lstatSync(join(tree, 'd')).isSymbolicLink())
        } else {
          assert.ok(lstatSync(join(tree, 'd')).isDirectory())
          assert.deepEqual([text(tree, 'd/a'), text(tree, 'd/b'), text(tree, 'f')], ['box\n', 'box\n', 'box\n'])
        }
      }
    })

    test('closed directories and deep ones do not keep a layer from being removed', async () => {
      const { diff } = await work(caller, {
        before: ':',
        inside: 'mkdir -p shut/in; echo > shut/in/f; chmod 555 shut/in; chmod 555 shut .',
        commits: [],
      })
      assert.equal(diff.length, 3)
      const { tree, cache } = hostTree(caller, ':')
      const said = await evaluate(
        caller,
        async ({ sandbox }, tree) => {
          const box = await sandbox({ preset: 'system' }).open({ work: { path: tree } })
          const script = `p=$(printf 'd/%.0s' $(seq 250)); mkdir -p $p; chmod 0 $p`
          await box.run('sh', ['-c', script], { cwd: tree })
          const said = await box.diff().catch(({ message }) => message)
          await box.close()
          return said
        },
        tree,
        { env: { VIAL_CACHE: cache } },
      )
      assert.match(String(said), /deeper than 200 directories/)
      assert.deepEqual(readdirSync(join(cache, 'layers')), [])
    })

    test('the layer of a process that was killed is removed by the next', async () => {
      const { tree, cache } = hostTree(caller, 'echo > a')
      const env = { VIAL_CACHE: cache }
      const killed = evaluate(
        caller,
        async ({ sandbox }, tree) => {
          const box = await sandbox({ preset: 'system' }).open({ work: { path: tree } })
          await box.run('sh', ['-c', 'echo > b; mkdir c; chmod 0 c'], { cwd: tree })
          process.kill(process.pid, 'SIGKILL')
        },
        tree,
        { env },
      )
      await assert.rejects(killed, /SIGKILL/)
      assert.equal(readdirSync(join(cache, 'layers')).length, 1)
      const left = await evaluate(
        caller,
        async ({ sandbox }, { tree, cache }) => {
          const { readdirSync } = await import('node:fs')
          const box = await sandbox({ preset: 'system' }).open({ work: { path: tree } })
          const left = readdirSync(`${cache}/layers`).length
          await box.close()
          return left
        },
        { tree, cache },
        { env },
      )
      assert.equal(left, 1)
      assert.deepEqual(listing(tree), ['a'])
    })

    test('what cannot be a work tree is refused', async () => {
      const { tree, cache } = hostTree(caller, 'echo > file; ln -s . link')
      symlinkSync('tree', join(tree, '../named'))
      writeFileSync(join(tree, '../file'), '')
      const said = await evaluate(
        caller,
        async ({ sandbox }, tree) => {
          const said = (options: object, policy: object = {}) =>
            sandbox({ preset: 'system', ...policy })
              .open(options)
              .then(
                async (box) => {
                  await box.close()
                  return 'opened'
                },
                ({ stage, message }) =>
                  `${stage}: ${message
                    .split('\n')[0]
                    .replaceAll(tree, 'TREE')
                    .replace(/\/\S*\/work-\d+/, 'TOP')}`,
              )
          const box = await sandbox({ preset: 'system' }).open()
          const all = [
            await said({ work: { path: `${tree}/file` } }),
            await said({ work: { path: `${tree}/none` } }),
            await said({ work: { path: tree, mode: 'copy' } }),
            await said({ work: { path: `${tree}/..` } }),
            await said({ work: { path: tree } }, { namespaces: { user: 'host' } }),
            await said({ work: { path: `${tree}/../named` } }),
            await box.diff().catch(({ stage }) => stage),
          ]
          await box.close()
          return all
        },
        tree,
        { env: { VIAL_CACHE: cache } },
      )
      assert.deepEqual(said, [
        'options: work.path: must be a directory',
        'options: work.path: cannot look at TREE/none: No such file or directory',
        'options: work.mode: is not a known key',
        'host: the layer would lie in TOP itself',
        'options: work: needs a user namespace: not with namespaces.user "host"',
        'opened',
        'options',
      ])
      assert.deepEqual(readdirSync(join(cache, 'layers')), [])
    })
  })
