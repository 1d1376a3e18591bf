/** How what is published is written. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkPolicy } from '../../src/policy/check.js'
import { parsePublished, publishedFault, publishedPlace } from '../../src/policy/networkPublish.js'

const right: readonly (readonly [string, string, number | string])[] = [
  ['8080:80', '127.0.0.1:8080', 80],
  ['0:80', '127.0.0.1:0', 80],
  ['0.0.0.0:8080:80', '0.0.0.0:8080', 80],
  ['[::1]:8080:80', '[::1]:8080', 80],
  ['8080:/run/app', '127.0.0.1:8080', '/run/app'],
  ['[::1]:8080:/run/app', '[::1]:8080', '/run/app'],
  ['/run/app:80', '/run/app', 80],
  ['/run/app:/run/other', '/run/app', '/run/other'],
  ['/run//./app:/run/other', '/run/app', '/run/other'],
  // A colon in a path is one, unless a port is all that follows, or a path.
  ['/run/a:b:80', '/run/a:b', 80],
  ['/run/a:1:/run/b:2', '/run/a:1', '/run/b:2'],
  [`/${'x'.repeat(106)}:80`, `/${'x'.repeat(106)}`, 80],
]

test('a port or a path, on either side', () => {
  for (const [text, place, inside] of right) {
    assert.equal(publishedFault(text), undefined, text)
    const parsed = parsePublished(text)!
    assert.deepEqual([publishedPlace(parsed.at), parsed.inside], [place, inside])
  }
})

const wrong: readonly (readonly [unknown, RegExp])[] = [
  ...[
    '80',
    '',
    8080,
    'host:80:80',
    '80:0',
    '65536:80',
    '80:70000',
    'run/app:80',
    '/run/app',
    '80:run/app',
    '::1:8080:80',
  ].map((text) => [text, /^must be /] as const),
  ['/run/../app:80', /^has a path with "\.\."/],
  ['80:/run/app/', /^has the path of a directory/],
  ['/:80', /^has the path of a directory/],
  ['80:/run/a\0b', /^has a NUL byte/],
  [`80:/${'x'.repeat(107)}`, /^has a path longer than the 107 bytes/],
  // Bytes, not characters.
  [`/${'é'.repeat(54)}:80`, /^has a path longer than the 107 bytes/],
]

test('what is wrong is said', () => {
  for (const [text, fault] of wrong) {
    assert.match(String(publishedFault(text)), fault, String(text))
    assert.equal(typeof text === 'string' && parsePublished(text), typeof text === 'string' ? undefined : false)
  }
})

test('a path inside needs mounts of its own', () => {
  const policy = (publish: string) => ({ network: { publish: [publish] }, namespaces: { mount: 'host' } })
  assert.doesNotThrow(() => checkPolicy(policy('/run/app:80')))
  assert.throws(
    () => checkPolicy(policy('80:/run/app')),
    /network\.publish\[0\].*a path inside needs mounts of its own/,
  )
})
