/** Who may lie on the way to the cache: its real way, whatever links lead there. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { openStored } from '../../src/cache/contentVials.js'
import { withName } from '../../src/cache/executable.js'
import { everything, fromCache, front, notCached } from '../front/tools.js'
import { evaluate } from '../support/evaluate.js'
import { notRoot } from '../support/needs.js'
import { saying } from '../support/saying.js'
import { callers, ordinary, type root, vial, workDirectory } from '../support/user.js'

const stranger = 54321

/** What each door says of a cache: the library, `vial run`, and the front, which only runs slower. */
async function doors(caller: typeof root, cache: string) {
  const library = await evaluate(
    caller,
    ({ sandbox }) =>
      sandbox({ filesystem: [{ bind: '/' }] })
        .compile()
        .then(
          () => 'used',
          (error) => error.message as string,
        ),
    null,
    { env: { VIAL_CACHE: cache } },
  )
  const run = vial(caller, ['run', '--', 'true'], { env: { VIAL_CACHE: cache } })
  const words = [...everything, '/bin/true']
  front(caller, words, { cache })
  return {
    library,
    command: run.status === 0 ? 'used' : run.stderr,
    front: fromCache(caller, words, { cache }).status === notCached ? 'not used' : 'used',
  }
}

for (const caller of callers) {
  const own = (path: string) => process.getuid?.() === 0 && lchownSync(path, caller.uid, caller.gid)
  let scenes = 0
  /** `link` leads to `there/inner`, and so the cache, `link/cache`, is `there/inner/cache`; `there` is what a test makes of it. */
  const scene = () => {
    const base = workDirectory(caller, `trust-${scenes++}`)
    const [there, inner] = [join(base, 'there'), join(base, 'there/inner')]
    const [cache, link] = [join(inner, 'cache'), join(base, 'link')]
    mkdirSync(there, { mode: 0o755 })
    mkdirSync(inner, { mode: 0o700 })
    mkdirSync(cache, { mode: 0o700 })
    symlinkSync(inner, link)
    for (const path of [there, inner, cache, link]) own(path)
    return { base, there, cache, link: join(link, 'cache') }
  }

  test(`${caller.name}: a link to a cache is followed where all of the real way is the caller's`, async () => {
    const { link } = scene()
    assert.deepEqual(await doors(caller, link), { library: 'used', command: 'used', front: 'used' })
  })

  test(`${caller.name}: no cache through a link whose target lies in another user's directory`, {
    skip: notRoot,
  }, async () => {
    const { there, cache, link } = scene()
    chownSync(there, stranger, stranger)
    const { library, command, front } = await doors(caller, link)
    for (const message of [library, command])
      assert.match(message, new RegExp(`${there} belongs to another user, uid ${stranger}.*\\n +set VIAL_CACHE to `))
    assert.equal(front, 'not used')
    assert.deepEqual(readdirSync(cache), [])
  })

  test(`${caller.name}: no cache through a second link that lies in another user's directory`, {
    skip: notRoot,
  }, async () => {
    const { base, there } = scene()
    const good = join(base, 'good')
    mkdirSync(good, { mode: 0o700 })
    symlinkSync(good, join(there, 'second'))
    symlinkSync(join(there, 'second'), join(base, 'first'))
    for (const path of [good, join(there, 'second'), join(base, 'first')]) own(path)
    chownSync(there, stranger, stranger)
    const { library, command } = await doors(caller, join(base, 'first/cache'))
    for (const message of [library, command]) assert.match(message, /there belongs to another user/)
    assert.deepEqual(readdirSync(good), [])
  })

  test(`${caller.name}: the front asks the directory that it opened what lies above, not the path`, {
    skip: notRoot,
  }, async () => {
    const { there, cache, link } = scene()
    const words = [...everything, '/bin/true']
    assert.equal(front(caller, words, { cache: link }).status, 0)
    assert.equal(fromCache(caller, words, { cache: link }).status, 0)
    for (const [mode, used] of [
      [0o777, false],
      [0o1777, true],
      [0o775, false],
      [0o755, true],
    ] as const) {
      chmodSync(there, mode)
      assert.equal(fromCache(caller, words, { cache: link }).status === 0, used, mode.toString(8))
    }
    chownSync(there, stranger, stranger)
    assert.equal(fromCache(caller, words, { cache: link }).status, notCached)
    assert.notDeepEqual(readdirSync(cache), [])
  })

  test(`${caller.name}: a directory that a group can write is on the way only if the group is the caller's alone`, {
    skip: notRoot,
  }, async () => {
    const { there, cache } = scene()
    chmodSync(there, 0o775)
    const ask = (passwd: string, group: string) => {
      // Accounts of a mount namespace of its own.
      const script = `mount -t tmpfs none /mnt && cp -a /etc/. /mnt/ && mount --bind /mnt /etc &&
        sed -i '/:${caller.gid}:/d' /etc/group && sed -i '/^[^:]*:[^:]*:${caller.uid}:/d' /etc/passwd &&
        printf '%s' "$PASSWD" >> /etc/passwd && printf '%s' "$GROUP" >> /etc/group &&
        exec setpriv --reuid ${caller.uid} --regid ${caller.gid} --clear-groups "$@"`
      const main = new URL('../../src/cli/main.cjs', import.meta.url).pathname
      const { status, stderr } = spawnSync(
        'unshare',
        ['-m', 'sh', '-c', script, 'sh', process.execPath, main, 'run', '--', 'true'],
        {
          encoding: 'utf8',
          cwd: '/',
          env: { PATH: process.env.PATH, HOME: '/', VIAL_CACHE: cache, PASSWD: passwd, GROUP: group },
        },
      )
      return status === 0 ? 'used' : stderr
    }
    const user = `me:x:${caller.uid}:${caller.gid}::/:/bin/sh\n`
    const refused = new RegExp(
      `the group ${caller.gid}, which is not the caller's alone, can write to ${there}: chmod g-w ${there}`,
    )
    assert.equal(ask(user, `me:x:${caller.gid}:\n`), 'used')
    assert.equal(ask(user, `me:x:${caller.gid}:me\n`), 'used')
    assert.match(ask(user, `me:x:${caller.gid}:me,other\n`), refused)
    assert.match(ask(user, `users:x:${caller.gid}:\n`), refused)
    assert.match(ask(`${user}you:x:60001:${caller.gid}::/:/bin/sh\n`, `me:x:${caller.gid}:\n`), refused)
    assert.match(ask('', ''), refused)
    chownSync(there, caller.uid, stranger)
    chmodSync(there, 0o775)
    assert.match(ask(user, `me:x:${caller.gid}:\n`), /the group 54321, .* chmod g-w/)
  })
}

