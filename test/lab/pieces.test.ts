/** The lab's cache, its progress, and qemu's command line. No guest is booted. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { cached, entryName, labCache } from '../../lab/cache.js'
import { kernelsOf } from '../../lab/kernels.js'
import { Progress } from '../../lab/progress.js'
import { commandOf, runGuest, tail } from '../../lab/qemu.js'
import { call } from '../../lab/shell.js'
import { callers, workDirectory } from '../support/user.js'

const directory = workDirectory(callers.at(-1)!, 'lab')

test('the cache is where XDG_CACHE_HOME says', (t) => {
  const before = process.env.XDG_CACHE_HOME
  t.after(() => {
    if (before === undefined) delete process.env.XDG_CACHE_HOME
    else process.env.XDG_CACHE_HOME = before
  })
  process.env.XDG_CACHE_HOME = '/c'
  assert.equal(labCache(), '/c/vial-lab')
  // "All paths set in these environment variables must be absolute": the XDG base directory specification.
  process.env.XDG_CACHE_HOME = 'c'
  assert.match(labCache(), /^\/.*\/\.cache\/vial-lab$/)
})

test('an entry is made once; of other ingredients, anew, in its place; one that fails leaves nothing', async () => {
  let made = 0
  const make = (ingredients: unknown) =>
    cached(
      'thing',
      ingredients,
      async (path) => {
        made++
        writeFileSync(path, 'x')
      },
      join(directory, 'cache'),
    )
  const first = await make({ a: 1 })
  assert.equal(await make({ a: 1 }), first)
  assert.equal(made, 1)
  const second = await make({ a: 2 })
  assert.deepEqual([existsSync(first), existsSync(second), made], [false, true, 2])
  const fails = cached(
    'other',
    1,
    async (path) => {
      writeFileSync(path, 'x')
      throw new Error('no mirror')
    },
    join(directory, 'cache'),
  )
  await assert.rejects(fails, { message: 'no mirror' })
  assert.deepEqual(readdirSync(join(directory, 'cache')), [entryName('thing', { a: 2 })])
})

/** Lines as a file or a pipe gets them. */
function plain(): { progress: Progress; text: () => string } {
  let text = ''
  const out = new Writable({
    write(chunk, _, done) {
      text += chunk
      done()
    },
  })
  return {
    progress: new Progress(false, out as NodeJS.WriteStream),
    text: () => text.replaceAll(/^\[ *\d+ s\] /gm, ''),
  }
}

test('progress without a terminal is plain lines', () => {
  const { progress, text } = plain()
  progress.line('K', { facts: { kernel: '6.0' } })
  progress.line('K', { job: 'one', test: 'a', status: 'passed' })
  progress.line('K', { job: 'one', test: 'b', status: 'failed', why: 'no such thing\nat all' })
  progress.line('K', { job: 'one', end: 'ended', seconds: 3 })
  progress.end()
  assert.equal(text(), 'K: up (6.0)\nK: one: failed: b: no such thing\nK: one: 1 passed, 1 failed, ended after 3 s\n')
})

const guest = {
  architecture: 'x64',
  kernel: '/k',
  initramfs: '/i',
  disks: ['/a', '/b'],
  commandLine: 'lab.init=/x',
  seconds: 1,
  console: join(directory, 'console'),
} as const

test('kernels are chosen by whole words of their names', () => {
  const chosen = (...given: string[]) => kernelsOf(given).map(({ name }) => name)
  assert.deepEqual(chosen('6.1'), ['6.1 x86-64', '6.1 arm64'])
  assert.deepEqual(chosen('6.1 arm64'), ['6.1 arm64'])
  assert.deepEqual(chosen('arm64', '6.12 x86-64'), ['6.12 x86-64', '6.12 arm64', '6.1 arm64'])
  assert.deepEqual(chosen(), chosen('x86-64', 'arm64'))
  assert.deepEqual(chosen('6'), [])
})

test('qemu: no KVM, no network, disks that keep nothing', () => {
  for (const architecture of ['x64', 'arm64'] as const) {
    const [program, args] = commandOf({ ...guest, architecture })
    assert.match(program, /^qemu-system-/)
    const line = args.join(' ')
    assert.match(line, /-accel tcg/)
    assert.match(line, /-nodefaults/)
    assert.doesNotMatch(line, /-net|-nic|kvm/)
    for (const disk of guest.disks) assert.match(line, new RegExp(`file=${disk},format=raw,if=virtio,snapshot=on`))
    assert.match(line, /-append console=tty\w+ .* lab\.init=\/x$/)
  }
})

test('a qemu, or another program, that is not installed: the package that has it', async (t) => {
  const path = process.env.PATH
  t.after(() => {
    process.env.PATH = path
  })
  process.env.PATH = '/nowhere'
  await assert.rejects(
    runGuest(guest, () => {}),
    {
      message: 'the lab needs qemu-system-x86_64: sudo apt-get install qemu-system-x86',
    },
  )
  await assert.rejects(call('no-such-program', []), {
    message: 'the lab needs no-such-program: sudo apt-get install no-such-program',
  })
  await assert.rejects(call('/bin/sh', ['-c', 'echo it is full >&2; exit 3']), {
    message: '/bin/sh failed: it is full',
  })
})

test('of a console the end is told', () => {
  writeFileSync(guest.console, Array.from({ length: 30 }, (_, line) => `${line}`).join('\n'))
  assert.deepEqual(tail(guest.console).split('\n').slice(0, 2), ['10', '11'])
  assert.equal(readFileSync(guest.console, 'utf8').split('\n').length, 30)
})
