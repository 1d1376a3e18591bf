/** What the caller is like is not frozen either: each test calls a cached vial in another state, and bwrap in the same. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { frontPath } from '../../src/bwrap/frontFile.js'
import { notInstalled } from '../support/needs.js'
import { type Caller, callers, root } from '../support/user.js'
import { cachedOnlyPath, entries, everything, front, newDirectory, notCached, type Run, runAs } from './tools.js'

const bwrap = ['/usr/bin/bwrap', '/bin/bwrap'].find((path) => existsSync(path))

/** What the shell does before it becomes the front; what the payload says of it. `rootOnly`: needs root's rights. */
const states: Readonly<Record<string, { before: string; says: string; rootOnly?: boolean }>> = {
  umask: { before: 'umask 027', says: 'umask; cd /mnt; echo > file; mkdir directory; stat -c %a file directory' },
  limits: { before: 'ulimit -n 77; ulimit -Sc 0; ulimit -f 100', says: 'ulimit -n; ulimit -Sc; ulimit -f' },
  'ignored signals': { before: "trap '' INT USR1", says: 'grep -E "^Sig(Ign|Blk)" /proc/self/status' },
  niceness: { before: 'renice -n 7 $$ >/dev/null', says: 'nice' },
  TERM: { before: 'export TERM=other LANG=C LC_ALL=C', says: 'echo $TERM $LANG $LC_ALL' },
  HOME: { before: 'export HOME=/usr/lib XDG_CACHE_HOME=/nowhere', says: 'echo $HOME $XDG_CACHE_HOME' },
  PWD: { before: 'cd /bin', says: 'echo $PWD; pwd -P' },
  'a stale PWD': { before: 'cd /bin; export PWD=/etc', says: 'echo $PWD; pwd -P' },
  'a working directory that was removed': {
    before: 'mkdir gone; cd gone; rmdir ../gone; HOME=/usr/lib',
    says: 'echo $PWD; pwd -P',
  },
  'a session of its own': { before: 'wrap="setsid -w"', says: 'sleep 0; (: < /dev/tty) 2>/dev/null; echo $?' },
  'an oom score': { before: 'echo 500 > /proc/self/oom_score_adj', says: 'cat /proc/self/oom_score_adj' },
  no_new_privs: { before: 'wrap="setpriv --no-new-privs"', says: 'grep ^NoNew /proc/self/status' },
  groups: { before: 'wrap="setpriv --groups 4,24"', says: 'id -G', rootOnly: true },
  'fewer capabilities': {
    before: 'wrap="setpriv --bounding-set -chown,-kill --inh-caps -all"',
    says: 'grep ^Cap /proc/self/status',
    rootOnly: true,
  },
  'a user namespace of its own': { before: 'wrap="unshare -r"', says: 'id -u; cat /proc/self/uid_map' },
  'a mount namespace of its own': {
    before: 'wrap="unshare -rm"',
    says: 'id -u',
  },
}

for (const caller of callers) {
  for (const [name, { before, says, rootOnly }] of Object.entries(states)) {
    if (rootOnly && caller !== root) continue
    test(`${caller.name}: ${name}`, (t) => {
      const cache = newDirectory(caller)
      const args = [...everything, '--tmpfs', '/mnt', '/bin/sh', '-c', says]
      assert.equal(front(caller, args, { cache }).status, 0)
      const called = (program: string, options: Run = {}) =>
        runAs(caller, '/bin/bash', ['-c', `${before}\nexec $wrap "$0" "$@"`, program, ...args], {
          cwd: newDirectory(caller),
          cache,
          ...options,
        })
      const ours = called(cachedOnlyPath())
      assert.notEqual(ours.status, notCached, `not from the cache: ${ours.stderr}`)
      assert.equal(entries(cache).length, 1)
      if (bwrap === undefined) return t.skip('not installed: bwrap, to compare with')
      const theirs = called(bwrap)
      assert.deepEqual([ours.status, ours.stdout, ours.stderr], [theirs.status, theirs.stdout, theirs.stderr])
    })
  }

  test(`${caller.name}: a link that is a source leads elsewhere; a directory above a source is another`, () => {
    const [cache, directory] = [newDirectory(caller), newDirectory(caller)]
    for (const name of ['one', 'two']) {
      mkdirSync(join(directory, name))
      writeFileSync(join(directory, name, 'file'), name)
    }
    const link = join(directory, 'link')
    const lead = (to: string) => {
      symlinkSync(to, `${link}.new`)
      renameSync(`${link}.new`, link)
    }
    const args = ['--ro-bind', '/', '/', '--tmpfs', '/mnt', '--ro-bind', link, '/mnt/a']
    const line = [...args, '--ro-bind', `${link}/file`, '/mnt/b', '/bin/cat', '/mnt/a/file', '/mnt/b']
    lead('one')
    assert.equal(front(caller, line, { cache }).stdout, 'oneone')
    lead('two')
    assert.equal(runAs(caller, cachedOnlyPath(), line, { cache }).stdout, 'twotwo')
    renameSync(join(directory, 'one'), join(directory, 'old'))
    renameSync(join(directory, 'two'), join(directory, 'one'))
    lead('one')
    assert.equal(runAs(caller, cachedOnlyPath(), line, { cache }).stdout, 'twotwo')
  })

  test(`${caller.name}: closed standard descriptors`, () => {
    const cache = newDirectory(caller)
    const args = [...everything, '/bin/sh', '-c', 'readlink /proc/$$/fd/0 || echo closed']
    assert.equal(front(caller, args, { cache }).status, 0)
    const closed = runAs(caller, '/bin/bash', ['-c', 'exec "$0" "$@" <&-', cachedOnlyPath(), ...args], { cache })
    assert.equal(closed.stdout, '/dev/null\n')
  })

  test(`${caller.name}: no argument at all, not even a name`, { skip: notInstalled('python3') }, () =>
    emptyArguments(caller),
  )
}

for (const caller of callers) {
  test(`${caller.name}: the usage has the name that the front is called by`, () => {
    const link = join(newDirectory(caller), 'a-name')
    symlinkSync(frontPath, link)
    for (const args of [['--help'], []]) {
      const { stdout, stderr } = runAs(caller, link, args)
      assert.equal((stdout + stderr).split('\n')[0], `usage: ${link} [OPTIONS...] [--] COMMAND [ARGS...]`)
    }
  })
}

/** The kernel gives a program that is executed with no argv an empty name (fs/exec.c), since Linux 5.18. */
function emptyArguments(caller: Caller): void {
  const script =
    'import ctypes, sys\nlibc = ctypes.CDLL(None)\nnone = (ctypes.c_char_p * 1)(None)\nlibc.execve(sys.argv[1].encode(), none, none)'
  const { status, stdout, stderr } = runAs(caller, 'python3', ['-c', script, frontPath])
  assert.deepEqual([status, stdout], [1, ''])
  assert.match(stderr, /^usage: bwrap/)
}