test('uid 65534 is a user like others, unless a user namespace lacks it', { skip: notRoot }, async () => {
  const base = workDirectory(ordinary, 'overflow')
  const [there, cache] = [join(base, 'there'), join(base, 'there/cache')]
  mkdirSync(there, { mode: 0o755 })
  mkdirSync(cache, { mode: 0o700 })
  chownSync(there, 65534, 65534)
  chownSync(cache, ordinary.uid, ordinary.gid)
  const { library, command, front } = await doors(ordinary, cache)
  for (const message of [library, command]) assert.match(message, /there belongs to another user, uid 65534/)
  assert.equal(front, 'not used')
  // Root outside, and every user that the namespace does not map, is seen as 65534.
  for (const [owner, used] of [
    [0, true],
    [65534, true],
  ] as const) {
    chownSync(there, owner, owner)
    const body = ({ sandbox }: { sandbox: typeof import('../../src/index.js').sandbox }) =>
      sandbox({ filesystem: [{ bind: '/' }] })
        .compile()
        .then(
          () => 'used',
          (error) => error.message as string,
        )
    const wrapper = [
      'setpriv',
      '--reuid',
      `${ordinary.uid}`,
      '--regid',
      `${ordinary.gid}`,
      '--clear-groups',
      'unshare',
      '-Ur',
    ]
    assert.equal((await evaluate(ordinary, body, null, { env: { VIAL_CACHE: cache }, wrapper })) === 'used', used)
  }
})

test('what is executed is the file that was looked at, though its path leads to another by then', async () => {
  const directory = workDirectory(callers.at(-1)!, 'exchanged')
  if (process.getuid?.() === 0) chownSync(directory, 0, 0)
  for (const least of [3, 200]) {
    const file = openStored(saying('good\n'), directory)
    writeFileSync(`${file.path}.evil`, saying('evil\n'), { mode: 0o500 })
    renameSync(`${file.path}.evil`, file.path)
    const run = (name: string) => spawnSync(name, { encoding: 'utf8', stdio: Array(least).fill('pipe') }).stdout
    assert.equal(run(file.path), 'evil\n')
    assert.equal(withName(file, least, run), 'good\n')
  }
  assert.equal(dirname(openStored(saying('good\n'), directory).path), directory)
})
