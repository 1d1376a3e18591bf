/** Rules about requests, and what a policy says of secrets: how they are written, what they match, what is wrong. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checkPolicy } from '../../src/policy/check.js'
import { admits, parseRequest, plainPath, requestFault, requestText } from '../../src/policy/networkRequests.js'
import { covers, parseDestination } from '../../src/policy/networkRules.js'
import { withoutValues } from '../../src/policy/networkSecrets.js'
import { PolicyError } from '../../src/text/error.js'

describe('rules about requests', () => {
  for (const [written, text] of [
    ['GET https://api.example.com/v1/*', 'GET https://api.example.com:443/v1/*'],
    ['* http://example.org', '* http://example.org:80/*'],
    ['POST https://*.example.org:8443/', 'POST https://*.example.org:8443/'],
    ['PURGE http://[2001:db8::1]/a', 'PURGE http://[2001:db8::1]:80/a'],
    ['M-SEARCH http://10.0.0.5:8080/*', 'M-SEARCH http://10.0.0.5:8080/*'],
  ] as const)
    test(`${written} is one`, () => {
      assert.equal(requestFault(written), undefined)
      assert.equal(requestText(parseRequest(written)!), text)
      assert.equal(requestText(parseRequest(text)!), text)
    })

  for (const [written, fault] of [
    ['https://api.example.com/', /must be METHOD URL/],
    ['GET api.example.com/', /must be METHOD URL/],
    ['GET ftp://api.example.com/', /must be METHOD URL/],
    ['GET https://api.example.com/?a=b', /must be METHOD URL/],
    ['GET https://0x7f.1/', /ends in a number/],
    ['GET https://api.example.com:0/', /needs a port/],
    ['GET https://api.example.com/*/x', /has a \* that is not at its end/],
    ['GET https://api.example.com/v1/../*', /several ways/],
    ['GET https://api.example.com/v1%2fx', /several ways/],
    [7, /must be METHOD URL/],
  ] as const)
    test(`${written} is none`, () => assert.match(requestFault(written) ?? '', fault))

  test('a path that servers could read in two ways is none', () => {
    for (const path of ['/', '/v1', '/v1/', '/a.b/..c/d..', '/%61', '/a;b=c', '/~x/-_', '/...'])
      assert.equal(plainPath(path), path)
    for (const path of [
      '',
      '*',
      'v1',
      '//',
      '/a//b',
      '/.',
      '/..',
      '/a/./b',
      '/%2E',
      '/%2e.',
      '/a/.%2e;x/b',
      '/..%3bx',
      '/a%2Fb',
    ])
      assert.equal(plainPath(path), undefined, path)
    for (const path of [
      '/%%32e/a',
      '/%u002e',
      '/a%',
      '/%c0%ae',
      '/%e0%80%af',
      '/%f0%80%80%af',
      '/a%5cb',
      '/a\\b',
      '/%00',
      '/%252e',
      '/a#b',
      '/a b',
      '/é',
      '/a\tb',
    ])
      assert.equal(plainPath(path), undefined, path)
  })

  test('no path that is plain leaves what it begins with, however it is resolved', () => {
    const part = fc.array(fc.constantFrom('.', '..', '/', '%2e', '%2F', 'a', ';', '%3b', '\\', '%', '25', 'x?'), {
      maxLength: 9,
    })
    fc.assert(
      fc.property(part, (parts) => {
        const path = plainPath(`/v1/${parts.join('')}`)
        if (path === undefined) return
        const decoded = [path, decode(path), decode(decode(path)), path.replaceAll(/;[^/]*/g, '')]
        for (const one of decoded)
          assert.ok(new URL(one.replaceAll(/\/+/g, '/'), 'http://h').pathname.startsWith('/v1/'), path)
      }),
      { numRuns: 20_000 },
    )
  })

  test('where one names the host, what none matches is refused, and elsewhere none is asked', () => {
    const rules = ['GET https://api.example.com/v1/*', '* https://*.example.org/'].map((one) => parseRequest(one)!)
    const ask = (method: string, url: string) => {
      const { protocol, hostname, port, pathname } = new URL(url)
      const secure = protocol === 'https:'
      const wanted = { protocol: 'tcp' as const, name: hostname, port: Number(port || (secure ? 443 : 80)) }
      const admitted = admits(rules, { wanted, method, secure, target: `${pathname}?q=..` })
      return typeof admitted === 'object' ? 'admitted' : admitted
    }
    assert.equal(ask('GET', 'https://api.example.com/v1/x'), 'admitted')
    assert.equal(ask('HEAD', 'https://api.example.com/v1/x'), 'refused')
    assert.equal(ask('get', 'https://api.example.com/v1/x'), 'refused')
    assert.equal(ask('GET', 'https://api.example.com/v1'), 'refused')
    assert.equal(ask('PUT', 'https://a.example.org/'), 'admitted')
    assert.equal(ask('PUT', 'https://a.example.org/x'), 'refused')
    assert.equal(ask('GET', 'http://api.example.com:443/v1/x'), 'refused')
    assert.equal(ask('GET', 'https://api.example.com:8443/v2'), undefined)
    assert.equal(ask('GET', 'https://example.org/'), undefined)
  })
})

