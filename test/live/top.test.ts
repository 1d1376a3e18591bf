/** `vial top`: what named sandboxes use, once, and again and again at a terminal. */
import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { notInstalled } from '../support/needs.js'
import { keys, Terminal } from '../support/terminal.js'
import { root, user } from '../support/user.js'
import { commander } from './commander.js'

/** The upper left corner. */
const home = '\x1b[H'
const main = resolve(fileURLToPath(import.meta.url), '../../../src/cli/main.cjs')

describe('vial top', () => {
  test('lists the busiest first, in a table and for programs', async (t) => {
    const { call } = commander(t)
    await call('start', '--name', 'idle')
    await call('start', '--name', 'busy', '--', 'sh', '-c', 'while :; do :; done')
    const { out } = await call('top', '--every', '0.2s', '-n', '2')
    const lines = out.trimEnd().split('\n')
    assert.equal(lines.length, 6)
    assert.match(lines[0]!, /^NAME +CPU +CPU TIME +MEMORY +PROCESSES +COMMAND$/)
    assert.match(lines[1]!, /^busy +[1-9]\d*% +\d+\.\ds +\d+\.\dM +1 +sh -c while :; do :; done$/)
    assert.match(lines[2]!, /^idle +0% +0\.0s +\d+\.\dM +0 +\(none\)$/)
    const rows = JSON.parse((await call('top', '--json', '--every', '0.2s')).out)
    assert.deepEqual(
      rows.map(({ name }: { name: string }) => name),
      ['busy', 'idle'],
    )
    assert.ok(rows[0].cpuPercent > 0 && rows[0].usage.cpuMs > 0)
    await call('rm', '-f', 'busy', 'idle')
    assert.equal((await call('top', '--every', '1ms')).out.split('\n').length, 2)
  })

  test('goes on at a terminal, from its upper left corner', { skip: notInstalled('script') }, async () => {
    const terminal = new Terminal(process.getuid?.() === 0 ? root : user, `node ${main} top --every 0.05s`)
    await terminal.shows('NAME')
    const often = () => terminal.screen.split(home).length
    const before = often()
    while (often() < before + 3) await new Promise((resolve) => setTimeout(resolve, 10))
    terminal.type(keys.interrupt)
    await terminal.ended
    assert.ok(terminal.screen.includes(`${home}NAME`))
    assert.ok(terminal.screen.includes('\x1b[K\r\n\x1b[J'))
  })
})
