/** The order of a pool, with slots that are none: who waits, what is made when, and what is told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { Pool } from '../../src/live/pool.js'
import type { PooledCommand, Slot } from '../../src/live/slots.js'
import type { RunResult } from '../../src/run/sandbox.js'

class FakeSlot implements Slot {
  readonly ran: string[] = []
  closed = false
  /** Ends it, or its command. */
  die!: () => void
  finish!: () => void
  readonly ended = new Promise<void>((resolve) => (this.die = resolve))
  readonly #over = new Promise<void>((resolve) => (this.finish = resolve))

  async run({ command }: PooledCommand): Promise<RunResult> {
    this.ran.push(command)
    await this.#over
    return { stdout: command } as RunResult
  }

  async close(): Promise<void> {
    this.closed = true
    this.finish()
    this.die()
  }
}

/** @param make gives the error of a slot that cannot be made; undefined: it is made */
function fakes(make: () => Error | undefined = () => undefined) {
  const slots: FakeSlot[] = []
  const seen = { closed: false, die: false }
  const maker = {
    async make() {
      await turn()
      const error = make()
      if (error !== undefined) throw error
      const slot = new FakeSlot()
      slots.push(slot)
      if (seen.die) slot.die()
      return slot
    },
    async close() {
      seen.closed = true
    },
  }
  const running = () => slots.filter(({ ran, closed }) => ran.length > 0 && !closed)
  return { maker, slots, seen, running }
}

const settled = (promises: Promise<unknown>[]) =>
  Promise.all(promises.map((one) => one.then((value) => (value as RunResult).stdout).catch((error) => error.message)))

test('at most `max` run; others wait in their order; each has a slot of its own, which is ended behind the result', async () => {
  const { maker, slots, running } = fakes()
  const pool = await new Pool(maker, { size: 2, max: 3 }).opened()
  const order: string[] = []
  const words = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
  const runs = words.map((word) => pool.run(word).then(() => order.push(word)))
  while (order.length < words.length) {
    await turn()
    assert.ok(running().length <= 3)
    if (running().length < Math.min(3, words.length - order.length)) continue
    assert.equal(pool.metrics().waiting, Math.max(0, words.length - order.length - 3))
    const [first] = running()
    const before = order.length
    first!.finish()
    while (order.length === before) await Promise.resolve()
    assert.equal(first!.closed, false)
    await turn()
    assert.equal(first!.closed, true)
  }
  await Promise.all(runs)
  assert.deepEqual(order, words)
  assert.ok(slots.every(({ ran }) => ran.length <= 1))
  assert.equal(pool.metrics().served, 7)
  while (pool.metrics().warm < 2) await sleep(1)
  await pool.close()
  assert.deepEqual(pool.metrics(), { warm: 0, making: 0, running: 0, waiting: 0, served: 7, failed: 0, lost: 0 })
})

test('what waits can be aborted, and takes no slot then', async () => {
  const { maker, slots } = fakes()
  const pool = await new Pool(maker, { size: 1, max: 1 }).opened()
  const first = pool.run('first')
  await turn()
  const aborter = new AbortController()
  const waiting = pool.run('aborted', [], { signal: aborter.signal })
  const last = pool.run('last')
  aborter.abort()
  await assert.rejects(waiting, { name: 'AbortError', durationMs: 0 })
  assert.equal(pool.metrics().waiting, 1)
  slots[0]!.finish()
  await first
  while (slots[1]?.ran.length !== 1) await turn()
  slots[1].finish()
  await last
  assert.deepEqual(
    slots.map(({ ran }) => ran.join()),
    ['first', 'last'],
  )
  await assert.rejects(pool.run('late', [], { signal: AbortSignal.abort() }), { name: 'AbortError' })
  await pool.close()
})

test('slots that cannot be made, three in a row, make it fail with their error; fewer do not', async () => {
  let faults = ['one', 'two']
  const { maker, slots, seen } = fakes(() => {
    const fault = faults.shift()
    return fault === undefined ? undefined : new Error(fault)
  })
  const pool = await new Pool(maker, { size: 1, max: 1 }).opened()
  assert.equal(pool.metrics().failed, 2)
  faults = ['three', 'four', 'five', 'six']
  const first = pool.run('first')
  const waiting = settled([pool.run('second'), pool.run('third')])
  await turn()
  slots[0]!.finish()
  assert.equal((await first).stdout, 'first')
  assert.deepEqual(await waiting, ['five', 'five'])
  assert.deepEqual(await settled([pool.run('later')]), ['five'])
  await pool.close()
  assert.deepEqual([slots.length, seen.closed, pool.metrics().failed], [1, true, 5])
  faults = ['a', 'b', 'c']
  await assert.rejects(new Pool(maker, { size: 1, max: 1 }).opened(), /^Error: c$/)
})

test('a slot that ends while it waits is replaced; those that end as soon as they are made make it fail', async () => {
  const { maker, slots, seen } = fakes()
  const pool = await new Pool(maker, { size: 2, max: 2 }).opened()
  await sleep(150)
  assert.equal(slots.length, 2)
  for (const slot of slots.slice(0, 2)) slot.die()
  await turn()
  const run = pool.run('a')
  while (slots[2]?.ran.length !== 1) await turn()
  slots[2].finish()
  assert.equal((await run).stdout, 'a')
  assert.deepEqual([pool.metrics().lost, slots[0]!.ran, slots[1]!.ran], [2, [], []])
  seen.die = true
  for (const slot of slots) slot.die()
  await turn()
  while (pool.metrics().warm + pool.metrics().making > 0 || pool.metrics().lost < 5) await sleep(1)
  await assert.rejects(pool.run('b'), /a sandbox of the pool has ended while it waited for a command/)
  await pool.close()
})

test('drain lets run what runs or waits, and takes no more; close ends and refuses', async () => {
  const { maker, slots, running } = fakes()
  const pool = await new Pool(maker, { size: 1, max: 1 }).opened()
  const accepted = settled([pool.run('a'), pool.run('b'), pool.run('c')])
  const drained = pool.drain()
  await assert.rejects(pool.run('d'), /the pool was closed/)
  for (let left = 3; left > 0; left--) {
    while (running().length === 0) await turn()
    const [slot] = running()
    slot!.finish()
    while (!slot!.closed) await turn()
  }
  assert.deepEqual(await accepted, ['a', 'b', 'c'])
  await drained
  assert.ok(slots.every(({ closed }) => closed))

  const other = await new Pool(maker, { size: 1, max: 1 }).opened()
  const refused = settled([other.run('runs'), other.run('waits')])
  await turn()
  await other.close()
  await other[Symbol.asyncDispose]()
  assert.deepEqual(await refused, ['runs', 'the pool was closed'])
  assert.ok(slots.every(({ closed }) => closed))
})
