/** The conversation with systemd, played by a bus and a manager of the test's own; a booted one is the lab's. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { hierarchies } from '../../src/cgroup/hierarchies.js'
import { ourselves } from '../../src/cgroup/owner.js'
import { requestScope } from '../../src/cgroup/systemd.js'
import { notInstalled, notRoot } from '../support/needs.js'

const base = hierarchies().find(({ version, own }) => version === 2 && own !== undefined)?.own
const skip = notInstalled('dbus-daemon', 'busctl') || notRoot || (base === undefined && 'cgroup v2 is not mounted')

describe('a scope from systemd', { skip }, () => {
  let daemon: ChildProcess
  let address = ''
  const { pid, start } = ourselves()
  const name = `vial-${pid}-${start}.scope`
  const scope = join(base ?? '', name)

  before(async () => {
    daemon = spawn('dbus-daemon', ['--session', '--nofork', '--print-address'], { stdio: ['ignore', 'pipe', 'ignore'] })
    const [line] = await once(daemon.stdout!, 'data')
    address = String(line).trim()
  })
  after(() => {
    writeFileSync(join(base!, 'cgroup.procs'), String(pid))
    try {
      rmdirSync(scope)
    } catch {}
    daemon.kill()
  })

  /** A manager that answers as told, and keeps what it is asked. */
  async function manager(behaviour: { delegated?: boolean; refuses?: boolean; forgets?: boolean }) {
    const script = fileURLToPath(new URL('manager.js', import.meta.url))
    const child = spawn(process.execPath, [script, JSON.stringify({ address, scope, ...behaviour })], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout!, 'data')
    let asked = ''
    child.stdout!.on('data', (chunk) => {
      asked += chunk
    })
    return {
      asked: () =>
        asked
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as unknown[]),
      stop: async () => {
        child.kill()
        await once(child, 'exit')
      },
    }
  }

  test('there is none without a manager, and the reason is told', () => {
    const found = requestScope(address)
    assert.ok('missing' in found)
    assert.match(found.missing, /systemd gives no scope: .*org\.freedesktop\.systemd1/)
    const nobody = requestScope('unix:path=/nonexistent/bus')
    assert.ok('missing' in nobody && /systemd gives no scope: .+/.test(nobody.missing))
  })

  test('a unit that is delegated already is kept', async () => {
    const one = await manager({ delegated: true })
    assert.deepEqual(requestScope(address), { scope: 'already.scope' })
    await one.stop()
    assert.deepEqual(
      one.asked().map(([member]) => member),
      ['GetUnitByPID', 'Get', 'Get'],
    )
  })

  test('a scope of our own: delegated, with this process in it', async () => {
    mkdirSync(scope)
    const one = await manager({})
    assert.deepEqual(requestScope(address), { scope: name })
    await one.stop()
    assert.match(readFileSync('/proc/self/cgroup', 'utf8'), new RegExp(`^0::.*/${name}$`, 'm'))
    const [, ...call] = one.asked().find(([member]) => member === 'StartTransientUnit')!
    assert.deepEqual(call, [
      name,
      'fail',
      {
        Description: 'sandboxes of vial',
        PIDs: [pid],
        Delegate: true,
        CollectMode: 'inactive-or-failed',
      },
    ])
  })

  test('a manager that refuses is quoted', async () => {
    const one = await manager({ refuses: true })
    const found = requestScope(address)
    await one.stop()
    assert.ok('missing' in found)
    assert.match(found.missing, /Interactive authentication required/)
    assert.match(found.repair, /systemd-run/)
  })
})
