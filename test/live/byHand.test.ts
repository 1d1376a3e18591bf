/** What docs/how-it-works.md says of a sandbox that is joined by hand: it can be, and what joins is hardened by nothing. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { callers } from '../support/user.js'

for (const caller of callers)
  describe(`a sandbox of one command of ${caller.name}`, { skip: notInstalled('nsenter') }, () => {
    test('can be joined by the namespaces of its command, without what hardens that', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const { execFileSync } = await import('node:child_process')
          const { readFileSync } = await import('node:fs')
          const child = sandbox({ preset: 'system', hostname: 'joined' }).spawn('sh', [
            '-c',
            'touch /tmp/own; echo up; read _',
          ])
          await new Promise((resolve) => child.stdout!.once('data', resolve))
          const childOf = (pid: number) => Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'))
          const payload = childOf(childOf(child.pid))
          const flags = ['-U', '--preserve-credentials', '-m', '-p', '-n', '-i', '-u', '-C', '-T']
          const script = 'uname -n; ls /tmp; cat /proc/2/comm; cat /proc/self/status'
          const joined = execFileSync('nsenter', ['-t', String(payload), ...flags, 'sh', '-c', script], {
            encoding: 'utf8',
          })
          const walls = (status: string) =>
            ['NoNewPrivs', 'Seccomp', 'Seccomp_filters', 'CapBnd'].map(
              (name) => new RegExp(`^${name}:\\s*(\\w+)`, 'm').exec(status)?.[1],
            )
          const status = (pid: number | 'self') => walls(readFileSync(`/proc/${pid}/status`, 'utf8'))
          const result = {
            view: joined.split('\n').slice(0, 3),
            joined: walls(joined),
            payload: status(payload),
            own: status('self'),
          }
          child.kill('SIGKILL')
          await child.result
          return result
        },
        undefined,
      )
      assert.deepEqual(seen.view, ['joined', 'own', 'sh'])
      // As outside, but for a bounding set that is full: user_namespaces(7).
      assert.deepEqual(seen.joined.slice(0, 3), seen.own.slice(0, 3))
      assert.ok(BigInt(`0x${seen.joined[3]}`) > 0n)
      assert.equal(BigInt(`0x${seen.payload[3]}`), 0n)
      assert.notDeepEqual(seen.joined, seen.payload)
    })
  })
