/** Records of named sandboxes: who has a name, in which state it is, and what lies there that was not written by vial. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { record } from '../../src/launcher/record.js'
import { findSandbox, removeIf } from '../../src/live/findSandbox.js'
import { fateOf, identityOf, identityText, parseIdentity } from '../../src/live/processes.js'
import { type Reservation, reserve } from '../../src/live/records.js'
import { tellsRunning } from '../../src/run/status.js'
import { printable } from '../../src/text/printable.js'
import { notRoot } from '../support/needs.js'
import { about, close, edit, endedRecord, ownHome, standIn } from './scene.js'

const stateOf = (home: string, name: string) => findSandbox(home, name)?.state

/** A process that has ended, in a form that is never used again. */
const dead = () => ({ ...identityOf(process.pid)!, start: '1' })

function running(t: TestContext, name = 'web') {
  const home = ownHome(t)
  const monitor = standIn(t)
  const reserved = reserve(name)
  t.after(() => close(reserved))
  reserved.commit(about(monitor.pid))
  return { home, monitor, reserved, directory: join(home, name) }
}

async function ended(reserved: Reservation, monitor: ReturnType<typeof standIn>, status: number): Promise<void> {
  writeSync(reserved.status, endedRecord(status))
  await killed(monitor)
}

async function killed(monitor: ReturnType<typeof standIn>): Promise<void> {
  monitor.kill('SIGKILL')
  await once(monitor, 'exit')
}

test('a process is known by its start and its boot, and not from another view', () => {
  const self = identityOf(process.pid)!
  assert.deepEqual(parseIdentity(identityText(self)), self)
  assert.doesNotMatch(identityText(self), /[/\s]/)
  assert.equal(fateOf(self), 'alive')
  assert.equal(fateOf({ ...self, start: '1' }), 'dead')
  assert.equal(fateOf({ ...self, pid: 2 ** 22 + 1 }), 'dead')
  assert.equal(fateOf({ ...self, boot: self.boot.replace(/./, '-') }), 'dead')
  assert.equal(fateOf({ ...self, view: '1.1' }), 'unknown')
  assert.equal(fateOf({ ...self, view: '1.1', boot: 'a' }), 'dead')
  for (const text of ['', 'x', '1:2:3.4', `${identityText(self)}:5`, `${identityText(self)}\n`])
    assert.equal(parseIdentity(text), undefined, text)
})

test('a name is starting, running and ended, and then free for the next', async (t) => {
  const home = ownHome(t)
  const monitor = standIn(t)
  const reserved = reserve('web')
  assert.equal(stateOf(home, 'web'), 'starting')
  assert.throws(() => reserve('web'), /^HostError: the name "web" is in use: a sandbox of that name is being started\n/)
  reserved.commit(about(monitor.pid))
  const found = findSandbox(home, 'web')
  assert.ok(found?.state === 'running')
  const { pid, start, boot, view } = identityOf(monitor.pid)!
  const { created, ...record } = found.record
  assert.deepEqual(record, { version: 1, name: 'web', ...about(pid), monitor: { pid, start }, boot, view })
  assert.ok(Math.abs(Date.parse(created) - Date.now()) < 60_000)
  assert.throws(
    () => reserve('web'),
    /a sandbox of that name runs\n +choose another name, or end it: vial stop --rm web$/,
  )
  await ended(reserved, monitor, 3 << 8)
  const after = findSandbox(home, 'web')
  assert.ok(after?.state === 'ended')
  assert.equal(after.outcome.payload, 3 << 8)
  close(reserved)
  const next = reserve('web')
  assert.equal(stateOf(home, 'web'), 'starting')
  next.abandon()
  close(next)
  assert.deepEqual(readdirSync(home), [])
})

