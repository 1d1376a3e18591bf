import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { frontPath } from '../../src/bwrap/frontFile.js'
import { type Caller, callers, ordinary, root } from '../support/user.js'
import { entries, everything, fromCache, front, newDirectory, notCached, runAs } from './tools.js'

const args = [...everything, '/bin/echo', 'ok']
const isRoot = process.getuid?.() === 0

/** A cache with one vial, and the vial's path. */
function filled(caller: Caller, cache = newDirectory(caller)): { cache: string; file: string } {
  assert.equal(front(caller, args, { cache }).stdout, 'ok\n')
  assert.equal(fromCache(caller, args, { cache }).stdout, 'ok\n')
  return { cache, file: join(cache, 'bwrap', entries(cache)[0]!) }
}

/** What is in the cache is not run, and the front works all the same. */
function notUsed(caller: Caller, cache: string, why: string): void {
  assert.equal(fromCache(caller, args, { cache }).status, notCached, why)
  const { stdout, status } = front(caller, args, { cache })
  assert.deepEqual([stdout, status], ['ok\n', 0], why)
}

/** Root of the machine acts as the caller, whose file it then is. */
function own(caller: Caller, path: string): void {
  if (isRoot) chownSync(path, caller.uid, caller.gid)
}

for (const caller of callers) {
  const files: Record<string, (file: string) => void> = {
    'may be written': (file) => chmodSync(file, 0o700),
    'may be read by others': (file) => chmodSync(file, 0o544),
    'is setuid': (file) => chmodSync(file, 0o4500),
    'has another name': (file) => linkSync(file, `${file}.link`),
    'is a symlink': (file) => {
      renameSync(file, `${file}.real`)
      symlinkSync(`${file}.real`, file)
    },
    'is cut short': (file) => {
      chmodSync(file, 0o700)
      truncateSync(file, readFileSync(file).length - 8)
      chmodSync(file, 0o500)
    },
    'is empty': (file) => {
      chmodSync(file, 0o700)
      truncateSync(file, 0)
      chmodSync(file, 0o500)
    },
    'is a directory': (file) => {
      rmSync(file)
      mkdirSync(file, 0o500)
      own(caller, file)
    },
    'is a pipe': (file) => {
      rmSync(file)
      assert.equal(runAs(caller, 'mkfifo', ['-m', '0500', file]).status, 0)
    },
  }
  for (const [what, change] of Object.entries(files))
    test(`${caller.name}: a file that ${what} is not executed`, () => {
      const { cache, file } = filled(caller)
      change(file)
      notUsed(caller, cache, what)
    })

  test(`${caller.name}: a vial under another's name is not executed`, () => {
    const { cache, file } = filled(caller)
    const other = filled(caller, newDirectory(caller))
    // Another's options, made by the same compiler for the same caller.
    front(caller, ['--dev-bind', '/', '/', '/bin/echo', 'ok'], { cache: other.cache })
    const wrong = entries(other.cache).find((name) => !file.endsWith(name))!
    rmSync(file)
    copyFileSync(join(other.cache, 'bwrap', wrong), file)
    own(caller, file)
    notUsed(caller, cache, 'wrong key')
    // And the right one has taken its place.
    assert.equal(fromCache(caller, args, { cache }).stdout, 'ok\n')
  })

  test(`${caller.name}: every byte of the key counts`, () => {
    const { cache, file } = filled(caller)
    const good = readFileSync(file)
    const keyLength = Number(good.readBigUInt64LE(good.length - 8))
    for (let at = good.length - keyLength; at < good.length; at += 5) {
      const bad = Buffer.from(good)
      bad[at]! ^= 1
      rmSync(file)
      writeFileSync(file, bad, { mode: 0o500 })
      own(caller, file)
      assert.equal(fromCache(caller, args, { cache }).status, notCached, `byte ${at}`)
    }
  })

  test(`${caller.name}: directories that others may write to are not used`, () => {
    for (const mode of [0o770, 0o707, 0o777]) {
      const { cache } = filled(caller)
      chmodSync(join(cache, 'bwrap'), mode)
      notUsed(caller, cache, `bwrap ${mode.toString(8)}`)
    }
    // Sticky is enough above, but not for the directory itself.
    const above = newDirectory(caller)
    const { cache } = filled(caller, join(above, 'cache'))
    for (const [mode, used] of [
      [0o777, false],
      [0o1777, true],
    ] as const) {
      chmodSync(above, mode)
      assert.equal(fromCache(caller, args, { cache }).status, used ? 0 : notCached)
    }
    chmodSync(join(cache, 'bwrap'), 0o1777)
    notUsed(caller, cache, 'sticky')
    // Nothing is stored there either.
    rmSync(join(cache, 'bwrap'), { recursive: true })
    mkdirSync(join(cache, 'bwrap'))
    own(caller, join(cache, 'bwrap'))
    chmodSync(join(cache, 'bwrap'), 0o777)
    notUsed(caller, cache, 'empty')
    assert.deepEqual(entries(cache), [])
  })

  test(`${caller.name}: one's own symlink on the way is followed, but not one in place of the directory`, () => {
    const { cache } = filled(caller)
    const elsewhere = join(newDirectory(caller), 'link')
    symlinkSync(cache, elsewhere)
    if (isRoot) assert.equal(runAs(root, 'chown', ['-h', `${caller.uid}:${caller.gid}`, elsewhere]).status, 0)
    assert.equal(fromCache(caller, args, { cache: elsewhere }).stdout, 'ok\n')
    renameSync(join(cache, 'bwrap'), join(cache, 'real'))
    symlinkSync('real', join(cache, 'bwrap'))
    notUsed(caller, cache, 'bwrap is a symlink')
  })

  test(`${caller.name}: a front that is setuid or setgid does nothing`, { skip: !isRoot && 'needs root' }, () => {
    const path = join(newDirectory(caller), 'front')
    copyFileSync(frontPath, path)
    chownSync(path, 54321, 54321)
    for (const mode of [0o4755, 0o2755]) {
      chmodSync(path, mode)
      const { status, stderr } = runAs(caller, path, args)
      assert.equal(status, 1)
      assert.match(stderr, /may not be setuid/)
    }
  })
}

