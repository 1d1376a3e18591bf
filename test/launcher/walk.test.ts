/** What stands in for openat2(2) where it is missing leads where that leads, and nowhere else. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { compile } from '../../src/compile/compile.js'
import { hostArchitecture } from '../../src/host/thisHost.js'
import { type Architecture, architectures } from '../../src/kernel/architecture.js'
import { errno, errnoName } from '../../src/kernel/errno.js'
import { AT, STATX } from '../../src/kernel/flags.js'
import { structs } from '../../src/kernel/structs.js'
import { LauncherContext } from '../../src/launcher/launcherContext.js'
import { howOf, type Links } from '../../src/launcher/resolve.js'
import { walk } from '../../src/launcher/walk.js'
import { assemble } from '../../src/machine/assemble.js'
import { Builder } from '../../src/machine/builder.js'
import type { Program } from '../../src/machine/instruction.js'
import { runner } from '../machine/tools.js'
import { ordinary, root, workDirectory } from '../support/user.js'

const ways: readonly Links[] = ['inside', 'beneath', 'refused']

interface Question {
  readonly path: string
  readonly links: Links
}

/**
 * An executable that answers each question twice, from its working directory: by openat2(2), unless that is left out, and by
 * the walk. An answer is three 64-bit numbers: the result, and the inode and device that it names.
 */
function asker(
  name: string,
  questions: readonly Question[],
  kernelToo: boolean,
  architecture: Architecture = hostArchitecture(),
): string {
  const c = new LauncherContext(compile({}, { architecture }).plan, architecture)
  const { b } = c
  const [here, path, how, next] = b.temporaries(4)
  const answer = b.reserve(24)
  const status = b.reserve(structs.statx.size, 8)
  const { stx_ino, stx_dev_minor } = structs.statx.fields
  const tell = () => {
    const [found, value] = [b.temporary(), b.temporary()]
    b.move(found, c.result)
    b.store(64, answer, 0, found)
    b.store(64, answer, 8, 0)
    b.store(64, answer, 16, 0)
    c.whenFailed(
      () => {},
      () => {
        b.store(64, answer, 0, 0)
        c.must('statx', found, b.text(''), AT.EMPTY_PATH, STATX.INO, status)
        b.load(value, 64, status, stx_ino.offset)
        b.store(64, answer, 8, value)
        b.load(value, 32, status, stx_dev_minor.offset)
        b.store(64, answer, 16, value)
        c.must('close', found)
      },
    )
    c.must('write', 1, answer, 24)
  }
  b.entry(c.stack)
  c.begin({ what: 'ask', why: 'a test' })
  b.move(here, c.must('openat', AT.FDCWD, b.text('.'), c.open.PATH | c.open.CLOEXEC, 0))
  b.move(next, b.table([...questions.flatMap((one) => [b.text(one.path), howOf(c, one.links)]), 0]))
  b.loop(({ leave }) => {
    b.load(path, 32, next)
    b.when(path, 'eq', 0, leave)
    b.load(how, 32, next, 4)
    b.compute(next, next, 'add', 8)
    if (kernelToo) {
      // Where anything was renamed meanwhile, anywhere.
      b.loop(({ leave }) => {
        c.attempt('openat2', here, path, how, structs.open_how.size)
        b.when(c.result, 'ne', -errno.EAGAIN, leave)
      })
      tell()
    }
    walk(c, here, path, how)
    tell()
  })
  // Nothing but these four is open: the walk has closed what it opened.
  c.must('openat', AT.FDCWD, b.text('.'), c.open.PATH | c.open.CLOEXEC, 0)
  b.when(c.result, 'ne', 4, () => c.exit(99))
  c.exit(0)
  c.emitFailure()
  return executable(name, b.finish(), architecture)
}

function executable(name: string, program: Program, architecture = hostArchitecture()): string {
  const file = join(workDirectory(root, 'walk'), name)
  writeFileSync(file, assemble(program, architecture))
  chmodSync(file, 0o755)
  return file
}