test('a sandbox runs when its monitor and its init have said so, in any order', () => {
  const kinds = (...all: number[]) =>
    Buffer.concat(
      all.map((kind) => {
        const bytes = Buffer.alloc(record.size)
        bytes.writeBigUInt64LE(BigInt(kind))
        return bytes
      }),
    )
  const { started, running, failed } = record
  assert.ok(tellsRunning(kinds(started, running)) && tellsRunning(kinds(running, started)))
  for (const some of [[], [started], [running], [started, running, failed]]) assert.ok(!tellsRunning(kinds(...some)))
})

test('all of it is for this user only', (t) => {
  const { home, directory } = running(t)
  for (const path of [home, directory, ...readdirSync(directory).map((name) => join(directory, name))])
    assert.equal(lstatSync(path).mode & 0o077, 0, path)
})

test('what has ended before its record is written is found by its name, with how it ended', async (t) => {
  const home = ownHome(t)
  const monitor = standIn(t)
  const reserved = reserve('web')
  const record = about(monitor.pid)
  await ended(reserved, monitor, 3 << 8)
  reserved.commit(record)
  const found = findSandbox(home, 'web')
  assert.ok(found?.state === 'ended')
  assert.equal(found.outcome.payload, 3 << 8)
  close(reserved)
})

test('what is committed is not abandoned', (t) => {
  const { home, reserved } = running(t)
  reserved.abandon()
  assert.equal(stateOf(home, 'web'), 'running')
})

test('names', (t) => {
  const home = ownHome(t)
  const wrong = [
    '',
    '.',
    '..',
    '.a',
    '-a',
    '--',
    'a/b',
    '/a',
    '../a',
    'a\n',
    'a\0',
    '\x1b[2J',
    'ä',
    'a b',
    'a'.repeat(65),
  ]
  for (const name of wrong)
    assert.throws(
      () => reserve(name),
      (error: Error) =>
        error.name === 'OptionError' &&
        /cannot be the name of a sandbox/.test(error.message) &&
        error.message.split('\n').every((line) => line === printable(line)),
      JSON.stringify(name),
    )
  assert.deepEqual(readdirSync(home), [])
  for (const name of ['a', 'A.b_c-d', '_', '0', 'a'.repeat(64)]) {
    const reserved = reserve(name)
    reserved.abandon()
    close(reserved)
  }
})

test('of many processes that want one name at once, one gets it; and the name of one that has ended', async (t) => {
  const home = ownHome(t)
  const gate = join(home, '../gate')
  const script = `
    const { existsSync } = await import('node:fs')
    const { reserve } = await import(${JSON.stringify(new URL('../../src/live/records.js', import.meta.url).href)})
    process.stdout.write('ready\\n')
    while (!existsSync(${JSON.stringify(gate)})) {}
    try { reserve('web'); console.log('got it'); process.stdin.once('end', () => {}).resume() } catch (error) { console.log(error.message.split('\\n')[0]) }`
  for (const state of ['free', 'ended']) {
    rmSync(gate, { force: true })
    if (state === 'ended') {
      // The winner of the first round is left as one whose sandbox has ended.
      const monitor = standIn(t)
      const reserved = reserve('web')
      reserved.commit(about(monitor.pid))
      await ended(reserved, monitor, 0)
      close(reserved)
    }
    const all = Array.from({ length: 12 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] }),
    )
    const said = all.map((child) => {
      let text = ''
      child.stdout.on('data', (chunk) => (text += chunk))
      return () => text
    })
    const lines = async (count: number) => {
      for (const [index, child] of all.entries())
        while (said[index]!().split('\n').length <= count) await once(child.stdout, 'data')
    }
    await lines(1)
    writeFileSync(gate, '')
    await lines(2)
    const answers = said.map((text) => text().split('\n')[1])
    assert.equal(answers.filter((answer) => answer === 'got it').length, 1, String(answers))
    assert.equal(
      answers.filter((answer) => answer === 'the name "web" is in use: a sandbox of that name is being started').length,
      11,
      String(answers),
    )
    assert.deepEqual(readdirSync(home), ['web'])
    for (const child of all) child.stdin.end()
    await Promise.all(all.map((child) => child.exitCode ?? once(child, 'exit')))
    // Its maker is gone.
    assert.equal(stateOf(home, 'web'), 'lost')
  }
})

