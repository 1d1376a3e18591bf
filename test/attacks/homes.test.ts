/**
 * Where named sandboxes are kept that another user could have a hand in. A record there is as good as one of the caller's own, and its monitor
 * runs: whatever is called, none is followed, nothing is changed there, and what to do is said.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { as } from '../support/living.js'
import { notRoot } from '../support/needs.js'
import { type Caller, callers, ordinary, vial, workDirectory } from '../support/user.js'

/** Another user, who is in none of the caller's groups. */
const other = ordinary.uid + 1_000_000

interface Form {
  /** Changes what XDG_RUNTIME_DIR leads to, in which `vial/web` lies. */
  readonly forge: (runtime: string) => void
  readonly fault: RegExp
  readonly needsRoot?: true
}

const choose = 'set XDG_RUNTIME_DIR to a directory of yours that no other user can use'
/** Said of the directory, or of what is named in it. */
const foreign = (last: string) =>
  new RegExp(`/${last} belongs to another user, uid ${other}, who could exchange it\n +${choose}\n$`)
const writable = (last: string, mode: string) =>
  new RegExp(`can write to \\S+/${last}: chmod ${mode} \\S+/${last}\n +${choose}\n$`)
const noDirectory = (last: string) => new RegExp(`/${last} is not a directory\n +${choose}\n$`)

/** Puts a link in the place of something. */
const linked = (path: string) => {
  renameSync(path, `${path}-behind`)
  symlinkSync(`${path}-behind`, path)
  return `${path}-behind`
}
const asFile = (path: string) => {
  rmSync(path, { recursive: true })
  writeFileSync(path, '')
}

const forms: Readonly<Record<string, Form>> = {
  "is another user's": { forge: (at) => chownSync(at, other, other), fault: foreign('runtime'), needsRoot: true },
  "is a link to another user's": {
    forge: (at) => chownSync(linked(at), other, other),
    fault: foreign('runtime-behind'),
    needsRoot: true,
  },
  'is a link of another user': {
    forge(at) {
      linked(at)
      lchownSync(at, other, other)
    },
    fault: foreign('runtime'),
    needsRoot: true,
  },
  'a group can write to': {
    forge(at) {
      chownSync(at, lstatSync(at).uid, other)
      chmodSync(at, 0o770)
    },
    fault: writable('runtime', 'g-w'),
    needsRoot: true,
  },
  'all can write to': { forge: (at) => chmodSync(at, 0o777), fault: writable('runtime', 'o-w') },
  'is a file': { forge: asFile, fault: noDirectory('runtime') },
  "has another user's directory in it": {
    forge: (at) => chownSync(join(at, 'vial'), other, other),
    fault: foreign('vial'),
    needsRoot: true,
  },
  "has a link to another user's directory in it": {
    forge: (at) => chownSync(linked(join(at, 'vial')), other, other),
    fault: foreign('vial-behind'),
    needsRoot: true,
  },
  'has another user’s link in it, and all can write to it, as to /tmp': {
    forge(at) {
      linked(join(at, 'vial'))
      lchownSync(join(at, 'vial'), other, other)
      chmodSync(at, 0o1777)
    },
    fault: foreign('vial'),
    needsRoot: true,
  },
  'has a directory in it that a group can write to': {
    forge: (at) => chmodSync(join(at, 'vial'), 0o770),
    fault: writable('vial', '(g-w|go-w)'),
  },
  'has a directory in it that others can look into': {
    forge: (at) => chmodSync(join(at, 'vial'), 0o750),
    fault: /: others can look into (\S+\/vial)\n +chmod 700 \1\n$/,
  },
  'has a link in it that leads in a circle': {
    forge(at) {
      rmSync(join(at, 'vial'), { recursive: true })
      symlinkSync('vial', join(at, 'vial'))
    },
    fault: new RegExp(`/vial is a loop of symbolic links\n +${choose}\n$`),
  },
  'has a file in it': { forge: (at) => asFile(join(at, 'vial')), fault: noDirectory('vial') },
}

const calls = [['ps'], ['start', '--name', 'other'], ['exec', 'web', 'echo', 'followed'], ['rm', '-f', 'web']] as const

