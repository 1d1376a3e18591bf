/** Destinations of rules: how they are written, what they match, and tricks with names and addresses. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import * as v from 'valibot'
import { addressText, parseAddress } from '../../src/policy/ipAddress.js'
import { dnsAddresses, fakeAddresses, fakeIndex, fixedAddresses, mostNames } from '../../src/policy/networkAddresses.js'
import { normalName } from '../../src/policy/networkNames.js'
import {
  destinationFault,
  destinationText,
  matches,
  mayReach,
  parseDestination,
} from '../../src/policy/networkRules.js'
import { destination } from '../../src/policy/networkSchema.js'

/** Of an address as a socket tells it. */
function fakeIndexOf(text: string): number | undefined {
  const address = parseAddress(text)
  return address === undefined ? undefined : fakeIndex(address)
}

/** What is written, and the same in its one spelling. */
const right: readonly (readonly [string, string])[] = [
  ['api.example.com:443', 'api.example.com:443'],
  ['tcp:api.example.com:443', 'api.example.com:443'],
  ['API.Example.COM.:443', 'api.example.com:443'],
  ['*.Example.org:80', '*.example.org:80'],
  ['10.0.0.5:5432', '10.0.0.5:5432'],
  ['[2001:db8::1]:443', '[2001:db8::1]:443'],
  ['[2001:DB8:0:0:0:0:0:1]:443', '[2001:db8::1]:443'],
  ['[::ffff:10.0.0.5]:443', '10.0.0.5:443'],
  ['[::ffff:0a00:0005]:443', '10.0.0.5:443'],
  ['[::ffff:10.0.0.0/104]:443', '10.0.0.0/8:443'],
  ['udp:ntp.example.org:123', 'udp:ntp.example.org:123'],
  ['UDP:[::1]:123', 'udp:[::1]:123'],
  ['*:443', '*:443'],
  ['udp:*:53', 'udp:*:53'],
  ['*:*', '*:*'],
  ['host.example:8000-8010', 'host.example:8000-8010'],
  ['host.example:*', 'host.example:*'],
  ['host.example:1-65535', 'host.example:*'],
  ['10.0.0.0/8:5432', '10.0.0.0/8:5432'],
  ['[fd00::/8]:443', '[fd00::/8]:443'],
  ['0.0.0.0/0:443', '0.0.0.0/0:443'],
  ['bücher.example:443', 'xn--bcher-kva.example:443'],
  ['BÜCHER。example:443', 'xn--bcher-kva.example:443'],
  ['r3---sn-a.example:443', 'r3---sn-a.example:443'],
  ['_service._tcp.example:443', '_service._tcp.example:443'],
  ['intranet:80', 'intranet:80'],
  ['unix:/run/a', 'unix:/run/a'],
  ['UNIX:/run/a:/run/a', 'unix:/run/a'],
  ['unix:/run//a/./b:/c', 'unix:/run/a/b:/c'],
  ['unix:/run/a:b', 'unix:/run/a:b'],
  ['unix:/run/a:1:/b:2', 'unix:/run/a:1:/b:2'],
]

test('destinations have one spelling', () => {
  for (const [written, spelled] of right) {
    assert.equal(destinationFault(written), undefined, written)
    const parsed = parseDestination(written)!
    assert.equal(destinationText(parsed), spelled)
    assert.deepEqual(parseDestination(spelled), parsed)
    assert.deepEqual(v.parse(destination, written), parsed)
  }
})