const needsRoot = { skip: !isRoot && 'needs root' }

test('what others own is not used: a directory, a file, a symlink, a directory above', needsRoot, () => {
  const stranger = 54321
  const changes: Record<string, (cache: string, file: string) => void> = {
    directory: (cache) => chownSync(join(cache, 'bwrap'), stranger, stranger),
    'directory above': (cache) => chownSync(cache, stranger, stranger),
    file: (_, file) => chownSync(file, stranger, stranger),
    'file of root': (_, file) => chownSync(file, 0, 0),
    'directory of root': (cache) => chownSync(join(cache, 'bwrap'), 0, 0),
  }
  for (const [what, change] of Object.entries(changes)) {
    const { cache, file } = filled(ordinary)
    change(cache, file)
    chmodSync(cache, 0o755)
    chmodSync(join(cache, 'bwrap'), 0o755)
    notUsed(ordinary, cache, what)
  }
  // A stranger's link can only lead to another directory that stands all the looks: nothing is stored through it.
  const { cache } = filled(ordinary)
  const [link, empty] = [join(newDirectory(ordinary), 'link'), newDirectory(ordinary)]
  symlinkSync(empty, link)
  assert.equal(runAs(root, 'chown', ['-h', `${stranger}`, link]).status, 0)
  notUsed(ordinary, link, "a stranger's symlink")
  assert.deepEqual(readdirSync(empty), [])
  // Root does not use an ordinary user's cache, and the other way round.
  notUsed(root, cache, "a user's cache")
})

test(
  "XDG_CACHE_HOME or HOME of another user: that one's vials are not run, and nothing is written there",
  needsRoot,
  () => {
    const home = newDirectory(root)
    for (const env of [
      { XDG_CACHE_HOME: home, VIAL_CACHE: undefined },
      { HOME: home, VIAL_CACHE: undefined },
    ]) {
      front(root, args, { env })
      const cache = 'HOME' in env ? join(home, '.cache/vial') : join(home, 'vial')
      const stored = entries(cache)
      assert.equal(stored.length, 1)
      // All may look.
      for (const path of [home, join(home, '.cache'), cache, join(cache, 'bwrap')])
        if (existsSync(path)) chmodSync(path, 0o755)
      assert.equal(fromCache(ordinary, args, { env }).status, notCached)
      assert.equal(front(ordinary, args, { env }).stdout, 'ok\n')
      assert.deepEqual(entries(cache), stored)
    }
    // And an ordinary user's is none that root runs.
    const theirs = newDirectory(ordinary)
    const env = { XDG_CACHE_HOME: theirs, VIAL_CACHE: undefined }
    front(ordinary, args, { env })
    assert.equal(front(root, args, { env }).stdout, 'ok\n')
    assert.equal(fromCache(root, args, { env }).status, notCached)
  },
)

test('a full disk: nothing is stored, nothing is left, and all runs', needsRoot, () => {
  const cache = newDirectory(root)
  const script =
    'mount -t tmpfs -o size=4k,mode=700 none "$0" && for i in 1 2; do "$@" || exit; done; find "$0" -type f | wc -l'
  const { stdout, stderr, status } = runAs(root, 'unshare', ['-m', 'sh', '-c', script, cache, frontPath, ...args], {
    cache,
  })
  assert.deepEqual([stdout, stderr, status], ['ok\nok\n0\n', '', 0])
})

test('where the cache cannot execute, memory does; where memory cannot, the cache does', needsRoot, (t) => {
  const cache = newDirectory(root)
  const inNoexec = `mount -t tmpfs -o noexec,mode=700 none "$0" && for i in 1 2; do "$@" || exit; done`
  const shell = (script: string, ...words: string[]) =>
    runAs(root, 'unshare', words.concat('sh', '-c', script, cache, frontPath, ...args), { cache })
  const noexec = shell(inNoexec, '-m')
  assert.deepEqual([noexec.stdout, noexec.status], ['ok\nok\n', 0], noexec.stderr)
  if (!existsSync('/proc/sys/vm/memfd_noexec')) return t.skip('this kernel has no vm.memfd_noexec')
  const sealed = shell(
    `echo 2 > /proc/sys/vm/memfd_noexec && for i in 1 2; do "$@" || exit; done`,
    '-mpf',
    '--mount-proc',
  )
  assert.deepEqual([sealed.stdout, sealed.status], ['ok\nok\n', 0], sealed.stderr)
})
