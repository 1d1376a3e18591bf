/** What a payload can leave in its layer, and what of that comes to the host: by each way in which a layer is committed. */
import assert from 'node:assert/strict'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { type Caller, callers, vial, workDirectory } from '../support/user.js'
import { hostTree } from '../support/workTree.js'

/** `secret` lies beside the tree, where no payload sees it. */
const before = `mkdir ../secret; echo mine > ../secret/file; echo mine > ../secret/hard
  mkdir d od kept; echo old > d/file; echo old > od/file; echo old > kept/file; echo old > wh
  ln -s ../secret out; ln ../secret/hard hard; echo old > a; chmod 2755 kept; ln -s missing dangling`

/** Each try that the kernel lets through is printed; whatever it says, the host has to be as it should. */
const attack = `
import os, socket, stat
done = []
def attempt(name, *call):
    try:
        call[0](*call[1:])
        done.append(name)
    except OSError:
        pass
def write(path, text='evil'):
    with open(path, 'w') as file: file.write(text)
write('suid'); os.chmod('suid', 0o6755)
write('a'); os.chmod('a', 0o6755)
os.mkdir('bits'); os.chmod('bits', 0o7777); write('bits/in')
os.mkfifo('fifo')
socket.socket(socket.AF_UNIX).bind('sock')
attempt('device', os.mknod, 'null', 0o666 | stat.S_IFCHR, os.makedev(1, 3))
attempt('disk', os.mknod, 'disk', 0o666 | stat.S_IFBLK, os.makedev(8, 0))
attempt('whiteout', os.mknod, 'white', 0o666 | stat.S_IFCHR, 0)
for name in ['.wh.wh', '.wh..wh..opq', 'kept/.wh.file', '.vial-0123456789abcdef-0', '#1']: write(name)
write('noted')
for path in ['od', 'noted', 'kept', 'wh']:
    for space in ['user', 'trusted']:
        for name, value in [('opaque', b'y'), ('opaque', b'x'), ('whiteout', b'y'), ('redirect', b'/secret'), ('metacopy', b''), ('origin', b'\\0' * 29)]:
            attempt(space + '.' + name, os.setxattr, path, space + '.overlay.' + name, value)
attempt('note', os.setxattr, 'noted', 'user.note', b'x')
attempt('capability', os.setxattr, 'noted', 'security.capability', bytes([1, 0, 0, 2, 255, 255, 255, 255]) + bytes(12))
# A link of the host's becomes a directory, and a directory of the host's a link.
os.remove('out'); os.mkdir('out'); write('out/file'); write('out/hard')
os.remove('d/file'); os.rmdir('d'); os.symlink('../secret', 'd')
os.symlink('../secret/file', 'to'); os.symlink('/etc/passwd', 'away')
os.remove('dangling'); write('dangling')
# One of its names lies outside.
write('hard')
os.link('suid', 'other')
print(*sorted(set(done)))
`

interface Door {
  /** Where nothing says what is to be left out. */
  readonly refuses: boolean
  readonly commit: (caller: Caller, tree: string, env: Record<string, string>) => Promise<string>
}

const called = (
  caller: Caller,
  tree: string,
  env: Record<string, string>,
  statuses: readonly number[],
  ...args: string[]
) => {
  const { status, stdout, stderr } = vial(caller, args, { env, cwd: tree })
  assert.ok(statuses.includes(status ?? -1), `${args[0]}: ${status} ${stderr}`)
  return stdout + stderr
}