for (const caller of callers) describe(`XDG_RUNTIME_DIR of ${caller.name}`, () => kept(caller))

function kept(caller: Caller): void {
  const genuine = workDirectory(caller, 'genuine')
  const call = (runtime: string, ...words: readonly string[]) => {
    const { status, stdout, stderr } = vial(caller, words, { env: { XDG_RUNTIME_DIR: runtime } })
    return { status, out: stdout, err: stderr }
  }
  const attached = (runtime: string) =>
    evaluate(
      caller,
      async ({ Sandbox }) => {
        try {
          return (await (await Sandbox.attach('web')).run('echo', ['followed'])).stdout
        } catch (error) {
          return `${(error as Error).name}: ${(error as Error).message}\n`
        }
      },
      {},
      { env: { XDG_RUNTIME_DIR: runtime } },
    )
  /** The same sandbox, in a directory that is to be changed. */
  function copied(name: string): string {
    const runtime = join(workDirectory(caller, name), 'runtime')
    assert.equal(spawnSync('cp', ['-a', genuine, runtime], { ...as(caller) }).status, 0)
    return runtime
  }
  const treeOf = (runtime: string) =>
    spawnSync('find', [join(runtime, '..'), '-printf', '%P %y %m %U %s %l\n'], { encoding: 'utf8' })
      .stdout.split('\n')
      .sort()

  before(() => assert.equal(call(genuine, 'start', '--name', 'web').status, 0))
  after(() => assert.equal(call(genuine, 'rm', '-f', 'web').status, 0))

  for (const [index, [what, { forge, fault, needsRoot }]] of Object.entries(forms).entries())
    test(`that ${what} is refused`, { skip: needsRoot && notRoot }, async () => {
      const runtime = copied(`forged-${index}`)
      forge(runtime)
      const tree = treeOf(runtime)
      for (const words of calls) {
        const { status, out, err } = call(runtime, ...words)
        assert.deepEqual([status, out], [125, ''], words.join(' '))
        assert.match(err, fault, words.join(' '))
        assert.match(err, /^vial: [^\n]*\n[^\n]*\n$/)
      }
      const said = await attached(runtime)
      assert.match(said, fault)
      assert.match(said, /^HostError: /)
      assert.deepEqual(treeOf(runtime), tree)
    })

  test('that is the caller’s alone is followed: the forged record is good', async () => {
    const runtime = copied('own')
    assert.equal(call(runtime, 'exec', 'web', 'echo', 'followed').out, 'followed\n')
    assert.equal(await attached(runtime), 'followed\n')
  })

  test('that all can write to, as to /tmp, is used where its directory is the caller’s', () => {
    const runtime = copied('sticky')
    chmodSync(runtime, 0o1777)
    assert.equal(call(runtime, 'exec', 'web', 'echo', 'followed').out, 'followed\n')
  })

  test('that a link of the caller’s leads to is used', () => {
    const runtime = copied('linked')
    linked(join(runtime, 'vial'))
    linked(runtime)
    assert.equal(call(runtime, 'exec', 'web', 'echo', 'followed').out, 'followed\n')
  })

  test('that is not there is made, for a start alone, and for nobody else', () => {
    const runtime = join(workDirectory(caller, 'absent'), 'a/b')
    assert.match(call(runtime, 'exec', 'web', 'true').err, /^vial: there is no sandbox "web": there is none at all\n$/)
    assert.deepEqual(readdirSync(workDirectory(caller, 'absent')), [])
    assert.equal(call(runtime, 'start', '--name', 'web').status, 0)
    for (const path of [runtime, join(runtime, 'vial'), join(runtime, 'vial/web')])
      assert.equal(lstatSync(path).mode & 0o777, 0o700, path)
    assert.equal(call(runtime, 'rm', '-f', 'web').status, 0)
  })

  // The standard says so: which directory it would be depends on where the command is called.
  test('that is not absolute is as none', () => {
    const home = workDirectory(caller, 'home')
    mkdirSync(join(home, 'relative/vial'), { recursive: true })
    for (const runtime of ['relative', './relative', '', '~'])
      assert.match(call(runtime, 'exec', 'web', 'echo', 'followed').err, /^vial: there is no sandbox "web"/)
  })
}