const wrong: readonly (readonly [unknown, RegExp])[] = [
  [443, /^must be HOST:PORT, such as/],
  ['', /^must be HOST:PORT/],
  ['api.example.com', /^must be HOST:PORT/],
  ['api.example.com:', /^needs a port/],
  [':443', /no name of a host/],
  ['api.example.com:0', /^needs a port/],
  ['api.example.com:65536', /^needs a port/],
  ['api.example.com:99999', /^needs a port/],
  ['api.example.com:0443', /^needs a port/],
  ['api.example.com:0x1bb', /^needs a port/],
  ['api.example.com:+443', /^needs a port/],
  ['api.example.com: 443', /^needs a port/],
  ['api.example.com:10-9', /^needs a port/],
  ['api.example.com:1-65536', /^needs a port/],
  ['api.example.com:http', /^needs a port/],
  ['https://api.example.com', /^is a URL/],
  ['https://api.example.com:443', /^is a URL/],
  ['2001:db8::1:443', /needs brackets/],
  ['::1:443', /needs brackets/],
  ['[2001:db8::1]', /^must be HOST:PORT/],
  ['[fe80::1%eth0]:443', /has no address/],
  ['[api.example.com]:443', /has no address/],
  ['10.1.2.3/8:443', /bits beyond its prefix; the block is 10\.0\.0\.0\/8/],
  ['[fd00::1/8]:443', /the block is \[fd00::\/8\]/],
  ['10.0.0.0/33:443', /has no address/],
  ['10.0.0.0/08:443', /has no address/],
  ['10.0.0.0/8/8:443', /has no address/],
  ['[::ffff:0.0.0.0/64]:443', /has no address/],
  ['0x7f.1:80', /ends in a number.*write 127\.0\.0\.1/],
  ['127.1:80', /ends in a number.*write 127\.0\.0\.1/],
  ['0177.0.0.1:80', /ends in a number.*write 127\.0\.0\.1/],
  ['2130706433:80', /ends in a number.*write 127\.0\.0\.1/],
  ['0x7f000001:80', /ends in a number.*write 127\.0\.0\.1/],
  ['0:80', /ends in a number.*write 0\.0\.0\.0/],
  ['127.0.0.1.:80', /is an address, not a name/],
  ['１２７.0.0.1:80', /ends in a number.*write 127\.0\.0\.1/],
  ['127。0。0。1:80', /ends in a number.*write 127\.0\.0\.1/],
  ['127.0.0.256:80', /ends in a number/],
  ['127.0.0.08:80', /ends in a number/],
  ['example.0x1:80', /ends in a number/],
  ['example.1:80', /ends in a number/],
  ['example.com\0.evil.org:80', /a character that no name/],
  ['example.com\n:80', /a character that no name/],
  ['example.com%00:80', /a character that no name/],
  ['a%2eb.example:80', /a character that no name/],
  ['user@example.com:80', /a character that no name/],
  ['example.com/path:80', /has no address/],
  ['example.com?x:80', /a character that no name/],
  ['example.com\\x:80', /a character that no name/],
  ['ex ample.com:80', /a character that no name/],
  ['*example.org:80', /a character that no name/],
  ['a.*.example.org:80', /a character that no name/],
  ['**.example.org:80', /a character that no name/],
  ['*.:80', /no name of a host/],
  ['*.*:80', /a character that no name/],
  ['*.10.0.0.1:80', /is an address, not a name/],
  ['a..example:80', /empty part/],
  ['.example.org:80', /empty part/],
  ['example.org..:80', /empty part/],
  ['.:80', /IDNA|empty part/],
  ['-a.example:80', /hyphen/],
  ['a-.example:80', /hyphen/],
  ['xn--a.example:80', /IDNA/],
  ['sctp:example.org:80', /^must be HOST:PORT/],
  ['udp:tcp:example.org:80', /^must be HOST:PORT/],
  [`${'a'.repeat(64)}.example:80`, /more than 63/],
  [`${'a.'.repeat(126)}ab:80`, /longer than the 253/],
  ['localhost:80', /the sandbox itself/],
  ['LOCALHOST.:80', /the sandbox itself/],
  ['ℓocalhost:80', /the sandbox itself/],
  ['db.localhost:80', /the sandbox itself/],
  ['*.localhost:80', /the sandbox itself/],
]

test('what is no destination is refused, and said why', () => {
  for (const [written, fault] of wrong) {
    assert.match(destinationFault(written) ?? 'nothing is wrong', fault, String(written))
    if (typeof written === 'string') assert.equal(parseDestination(written), undefined)
    assert.equal(v.is(destination, written), false)
  }
})