const doors: Readonly<Record<string, Door>> = {
  'box.commit()': {
    refuses: true,
    commit: async (caller, tree, env) =>
      evaluate(
        caller,
        async ({ sandbox }, { tree, attack }) => {
          const box = await sandbox({ preset: 'system' }).open({ work: { path: tree } })
          const { stderr, exitCode } = await box.run('python3', ['-c', attack], { cwd: tree })
          if (exitCode !== 0) throw new Error(stderr)
          const refused = await box.commit().catch(({ message }) => message)
          const special = ['fifo', 'sock', 'null', 'disk', 'white']
          const only = (await box.diff()).map(({ path }) => path).filter((path) => !special.includes(path))
          await box.commit({ only })
          await box.close()
          return String(refused)
        },
        { tree, attack },
        { env },
      ),
  },
  'vial try': {
    refuses: false,
    commit: async (caller, tree, env) => called(caller, tree, env, [0], 'try', '--yes', '--', 'python3', '-c', attack),
  },
  'vial commit': {
    refuses: false,
    commit: async (caller, tree, env) => {
      const call = (...args: string[]) => called(caller, tree, env, [0, 1], ...args)
      call('start', '--name', 'box', '--work', '.')
      try {
        call('exec', 'box', '--', 'python3', '-c', attack)
        return call('commit', 'box')
      } finally {
        call('rm', '-f', 'box')
      }
    },
  },
}

const xattrs = `
import os, sys
print(*[name for top, below, files in os.walk(sys.argv[1]) for one in [top] + [os.path.join(top, f) for f in files] for name in os.listxattr(one, follow_symlinks=False)])
`

for (const caller of callers)
  describe(`what a payload plants in a layer of ${caller.name}`, { skip: notInstalled('python3') }, () => {
    for (const [name, { refuses, commit }] of Object.entries(doors))
      test(`comes to the host by ${name} without what harms it`, async () => {
        const { top, tree, cache } = hostTree(caller, before)
        const runtime = workDirectory(caller, `planted-${name.replace(/\W/g, '')}`)
        const said = await commit(caller, tree, { XDG_RUNTIME_DIR: runtime, VIAL_CACHE: cache })
        if (refuses)
          assert.match(
            said,
            /^only files, directories and links are committed: (?=.*fifo is a fifo)(?=.*sock is a socket)/,
          )
        else assert.match(said, /^A +fifo +fifo$|fifo is a fifo/m)
        const read = (path: string) => readFileSync(join(top, path), 'utf8')
        const mode = (path: string) => (lstatSync(join(tree, path)).mode & 0o7777).toString(8)
        // Of another type there is nothing.
        const all = readdirSync(tree, { recursive: true, withFileTypes: true })
        assert.deepEqual(
          all.filter((one) => !(one.isFile() || one.isDirectory() || one.isSymbolicLink())).map((one) => one.name),
          [],
        )
        // No bit that is more than a permission comes with it, and none of the host's goes.
        assert.deepEqual(['suid', 'other', 'a', 'bits', 'kept'].map(mode), ['755', '755', '755', '777', '2755'])
        // Names are names.
        for (const one of ['.wh.wh', '.wh..wh..opq', 'kept/.wh.file', '.vial-0123456789abcdef-0', '#1'])
          assert.equal(read(`tree/${one}`), 'evil')
        for (const one of ['kept/file', 'od/file', 'wh']) assert.equal(read(`tree/${one}`), 'old\n')
        // Nothing was written through a link, or to another name of the same file.
        assert.deepEqual(readdirSync(join(top, 'secret')).sort(), ['file', 'hard'])
        assert.deepEqual([read('secret/file'), read('secret/hard')], ['mine\n', 'mine\n'])
        assert.deepEqual([read('tree/hard'), read('tree/out/file'), read('tree/dangling')], ['evil', 'evil', 'evil'])
        assert.deepEqual(
          ['d', 'to', 'away'].map((one) => readlinkSync(join(tree, one))),
          ['../secret', '../secret/file', '/etc/passwd'],
        )
        // Neither attributes nor capabilities of files.
        const { spawnSync } = await import('node:child_process')
        assert.equal(spawnSync('python3', ['-c', xattrs, tree], { encoding: 'utf8' }).stdout, '\n')
        assert.deepEqual(readdirSync(join(cache, 'layers')), [])
      })
  })
