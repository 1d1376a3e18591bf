/** What shows that a wall stands, and what only looks like it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Claim, judge } from './judge.js'

const cases: readonly [string, Partial<Claim>, walled: string, weakened: string, RegExp][] = [
  ['refused, and let in without the wall', {}, 'EPERM', 'succeeded', /^proves/],
  ['not refused', {}, 'succeeded', 'succeeded', /^wrong: the wall answered succeeded/],
  ['refused for another reason', {}, 'EINVAL', 'succeeded', /^wrong: the wall answered EINVAL, not EPERM/],
  ['no sandbox at all', {}, 'no sandbox: no such preset', 'succeeded', /^wrong: the wall answered no sandbox/],
  ['nor without the wall', {}, 'EPERM', 'EPERM', /^wrong: without the wall it does not succeed either/],
  ['nothing there either time', { refused: ['ENOENT'] }, 'ENOENT', 'ENOENT', /^wrong: without the wall/],
  ['a crash said to be a refusal', { refused: ['SIGSYS', 'SIGSEGV'] }, 'SIGSYS', 'succeeded', /^wrong: SIGSEGV is no/],
  ['a crash', {}, 'SIGSEGV', 'succeeded', /^wrong: the wall answered SIGSEGV/],
  [
    'a kernel that lacks it',
    { lacking: 'ENOENT', refused: ['ENOENT'] },
    'ENOENT',
    'ENOENT',
    /^skip: this kernel lacks/,
  ],
  [
    'the same by a crash',
    { lacking: 'SIGSEGV', refused: ['SIGSYS'] },
    'SIGSEGV',
    'SIGSEGV',
    /^skip: this kernel lacks/,
  ],
  [
    'a wall before a kernel that lacks it',
    { lacking: 'ENOSYS' },
    'EPERM',
    'ENOSYS',
    /^proves: the wall answers before/,
  ],
  ['lacking only without the wall', { lacking: 'ENOSYS' }, 'EACCES', 'ENOSYS', /^wrong: the wall answered EACCES/],
  ['the kernel behind the wall', { last: false }, 'EPERM', 'EPERM', /^proves: the kernel refuses it too/],
  ['no kernel behind the wall', { last: false }, 'EPERM', 'succeeded', /^wrong: it succeeds where the kernel/],
  ['nothing there for the kernel', { last: false, refused: ['ENOENT'] }, 'ENOENT', 'ENOENT', /^wrong: ENOENT with/],
]

for (const [name, claim, walled, weakened, expected] of cases)
  test(`an attack that is ${name}`, () => {
    const [[kind, why] = []] = Object.entries(judge({ refused: ['EPERM'], last: true, ...claim }, { walled, weakened }))
    assert.match(`${kind}: ${why}`, expected)
  })