/** Root may search any directory. */
const asOrdinary = process.getuid?.() === 0 ? { uid: ordinary.uid, gid: ordinary.gid } : {}

const said = (bytes: Buffer, at: number) => {
  const result = Number(bytes.readBigInt64LE(at))
  return result < 0
    ? String(errnoName(-result))
    : `${bytes.readBigUInt64LE(at + 8)} on ${bytes.readBigUInt64LE(at + 16)}`
}

function ask(name: string, cwd: string, questions: readonly Question[]) {
  const { status, stdout, stderr } = spawnSync(asker(name, questions, true), { cwd, maxBuffer: 2 ** 28, ...asOrdinary })
  assert.deepEqual([status, stderr.toString()], [0, ''])
  assert.equal(stdout.length, 48 * questions.length)
  const answers = questions.map((question, index) => ({
    ...question,
    kernel: said(stdout, 48 * index),
    walk: said(stdout, 48 * index + 24),
  }))
  // The same code for the other machine, whose emulator may have no openat2.
  const [other] = architectures.filter((one) => one !== hostArchitecture())
  const [emulator] = runner(other!) ?? []
  if (emulator !== undefined) {
    const there = asker(`${name}-${other}`, questions, false, other)
    const { stdout } = spawnSync(emulator, [there], { cwd, maxBuffer: 2 ** 28, ...asOrdinary })
    assert.deepEqual(
      questions.map((_, index) => said(stdout, 24 * index)),
      answers.map(({ walk }) => walk),
    )
  }
  return answers
}

/** An executable that moves a directory there and back until it is killed. */
function mover(from: string, to: string): string {
  const b = new Builder()
  const [result, stack] = b.temporaries(2)
  b.entry(stack)
  b.loop(() => {
    b.syscall(result, 'renameat2', AT.FDCWD, b.text(from), AT.FDCWD, b.text(to), 0)
    b.syscall(result, 'renameat2', AT.FDCWD, b.text(to), AT.FDCWD, b.text(from), 0)
  })
  return executable('mover', b.finish())
}

/** Numbers below a bound, the same in each run. https://en.wikipedia.org/wiki/Linear_congruential_generator */
function numbers(seed: number) {
  let state = BigInt(seed)
  return (bound: number) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) % 2n ** 64n
    return Number((state >> 33n) % BigInt(bound))
  }
}

const everyWay = (path: string): Question[] => ways.map((links) => ({ path, links }))

