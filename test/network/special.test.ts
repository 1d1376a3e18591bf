/** Addresses that are no host's of the public internet, in all their spellings, and what the rules say of them. */
import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import fc from 'fast-check'
import { RuleBook } from '../../src/network/ruleBook.js'
import { specialRangeOf, specialRanges } from '../../src/network/specialAddresses.js'
import { addressText, bitsOf, parseAddress } from '../../src/policy/ipAddress.js'
import { parseDestination } from '../../src/policy/networkRules.js'

const special: Readonly<Record<string, string>> = {
  '0.0.0.0': 'RFC 1122',
  '0.1.2.3': 'RFC 791',
  '10.0.0.1': 'RFC 1918',
  '10.255.255.255': 'RFC 1918',
  '100.64.0.0': 'RFC 6598',
  '100.127.255.255': 'RFC 6598',
  '127.0.0.1': 'RFC 1122',
  '127.255.255.254': 'RFC 1122',
  '169.254.0.1': 'RFC 3927',
  '169.254.169.254': 'RFC 3927',
  '172.16.0.0': 'RFC 1918',
  '172.31.255.255': 'RFC 1918',
  '192.0.0.192': 'RFC 6890',
  '192.0.2.1': 'RFC 5737',
  '192.88.99.1': 'RFC 7526',
  '192.168.0.1': 'RFC 1918',
  '198.18.0.1': 'RFC 2544',
  '198.19.255.255': 'RFC 2544',
  '198.51.100.1': 'RFC 5737',
  '203.0.113.255': 'RFC 5737',
  '224.0.0.1': 'RFC 5771',
  '239.255.255.250': 'RFC 5771',
  '240.0.0.1': 'RFC 1112',
  '255.255.255.255': 'RFC 919',
  '::': 'RFC 4291',
  '::1': 'RFC 4291',
  '::127.0.0.1': 'RFC 4291',
  '::ffff:127.0.0.1': 'RFC 1122',
  '::ffff:a9fe:a9fe': 'RFC 3927',
  '0:0:0:0:0:FFFF:10.0.0.1': 'RFC 1918',
  '::ffff:0:127.0.0.1': 'RFC 2765',
  '64:ff9b::127.0.0.1': 'RFC 6052',
  '64:ff9b::8.8.8.8': 'RFC 6052',
  '64:ff9b:1::a00:1': 'RFC 8215',
  '100::1': 'RFC 6666',
  '2001::1': 'RFC 4380',
  '2001:0:7f00:1::': 'RFC 4380',
  '2001:2::1': 'RFC 5180',
  '2001:1f::1': 'RFC 4843',
  '2001:20::1': 'RFC 7343',
  '2001:1ff:ffff::1': 'RFC 2928',
  '2001:db8::1': 'RFC 3849',
  '2002:7f00:1::': 'RFC 3056',
  '3fff:fff::1': 'RFC 9637',
  '4000::1': 'RFC 4291',
  '5f00::1': 'RFC 9602',
  'fd00:7669:616c::100': 'RFC 4193',
  'fd00:ec2::254': 'RFC 4193',
  'fe80::1': 'RFC 4291',
  'febf::1': 'RFC 4291',
  'fec0::1': 'RFC 3879',
  'ff02::1': 'RFC 4291',
}
const ordinary = [
  '1.1.1.1',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.0',
  '169.253.255.255',
  '172.15.255.255',
  '172.32.0.0',
  '192.0.1.0',
  '192.167.255.255',
  '192.169.0.0',
  '198.17.255.255',
  '198.20.0.0',
  '223.255.255.255',
  '::ffff:1.1.1.1',
  '2001:200::1',
  '2001:4860:4860::8888',
  '2003::1',
  '2606:4700::1',
  '3ffe:ffff::1',
]

test('special addresses are known as what they are', () => {
  for (const [address, source] of Object.entries(special))
    assert.equal(specialRangeOf(address)?.source, source, address)
  for (const address of ordinary) assert.equal(specialRangeOf(address), undefined, address)
})

