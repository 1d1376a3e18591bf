/** Another user who may write a bound directory changes it while the sandbox is being built. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { workFolder } from '../support/user.js'
import { modes } from './scene.js'

/** Exchanges two names again and again, by renameat2(2) with RENAME_EXCHANGE; pauses, for each holds a lock of all. */
const exchanger = `
import ctypes, sys, time
one, two = (word.encode() for word in sys.argv[1:])
libc = ctypes.CDLL(None)
print('up', flush=True)
while True:
    libc.renameat2(-100, one, -100, two, 2)
    time.sleep(0.0001)
`

for (const mode of modes) {
  describe(`places inside a folder that others may write, ${mode.name}`, { skip: notInstalled('python3') }, () => {
    const { caller } = mode
    const owner = process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}

    /** A directory to bind, with `link` leading to one outside, by so many "..". */
    const fixture = (name: string) => {
      const outside = workFolder(caller, `${mode.name}-${name}-outside`)
      const shared = workFolder(caller, `${mode.name}-${name}-shared`)
      return { outside, shared }
    }
    const policyWith = (shared: string, entries: NonNullable<Policy['filesystem']>): Policy => ({
      preset: 'system',
      ...mode.policy,
      identity: { uid: process.getuid?.() === 0 ? caller.uid : process.getuid!(), gid: caller.gid },
      filesystem: [{ bind: '/shared', from: shared, writable: true }, ...entries],
    })

    test('a link that leads out, on the way to each kind of entry, leads nowhere', async () => {
      const { outside, shared } = fixture('links')
      symlinkSync(`${'../'.repeat(40)}${outside.slice(1)}`, join(shared, 'up'))
      symlinkSync(outside, join(shared, 'absolute'))
      symlinkSync('/proc/self/root', join(shared, 'magic'))
      const made: NonNullable<Policy['filesystem']>[number][] = []
      for (const link of ['up', 'absolute', `magic${outside}`])
        made.push(
          { tmpfs: `/shared/${link}/tmpfs` },
          { directory: `/shared/${link}/directory` },
          { symlink: `/shared/${link}/symlink`, to: 'x' },
          { file: `/shared/${link}/file`, content: 'x' },
          { file: `/shared/${link}/mounted`, content: 'x', mount: 'readonly' },
          { bind: `/shared/${link}/bind`, from: '/usr' },
          { chmod: `/shared/${link}`, mode: 0o777 },
        )
      await evaluate(
        caller,
        async ({ sandbox }, policies) => {
          for (const policy of policies)
            await sandbox(policy as never)
              .run('true')
              .catch(() => {})
        },
        made.map((entry) => policyWith(shared, [entry])),
      )
      assert.deepEqual(readdirSync(outside), [])
    })

    test('a folder that becomes such a link just then', { skip: notInstalled('python3') }, async () => {
      const { outside, shared } = fixture('race')
      mkdirSync(join(shared, 'inner'))
      chownSync(join(shared, 'inner'), caller.uid, caller.gid)
      symlinkSync(`${'../'.repeat(40)}${outside.slice(1)}`, join(shared, 'link'))
      writeFileSync(join(outside, 'kept'), '')
      const racer = spawn('python3', ['-c', exchanger, join(shared, 'inner'), join(shared, 'link')], {
        ...owner,
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(racer.stdout!, 'data')
      try {
        const endings = await evaluate(
          caller,
          async ({ sandbox }, policies) => {
            const seen: Record<string, number> = {}
            const sandboxes = policies.map((policy) => sandbox(policy as never))
            for (let round = 0; round < 100; round++)
              for (const one of sandboxes) {
                const ending = await one.run('true').then(
                  () => 'made',
                  (error) => error.code,
                )
                seen[ending] = (seen[ending] ?? 0) + 1
              }
            return seen
          },
          [
            policyWith(shared, [{ tmpfs: '/shared/inner/new' }]),
            policyWith(shared, [{ file: '/shared/inner/file', content: 'planted' }]),
            policyWith(shared, [{ directory: '/shared/inner/folder' }]),
          ],
        )
        // Both sides of the race were met: the directory, and the link, which leads nowhere inside.
        assert.ok(endings.made! > 0 && Object.keys(endings).length > 1, JSON.stringify(endings))
      } finally {
        racer.kill('SIGKILL')
      }
      assert.deepEqual(readdirSync(outside), ['kept'])
    })
  })
}
