/** What a payload can make of the paths by which unix sockets lead in and out. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { callers } from '../support/user.js'

const python = notInstalled('python3')

for (const caller of callers)
  describe(`paths of unix sockets, by ${caller.name}`, () => {
    test('a published path inside leads to nothing of the host, whatever lies there', { skip: python }, async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const net = await import('node:net')
          const fs = await import('node:fs')
          const { once } = (await import('node:events')).default
          const directory = fs.mkdtempSync(`${process.env.HOME}/s`)
          let reached = 0
          const secret = net.createServer((socket) => {
            reached++
            socket.on('error', () => {}).end('secret')
          })
          await once(secret.listen(`${directory}/secret`), 'listening')
          // Any program inside may reach it at this path: a path that leads there is a payload's own way.
          const policy = {
            preset: 'system' as const,
            filesystem: [{ bind: '/tmp/shown', from: `${directory}/secret`, writable: true }],
            network: { publish: [`${directory}/app:/tmp/app`] },
          }
          const box = await sandbox(policy).open()
          const asked = async () => {
            const socket = net.connect(`${directory}/app`)
            let text = ''
            try {
              for await (const bytes of socket) text += bytes
            } catch {}
            return text
          }
          const says: string[] = []
          for (const target of [
            `${directory}/secret`,
            `../../../../../../../..${directory}/secret`,
            `/proc/1/root${directory}/secret`,
            `/proc/self/root${directory}/secret`,
            `/proc/${process.pid}/root${directory}/secret`,
            '/proc/1/cwd/secret',
            '/etc',
            '/etc/passwd',
            '/dev/null',
            'app',
          ]) {
            await box.run('ln', ['-sfn', target, '/tmp/app'])
            says.push(await asked())
          }
          await box.run('sh', ['-c', 'rm /tmp/app; mkfifo /tmp/app'])
          says.push(await asked())
          const others = reached
          await box.run('sh', ['-c', 'rm /tmp/app; ln -s shown /tmp/app'])
          const shown = await asked()
          // Another server in the place of the first.
          const program = `
import os, socket, sys
try: os.unlink('/tmp/app')
except OSError: pass
s = socket.socket(socket.AF_UNIX); s.bind('/tmp/app'); s.listen(); s.settimeout(10)
print('ready', flush=True)
c = s.accept()[0]
# A descriptor is not handed on.
socket.send_fds(c, [sys.argv[1].encode()], [0, 1, 2]); c.close()
`
          const held = () => fs.readdirSync('/proc/self/fd').length
          const replaced: string[] = []
          const before = held()
          for (const name of ['one', 'two']) {
            const served = box.spawn('python3', ['-c', program, name])
            await once(served.stdout!, 'data')
            replaced.push(await asked())
            await served.result
          }
          const more = held() - before
          await box.close()
          secret.close()
          fs.rmSync(directory, { recursive: true })
          return { says, others, shown, replaced, more: more > 0 }
        },
        {},
      )
      assert.deepEqual(seen, {
        says: Array.from({ length: 11 }, () => ''),
        others: 0,
        shown: 'secret',
        replaced: ['one', 'two'],
        more: false,
      })
    })
  })