test('a pid that was used again is not the monitor, nor is that of another boot', async (t) => {
  const { home, directory, reserved } = running(t)
  const real = readFileSync(join(directory, 'record.json'))
  edit(directory, (record) => ({ ...record, monitor: { ...(record.monitor as object), start: '1' } }))
  assert.equal(stateOf(home, 'web'), 'lost')
  writeFileSync(join(directory, 'record.json'), real)
  assert.equal(stateOf(home, 'web'), 'running')
  edit(directory, (record) => ({ ...record, boot: '00000000-0000-0000-0000-000000000000' }))
  assert.equal(stateOf(home, 'web'), 'lost')
  // What had ended before the boot, had ended.
  writeSync(reserved.status, endedRecord(0))
  assert.equal(stateOf(home, 'web'), 'ended')
})

test('what runs in another pid or time namespace is not taken for dead', (t) => {
  const { home, directory } = running(t)
  edit(directory, (record) => ({ ...record, view: '1.1' }))
  assert.equal(stateOf(home, 'web'), 'elsewhere')
  assert.throws(() => reserve('web'), /is in use: its sandbox was started in another container or pid namespace/)
})

test('one whose monitor was killed is lost, and its name is free', async (t) => {
  const { home, monitor } = running(t)
  await killed(monitor)
  assert.equal(stateOf(home, 'web'), 'lost')
  const next = reserve('web')
  close(next)
  assert.equal(stateOf(home, 'web'), 'starting')
})

test('what starters left that were killed is removed', (t) => {
  const home = ownHome(t)
  const [mine, theirs] = [`.${identityText(identityOf(process.pid)!)}:77`, `.${identityText(dead())}:0`]
  for (const name of [mine, theirs, 'half', 'bare']) mkdirSync(join(home, name), { mode: 0o700 })
  writeFileSync(join(home, theirs, 'maker'), '')
  writeFileSync(join(home, 'half/maker'), identityText(dead()))
  for (const name of ['half', 'bare']) {
    assert.equal(stateOf(home, name), 'lost')
    close(reserve(name))
    assert.equal(stateOf(home, name), 'starting')
  }
  assert.deepEqual(readdirSync(home).sort(), ['bare', 'half', mine].sort())
})

test('what is removed is the directory that was looked at, not another that has the name by then', (t) => {
  const { home, directory } = running(t)
  edit(directory, (record) => ({ ...record, boot: 'a' }))
  const removed = removeIf(home, 'web', ({ state }) => {
    assert.equal(state, 'lost')
    // Another command removes it meanwhile, and a starter takes the name.
    renameSync(directory, join(home, 'aside'))
    close(reserve('web'))
    return true
  })
  assert.ok(removed)
  assert.equal(stateOf(home, 'web'), 'starting')
  assert.deepEqual(readdirSync(directory).sort(), ['maker', 'status'])
  assert.deepEqual(readdirSync(join(home, 'aside')), [])
})

