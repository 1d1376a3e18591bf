/** Looking names up outside: what is kept, how many at a time, what failed; and the addresses that names get inside. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NameTable } from '../../src/network/nameTable.js'
import { type Resolution, Resolver } from '../../src/network/resolver.js'
import { Tokens } from '../../src/network/tokens.js'
import { addressText, parseAddress } from '../../src/policy/ipAddress.js'

const texts = (resolution: Resolution) =>
  'addresses' in resolution ? resolution.addresses.map(addressText) : [resolution.missing, resolution.why]

test('an answer is kept for a while, and nobody is asked twice at a time', async () => {
  let now = 0
  const asked: string[] = []
  const resolver = new Resolver({
    keep: 100,
    keepMissing: 10,
    now: () => now,
    resolve: async (name) => {
      asked.push(name)
      if (name === 'none.example') throw Object.assign(new Error(), { code: 'ENOTFOUND' })
      if (name === 'failed.example') throw Object.assign(new Error(), { code: 'EAI_AGAIN' })
      return name === 'empty.example' ? [] : [`10.0.0.${asked.length}`, '::ffff:10.1.1.1', 'fe80::1%lo', 'rubbish']
    },
  })
  const both = await Promise.all([resolver.lookup('a.example'), resolver.lookup('a.example')])
  assert.deepEqual(both.map(texts), [
    ['10.0.0.1', '10.1.1.1'],
    ['10.0.0.1', '10.1.1.1'],
  ])
  now = 99
  assert.deepEqual(texts(await resolver.lookup('a.example')), ['10.0.0.1', '10.1.1.1'])
  now = 100
  assert.deepEqual(texts(await resolver.lookup('a.example')), ['10.0.0.2', '10.1.1.1'])
  for (const [name, expected] of [
    ['none.example', ['none', 'there is no such name']],
    ['failed.example', ['failed', 'looking it up failed (EAI_AGAIN)']],
    ['empty.example', ['none', 'the name has no address']],
  ] as const) {
    now += 1000
    asked.length = 0
    for (const _ of [1, 2]) assert.deepEqual(texts(await resolver.lookup(name)), expected)
    assert.deepEqual(asked, [name])
    now += 10
    await resolver.lookup(name)
    assert.deepEqual(asked, [name, name], 'what is missing is kept for a shorter time')
  }
})

test('so many names are asked for at a time, in turn', async () => {
  let asking = 0
  let most = 0
  const open: (() => void)[] = []
  const resolver = new Resolver({
    atOnce: 3,
    resolve: async () => {
      most = Math.max(most, ++asking)
      await new Promise<void>((resolve) => open.push(resolve))
      asking--
      return ['10.0.0.1']
    },
  })
  const all = Promise.all(Array.from({ length: 20 }, (_, index) => resolver.lookup(`${index}.example`)))
  let done = false
  void all.then(() => {
    done = true
  })
  while (!done) {
    open.shift()?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(most, 3)
  for (const resolution of await all) assert.deepEqual(texts(resolution), ['10.0.0.1'])
})

test('what does not answer has failed, and those beyond the queue at once', async () => {
  const resolver = new Resolver({ atOnce: 1, timeout: 20, resolve: () => new Promise(() => {}) })
  // A timer that nothing waits for ends no test.
  const held = setInterval(() => {}, 1000)
  const first = resolver.lookup('a.example')
  const waiting = Array.from({ length: 256 }, (_, index) => resolver.lookup(`${index}.example`))
  assert.deepEqual(texts(await resolver.lookup('z.example')), ['failed', '256 other names are being looked up'])
  assert.deepEqual(texts(await first), ['failed', 'no answer within 20 ms'])
  clearInterval(held)
  void waiting
})

test('names have addresses: exact ones from the start, others when they are asked for, the oldest given up last', () => {
  let now = 0
  const table = new NameTable(['a.example', 'b.example'], { most: 4, keep: 100, now: () => now })
  const nameOf = (text: string) => table.nameOf(parseAddress(text)!)
  assert.deepEqual(table.addressesOf('b.example'), { v4: '198.18.1.1', v6: 'fd00:7669:616c::101' })
  assert.deepEqual(table.addressesOf('x.example'), { v4: '198.18.1.2', v6: 'fd00:7669:616c::102' })
  assert.equal(table.addressesOf('y.example')?.v4, '198.18.1.3')
  assert.equal(table.addressesOf('x.example')?.v4, '198.18.1.2')
  assert.equal(table.addressesOf('z.example'), undefined, 'all are in use')
  assert.deepEqual(['198.18.1.0', 'fd00:7669:616c::102', '198.18.1.4', '198.18.0.1', '10.0.0.1'].map(nameOf), [
    'a.example',
    'x.example',
    undefined,
    undefined,
    undefined,
  ])
  now = 99
  assert.equal(nameOf('198.18.1.3'), 'y.example', 'and is in use again')
  now = 150
  assert.equal(table.addressesOf('z.example')?.v4, '198.18.1.2', 'the address of x, which was not asked for')
  assert.equal(table.addressesOf('x.example'), undefined)
  assert.equal(nameOf('198.18.1.2'), 'z.example')
})

test('so often in a second, and so often at once', () => {
  let now = 0
  const tokens = new Tokens(10, 3, () => now)
  const takes = () => [1, 2, 3, 4, 5].filter(() => tokens.take()).length
  assert.equal(takes(), 3)
  now = 200
  assert.equal(takes(), 2)
  now = 10_000
  assert.equal(tokens.spend(3), 0)
  assert.equal(tokens.spend(5), 500)
  now = 10_500
  assert.equal(tokens.spend(0), 0)
  assert.equal(new Tokens(Number.POSITIVE_INFINITY, 1, () => 0).spend(1e12), 0)
})