const decode = (text: string) =>
  text.replaceAll(/%([\da-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))

test('one list covers what another destination has, or not', () => {
  const covered = (rule: string, destination: string) =>
    covers([parseDestination(rule)!], parseDestination(destination)!)
  for (const [rule, destination] of [
    ['*:443', 'a.example.com:443'],
    ['*.example.com:1-500', '*.a.example.com:443'],
    ['10.0.0.0/8:*', '10.0.0.5:443'],
    ['10.0.0.0/8:*', '10.1.0.0/16:443'],
  ] as const) {
    assert.ok(covered(rule, destination), rule)
    assert.ok(!covered(destination, rule), rule)
  }
  for (const [rule, destination] of [
    ['*.example.com:443', 'example.com:443'],
    ['a.example.com:443', 'a.example.com:443-444'],
    ['udp:*:443', 'a.example.com:443'],
    ['0.0.0.0/0:443', 'a.example.com:443'],
  ] as const)
    assert.ok(!covered(rule, destination), rule)
})

const api = 'api.example.com:443'
const secret = { env: 'KEY', for: api }
for (const [network, policy, fault] of [
  [{ secrets: [secret] }, {}, /^network\.secrets\[0\]\.for: needs network\.inspect/],
  [{ inspect: ['other.example.com:443'], secrets: [secret] }, {}, /^network\.secrets\[0\]\.for: needs/],
  [
    { inspect: true, secrets: [{ env: 'KEY', for: '*:443' }] },
    {},
    /^network\.secrets\[0\]\.for: would give the secret to any host/,
  ],
  [{ secrets: [{ env: 'KEY', for: 'udp:api.example.com:53' }] }, {}, /^network\.secrets\[0\]\.for: is not by TCP/],
  [
    { inspect: true, secrets: [secret] },
    { env: { set: { KEY: 'x' } } },
    /^network\.secrets\[0\]\.env: contradicts KEY in env\.set/,
  ],
  [
    { inspect: true, secrets: [secret, { ...secret, header: 'x-key', placeholder: 'sk-11111111' }] },
    {},
    /^network\.secrets\[1\]\.placeholder: differs/,
  ],
  [
    { inspect: true, secrets: [{ ...secret, value: 'a\r\nb' }] },
    {},
    /^network\.secrets\[0\]\.value: must be what a header/,
  ],
  [{ inspect: true, secrets: [{ ...secret, value: '' }] }, {}, /^network\.secrets\[0\]\.value: must be what a header/],
  [{ inspect: true, secrets: [{ ...secret, header: 'a b' }] }, {}, /^network\.secrets\[0\]\.header: must be the name/],
  [
    { inspect: true, secrets: [{ ...secret, placeholder: 'short' }] },
    {},
    /^network\.secrets\[0\]\.placeholder: must have/,
  ],
  [{ requests: ['GET https://api.example.com/'] }, {}, /^network\.requests\[0\]: needs network\.inspect/],
  [{ inspect: ['udp:a.example.com:53'] }, {}, /^network\.inspect\[0\]: is not by TCP/],
  [{ inspect: 'all' }, {}, /^network\.inspect: must be true or a list/],
  [
    {},
    { filesystem: [{ file: '/ca.pem', authorities: true }] },
    /^filesystem\[0\]\.authorities: needs network\.inspect/,
  ],
  [
    { inspect: true },
    { filesystem: ['/a', '/b'].map((file) => ({ file, authorities: true })) },
    /^filesystem\[1\]\.authorities: is a second one/,
  ],
] as const)
  test(`a policy with ${JSON.stringify({ network, ...policy })} is refused`, () => {
    assert.throws(
      () => checkPolicy({ preset: 'system', network, ...policy }),
      (error) => error instanceof PolicyError && error.message.split('\n').some((line) => fault.test(line)),
    )
  })

test('a policy is written down without the values of its secrets, and read again', () => {
  const given = { preset: 'system', network: { inspect: true, secrets: [{ ...secret, value: 's3cr3t' }] } } as const
  const written = JSON.stringify(withoutValues(checkPolicy(given)))
  assert.doesNotMatch(written, /s3cr3t/)
  assert.deepEqual(checkPolicy(JSON.parse(written)), { ...given, network: { inspect: true, secrets: [secret] } })
})