const faults: Readonly<Record<string, { forge: (directory: string) => void; fault: RegExp; needsRoot?: true }>> = {
  cut: { forge: (at) => truncateSync(join(at, 'record.json'), 40), fault: /its record is cut or damaged/ },
  empty: { forge: (at) => truncateSync(join(at, 'record.json'), 0), fault: /its record is cut or damaged/ },
  'not JSON': {
    forge: (at) => writeFileSync(join(at, 'record.json'), '\0\xff'),
    fault: /its record is cut or damaged/,
  },
  huge: {
    forge: (at) => truncateSync(join(at, 'record.json'), 2 ** 40),
    fault: /its record is larger than 1048576 bytes/,
  },
  null: { forge: (at) => writeFileSync(join(at, 'record.json'), 'null'), fault: /its record is damaged/ },
  'a list': { forge: (at) => writeFileSync(join(at, 'record.json'), '[]'), fault: /its record is damaged/ },
  'a later version': {
    forge: (at) => edit(at, (record) => ({ ...record, version: 2 })),
    fault: /its record is of a later vial: version 2/,
  },
  'another name': { forge: (at) => edit(at, (record) => ({ ...record, name: 'db' })), fault: /its record is damaged/ },
  'pid 0': {
    forge: (at) => edit(at, (record) => ({ ...record, monitor: { pid: 0, start: '1' } })),
    fault: /its record is damaged/,
  },
  'pid -1': { forge: (at) => edit(at, (record) => ({ ...record, init: -1 })), fault: /its record is damaged/ },
  'a group that is not vial’s': {
    forge: (at) => edit(at, (record) => ({ ...record, group: { version: 2, paths: ['/sys/fs/cgroup/user.slice'] } })),
    fault: /its record is damaged/,
  },
  'a link': {
    forge(at) {
      renameSync(join(at, 'record.json'), join(at, 'other'))
      symlinkSync('other', join(at, 'record.json'))
    },
    fault: /its record is a link/,
  },
  'a directory': {
    forge(at) {
      rmSync(join(at, 'record.json'))
      mkdirSync(join(at, 'record.json'))
    },
    fault: /its record is no file/,
  },
  'writable for the group': {
    forge: (at) => chmodSync(at, 0o770),
    fault: /others can write to .*web: chmod go-w .*web/,
  },
  'a link to another': {
    forge(at) {
      renameSync(at, `${at}-other`)
      symlinkSync(`${basename(at)}-other`, at)
    },
    fault: /web is a link/,
  },
  "another user's directory": {
    forge: (at) => chownSync(at, 54321, 54321),
    fault: /web belongs to another user, uid 54321/,
    needsRoot: true,
  },
  "another user's record": {
    forge: (at) => chownSync(join(at, 'record.json'), 54321, 54321),
    fault: /its record belongs to another user, uid 54321/,
    needsRoot: true,
  },
}

for (const [what, { forge, fault, needsRoot }] of Object.entries(faults))
  test(`a record that is not as vial writes it: ${what}`, { skip: needsRoot && notRoot }, (t) => {
    const { home, directory } = running(t)
    forge(directory)
    const found = findSandbox(home, 'web')
    assert.ok(found?.state === 'unreadable', found?.state)
    assert.match(found.fault, fault)
    assert.throws(
      () => reserve('web'),
      (error: Error) =>
        error.name === 'HostError' && fault.test(error.message) && /vial rm -f web$/.test(error.message),
    )
    assert.ok(existsSync(directory) || lstatSync(directory).isSymbolicLink())
  })

const homes: Readonly<Record<string, { forge: (home: string) => void; fault: RegExp; needsRoot?: true }>> = {
  'others can read': {
    forge: (home) => chmodSync(home, 0o755),
    fault: /others can look into .*vial\n +chmod 700 .*vial$/,
  },
  'others can write': {
    forge: (home) => chmodSync(home, 0o777),
    fault: /others can write to .*vial: chmod o-w .*vial\n +set XDG_RUNTIME_DIR to /,
  },
  "is another user's": {
    forge: (home) => chownSync(home, 54321, 54321),
    fault: /belongs to another user, uid 54321, who could exchange it\n +set XDG_RUNTIME_DIR to a directory of yours/,
    needsRoot: true,
  },
  "lies in another user's": {
    forge: (home) => chownSync(join(home, '..'), 54321, 54321),
    fault: /belongs to another user, uid 54321, who could exchange it\n/,
    needsRoot: true,
  },
  'is a file': {
    forge(home) {
      rmSync(home, { recursive: true })
      writeFileSync(home, '')
    },
    fault: /is not a directory/,
  },
}
for (const [what, { forge, fault, needsRoot }] of Object.entries(homes))
  test(`no name is taken in a directory that ${what}`, { skip: needsRoot && notRoot }, (t) => {
    const home = ownHome(t)
    forge(home)
    assert.throws(
      () => reserve('web'),
      (error: Error) =>
        error.name === 'HostError' && fault.test(error.message) && /cannot be kept|look into/.test(error.message),
    )
  })