test('a range is known from its first address to its last', () => {
  for (const { block } of specialRanges) {
    const last = block.value + (1n << BigInt(bitsOf[block.family] - block.prefix)) - 1n
    for (const value of [block.value, last]) assert.ok(specialRangeOf(addressText({ ...block, value })))
  }
})

const book = (allow: string[], deny: string[] = []) =>
  new RuleBook({
    allow: allow.map((text) => parseDestination(text)!),
    deny: deny.map((text) => parseDestination(text)!),
  })

const unreachable = (rules: RuleBook, address: string, port = 443) =>
  rules.unreachable({ protocol: 'tcp', name: 'a.example', address: parseAddress(address)!, port })?.why

test('a special address is reached only where it is listed, with its port', () => {
  const byName = book(['a.example:443', '*:443', '*:*'])
  for (const address of Object.keys(special))
    assert.match(unreachable(byName, address) ?? 'reached', / is an? | is the /, address)
  for (const address of ordinary) assert.equal(unreachable(byName, address), undefined)
  const listed = book(['a.example:443', '10.0.0.5:443', '192.168.0.0/16:*', '[fd12::/16]:443'])
  assert.equal(unreachable(listed, '10.0.0.5'), undefined)
  assert.equal(unreachable(listed, '::ffff:10.0.0.5'), undefined)
  assert.equal(unreachable(listed, '192.168.7.7', 1), undefined)
  assert.equal(unreachable(listed, 'fd12::1'), undefined)
  assert.match(unreachable(listed, '10.0.0.5', 80)!, /10\.0\.0\.5 is a private address, and not listed as an address/)
  assert.match(unreachable(listed, '10.0.0.6')!, /private/)
  assert.match(unreachable(listed, '::10.0.0.5')!, /compatible/)
  assert.equal(listed.answers(parseAddress('10.0.0.5')!), true)
  assert.equal(listed.answers(parseAddress('10.0.0.6')!), false)
})

test('what is denied as an address is not reached by a name either', () => {
  const rules = book(['*:443', '10.0.0.0/8:443'], ['1.1.1.0/24:*', '10.0.0.5:443'])
  assert.equal(unreachable(rules, '1.1.1.1'), 'its address is denied')
  assert.equal(unreachable(rules, '10.0.0.5'), 'its address is denied')
  assert.equal(unreachable(rules, '10.0.0.6'), undefined)
})

test("this host's own addresses are as its loopback, and those of the sandbox lead nowhere", () => {
  const own = Object.values(networkInterfaces()).flatMap((rows = []) => rows.map(({ address }) => address))
  for (const address of own)
    assert.notEqual(unreachable(book(['*:443']), address.replace(/%.*/, '')), undefined, address)
  for (const address of ['198.18.1.0', 'fd00:7669:616c::100'])
    assert.match(unreachable(book(['*:443']), address)!, /of the sandbox itself/)
})

test('rules that are added and taken while it runs', () => {
  const rules = book(['a.example:443'])
  const wanted = { protocol: 'tcp', name: 'b.example', port: 443 } as const
  const b = [parseDestination('b.example:443')!]
  assert.equal(rules.ruling(wanted).is, 'undecided')
  rules.allow(b)
  assert.deepEqual(rules.ruling(wanted), { is: 'allowed', rule: 'b.example:443' })
  rules.deny(b)
  assert.deepEqual(rules.ruling(wanted), { is: 'denied', rule: 'b.example:443' })
  rules.allow(b)
  assert.equal(rules.ruling(wanted).is, 'allowed')
  rules.deny([parseDestination('*:*')!])
  rules.allow(b)
  assert.equal(rules.ruling(wanted).is, 'denied', 'a wider rule of deny wins')
  assert.equal(rules.rules.allow.length, 2, 'what is there is not added again')
})

test('any address of IPv4 in the clothes of IPv6 is judged as what it is, or refused', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.constantFrom('::ffff:', '::', '64:ff9b::', '::ffff:0:'), (text, prefix) => {
      const found = specialRangeOf(`${prefix}${text}`)
      if (prefix === '::ffff:') assert.deepEqual(found, specialRangeOf(text))
      else assert.ok(found)
    }),
  )
})
