/** Whatever is killed of a sandbox with a private network, and whenever: nothing is left of it, and a network that ends takes nothing with it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { evaluate } from '../support/evaluate.js'
import { noPrivateHost, onHost } from '../support/network/privateHost.js'
import { shareOf } from '../support/share.js'
import { callers } from '../support/user.js'

const main = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))
const victims = ['node', 'monitor', 'tether', 'pasta', 'payload'] as const

for (const caller of callers)
  describe(`a private network that is attacked, by ${caller.name}`, { skip: noPrivateHost() }, () => {
    const moments = shareOf(40)
    for (const victim of victims)
      test(`nothing is left when one is killed, ${victim}, at ${moments} moments`, async () => {
        const seen = await evaluate(
          caller,
          async (_, { main, victim, moments }) => {
            const { spawn } = await import('node:child_process')
            const { readdirSync, readFileSync, readlinkSync } = await import('node:fs')
            const { once } = (await import('node:events')).default
            const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))
            const look = (path: string, read: (path: string) => string) => {
              try {
                return read(path)
              } catch {
                return ''
              }
            }
            const text = (path: string) => look(path, (one) => readFileSync(one, 'latin1'))
            // This process is pid 1: what is left to it ends as a zombie.
            const all = () =>
              readdirSync('/proc')
                .filter((name) => /^\d+$/.test(name))
                .map((pid) => ({
                  pid: Number(pid),
                  words: text(`/proc/${pid}/cmdline`),
                  stat: text(`/proc/${pid}/stat`),
                  parent: Number(/\) \S (\d+)/.exec(text(`/proc/${pid}/stat`))?.[1]),
                  ids: look(`/proc/${pid}/ns/pid`, readlinkSync),
                }))
                .filter(({ pid, stat }) => pid !== process.pid && stat !== '' && !/\) Z /.test(stat))
            let state = 4711
            const chance = () => {
              state = (Math.imul(state, 1664525) + 1013904223) >>> 0
              return state / 2 ** 32
            }
            let killed = 0
            for (let moment = 0; moment < moments; moment++) {
              const words = [main, 'run', '--network', 'private', '--', 'sleep', '1e6']
              const node = spawn(process.execPath, words, { stdio: 'ignore' })
              const over = once(node, 'exit')
              const startOf = performance.now()
              const wait = chance() * 900
              const which = chance()
              const isVial = ({ words }: { words: string }) => words.startsWith('vial\0')
              const find = () => {
                const found = all()
                const monitor = found.find((one) => one.parent === node.pid && isVial(one))
                const ofMonitor = found.filter(({ parent }) => monitor !== undefined && parent === monitor.pid)
                const pastas = found.filter(({ words }) => /^[^\0]*\/pasta\0/.test(words))
                const above = new Set(pastas.map(({ parent }) => parent))
                const groups: Record<string, { pid: number }[]> = {
                  node: [{ pid: node.pid! }],
                  monitor: monitor === undefined ? [] : [monitor],
                  tether: ofMonitor.filter(({ pid }) => above.has(pid) || which < 0.5),
                  pasta: pastas,
                  payload: found.filter(({ words }) => words === 'sleep\x001e6\0'),
                }
                const group = groups[victim]!
                return group[Math.floor(which * group.length)]
              }
              await sleep(wait)
              // It may not be there yet, or just have gone, as the process that pasta was before it went to the background.
              const hit = () => {
                const target = find()
                if (target === undefined) return false
                try {
                  return process.kill(target.pid, 'SIGKILL')
                } catch {
                  return false
                }
              }
              let isHit = hit()
              while (!isHit && performance.now() - startOf < 20_000 && node.exitCode === null) {
                await sleep(1)
                isHit = hit()
              }
              if (isHit) killed++
              // A sandbox whose network has ended goes on.
              if (victim === 'pasta' || victim === 'tether') {
                await sleep(chance() * 50)
                node.kill('SIGKILL')
              }
              await over
              const end = performance.now() + 30_000
              while (all().length > 0) {
                if (performance.now() > end) return { killed, left: all() }
                await sleep(5)
              }
            }
            return { killed, left: [] }
          },
          { main, victim, moments },
          { wrapper: onHost(caller) },
        )
        assert.deepEqual(seen, { killed: moments, left: [] })
      })
  })