describe('a walk in place of openat2', () => {
  const top = join(workDirectory(root, 'tree'), 'top')
  const names = ['a', 'b', 'c', 'file', 'x', 'y', 'z']
  const directories = [
    '.',
    ...['a', 'b', 'c'].flatMap((one) => [one, ...['a', 'b'].flatMap((two) => [`${one}/${two}`, `${one}/${two}/c`])]),
  ]
  for (const directory of directories) {
    mkdirSync(join(top, directory), { recursive: true })
    writeFileSync(join(top, directory, 'file'), '')
  }
  const random = numbers(1)
  const pick = <Item>(items: readonly Item[]) => items[random(items.length)]!
  const somePath = () => {
    const parts = Array.from({ length: 1 + random(6) }, () => pick([...names, ...names, '..', '..', '.', '']))
    return `${pick(['', '', '', '/'])}${parts.join('/')}${pick(['', '', '', '/'])}` || '.'
  }
  for (const directory of directories)
    for (const name of ['x', 'y', 'z']) symlinkSync(somePath(), join(top, directory, name))
  // A chain as long as may be, and one that is longer.
  mkdirSync(join(top, 'chain'))
  for (let link = 0; link < 42; link++)
    symlinkSync(link === 0 ? '../file' : `${link - 1}`, join(top, 'chain', `${link}`))

  test('leads where it leads, in a tree full of links', () => {
    const paths = Array.from({ length: 4000 }, somePath)
    const answers = ask('random', top, paths.flatMap(everyWay))
    assert.deepEqual(
      answers.filter(({ kernel, walk }) => kernel !== walk),
      [],
    )
    // It is no test if all of them fail.
    const kinds = new Set(answers.map(({ kernel }) => (kernel.includes(' on ') ? 'found' : kernel)))
    assert.deepEqual([...kinds].sort(), ['ELOOP', 'ENOENT', 'ENOTDIR', 'EXDEV', 'found'])
  })

  test('fails as it fails', () => {
    const long = 'n'.repeat(255)
    const paths = [
      'chain/38',
      'chain/39',
      'chain/40',
      'chain/41',
      long,
      `${long}n`,
      `a/${long}n/b`,
      '..',
      '../..',
      '/..',
      '/',
    ]
    for (const { path, links, kernel, walk } of ask('fails', top, paths.flatMap(everyWay)))
      assert.equal(walk, kernel, `${path}, ${links}`)
  })

  test('a directory that may not be searched is not', () => {
    const closed = join(top, 'closed')
    mkdirSync(join(closed, 'below'), { recursive: true })
    chmodSync(closed, 0o600)
    for (const { path, links, kernel, walk } of ask(
      'closed',
      top,
      ['closed/below', 'closed/.', 'closed/..', 'closed'].flatMap(everyWay),
    ))
      assert.equal(walk, kernel, `${path}, ${links}`)
    // Else only root could remove what is in it.
    chmodSync(closed, 0o700)
  })

  test('no magic link is followed, nor any other of proc(5)', () => {
    const magic = ['self/root', 'self/cwd/x', 'self/exe', 'self/fd/0', 'thread-self/root/etc', '1/root']
    const paths = magic.map((path) => `proc/${path}`)
    for (const { path, links, walk } of ask('magic', '/', paths.flatMap(everyWay)))
      assert.equal(walk, 'ELOOP', `${path}, ${links}`)
    const plain = ['proc', 'proc/sys', 'proc/sys/kernel/osrelease', 'proc/1/status', 'etc/hostname', 'nothing/here']
    for (const { path, links, kernel, walk } of ask('plain', '/', plain.flatMap(everyWay)))
      assert.equal(walk, kernel, `${path}, ${links}`)
  })

  test('a directory that is moved away meanwhile leads nowhere else', async () => {
    // in/deep/er is moved in and out of what is walked, which is in: its ".." is then another directory, with a secret.
    const race = join(workDirectory(root, 'race'), 'r')
    mkdirSync(join(race, 'in/deep/er'), { recursive: true })
    mkdirSync(join(race, 'out'))
    writeFileSync(join(race, 'in/secret'), '')
    writeFileSync(join(race, 'secret'), '')
    const own = spawnSync('stat', ['-c', '%i', join(race, 'in/secret')], { encoding: 'utf8' }).stdout.trim()
    const path = `deep/er${'/../er'.repeat(30)}/../../secret`
    const questions = Array.from({ length: 20_000 }, (): Question => ({ path, links: 'inside' }))
    for (const { kernel, walk } of ask('still', join(race, 'in'), questions.slice(0, 1)))
      assert.deepEqual([walk, walk.split(' ')[0]], [kernel, own])
    const moving = spawn(mover(join(race, 'in/deep/er'), join(race, 'out/er')), { stdio: 'ignore' })
    const { stdout } = spawnSync(asker('race', questions, false), { cwd: join(race, 'in'), maxBuffer: 2 ** 28 })
    moving.kill('SIGKILL')
    await once(moving, 'close')
    assert.equal(stdout.length, 24 * questions.length)
    const answers = new Set(questions.map((_, index) => said(stdout, 24 * index).split(' ')[0]))
    answers.delete(own)
    answers.delete('ENOENT')
    assert.deepEqual([...answers], [])
  })
})