test('names as long as they may be', () => {
  const name = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`
  assert.equal(normalName(name), name)
  assert.equal(normalName(`${name}e`), undefined)
})

/** A rule, what is wanted, whether it is meant. */
const meant: readonly (readonly [string, string, boolean])[] = [
  ['api.example.com:443', 'api.example.com:443', true],
  ['api.example.com:443', 'api.example.com:80', false],
  ['api.example.com:443', 'udp:api.example.com:443', false],
  ['api.example.com:443', 'evilapi.example.com:443', false],
  ['api.example.com:443', 'api.example.com.evil.org:443', false],
  ['api.example.com:443', 'x.api.example.com:443', false],
  ['api.example.com:443', '198.51.100.7:443', false],
  ['*.example.org:80', 'a.example.org:80', true],
  ['*.example.org:80', 'a.b.example.org:80', true],
  ['*.example.org:80', 'example.org:80', false],
  ['*.example.org:80', 'evilexample.org:80', false],
  ['*.example.org:80', 'a.example.org.evil.com:80', false],
  ['*.example.org:80', 'xn--.example.org:80', false],
  ['*:443', 'anything.example:443', true],
  ['*:443', '198.51.100.7:443', true],
  ['*:443', '[2001:db8::1]:443', true],
  ['*:443', 'anything.example:80', false],
  ['10.0.0.5:5432', '10.0.0.5:5432', true],
  ['10.0.0.5:5432', '[::ffff:10.0.0.5]:5432', true],
  ['10.0.0.5:5432', '10.0.0.6:5432', false],
  ['10.0.0.5:5432', '[::10.0.0.5]:5432', false],
  ['10.0.0.5:5432', 'ten.example:5432', false],
  ['10.0.0.0/8:5432', '10.255.255.255:5432', true],
  ['10.0.0.0/8:5432', '11.0.0.0:5432', false],
  ['0.0.0.0/0:5432', '[2001:db8::1]:5432', false],
  ['[fd00::/8]:443', '[fdff::1]:443', true],
  ['[fd00::/8]:443', '[fe00::1]:443', false],
  ['[::/0]:443', '10.0.0.5:443', false],
  ['a.example:8000-8010', 'a.example:7999', false],
  ['a.example:8000-8010', 'a.example:8000', true],
  ['a.example:8000-8010', 'a.example:8010', true],
  ['a.example:8000-8010', 'a.example:8011', false],
]

test('a rule is about what it says, and nothing else', () => {
  for (const [rule, written, expected] of meant) {
    const wanted = parseDestination(written)
    const found =
      wanted !== undefined &&
      matches(parseDestination(rule)!, {
        protocol: wanted.protocol,
        name: wanted.host.kind === 'name' ? wanted.host.name : undefined,
        address: wanted.host.kind === 'address' ? wanted.host.block : undefined,
        port: wanted.first,
      })
    assert.equal(found, expected, `${rule} and ${written}`)
  }
})

test('a name may be asked for while some port of it may be reached', () => {
  const rules = (allow: string[], deny: string[] = []) => ({
    allow: allow.map((text) => parseDestination(text)!),
    deny: deny.map((text) => parseDestination(text)!),
  })
  const may = (...given: Parameters<typeof rules>) => mayReach('a.example.org', rules(...given))
  assert.equal(may([]), false)
  assert.equal(may(['a.example.org:443']), true)
  assert.equal(may(['udp:*.example.org:443']), true)
  assert.equal(may(['*:443']), true)
  assert.equal(may(['0.0.0.0/0:443']), false)
  assert.equal(may(['a.example.org:443'], ['*.example.org:*']), false)
  assert.equal(may(['a.example.org:443'], ['*.example.org:80']), true)
  assert.equal(may(['a.example.org:443'], ['udp:*.example.org:*']), true)
  assert.equal(may(['*:*'], ['a.example.org:*']), false)
  assert.equal(may(['*:*', 'udp:*:*'], ['a.example.org:*']), true, 'it is denied for TCP only')
})

describe('addresses', () => {
  const v6: readonly (readonly [string, string])[] = [
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['::FFFF:192.0.2.1', '192.0.2.1'],
  ]
  test('have one text', () => {
    for (const [text, expected] of v6) assert.equal(addressText(parseAddress(text)!), expected)
  })
  test('of any value come back', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV6(), fc.ipV4()), (text) => {
        const parsed = parseAddress(text)!
        assert.deepEqual(parseAddress(addressText(parsed)), parsed)
        if (parsed.family === 6) assert.equal(new URL(`http://[${text}]/`).hostname, `[${addressText(parsed)}]`)
      }),
    )
  })
})

test('names have addresses by their order', () => {
  const texts = [
    'b.example:443',
    '*.example.org:80',
    'a.example:80-90',
    'b.example:80',
    '10.0.0.1:80',
    'udp:c.example:1',
  ]
  const addresses = fixedAddresses(texts.map((text) => parseDestination(text)!))
  assert.deepEqual(Object.fromEntries(addresses), {
    'b.example': { v4: '198.18.1.0', v6: 'fd00:7669:616c::100' },
    'a.example': { v4: '198.18.1.1', v6: 'fd00:7669:616c::101' },
    'c.example': { v4: '198.18.1.2', v6: 'fd00:7669:616c::102' },
  })
  assert.deepEqual(dnsAddresses, { v4: '198.18.0.1', v6: 'fd00:7669:616c::1' })
  for (const index of [0, 255, 256, mostNames - 1]) {
    const { v4, v6 } = fakeAddresses(index)
    assert.deepEqual([v4, `::ffff:${v4}`, v6].map(fakeIndexOf), [index, index, index])
  }
  const others = ['198.18.0.1', '198.19.0.0', '198.17.255.255', '127.0.0.1', 'fd00:7669:616c::1', 'fd00:7669:616c::1:0']
  assert.deepEqual(
    others.map(fakeIndexOf),
    others.map(() => undefined),
  )
})

test('a text is a name in one spelling, or none, and never an address', () => {
  const letters = [...'aZ09.-_*:[]%/x', 'ü', '。', '１', '\0', 'ß', '\u200d', 'ℓ']
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...letters), maxLength: 12 }), (text) => {
      const name = normalName(text)
      if (name === undefined) return
      assert.equal(normalName(name), name)
      assert.match(name, /^[a-z0-9_.-]+$/)
      // What a URL makes of it is the same name: no parser sees an address.
      assert.equal(new URL(`http://${name}/`).hostname, name)
    }),
    { numRuns: 2000 },
  )
})
