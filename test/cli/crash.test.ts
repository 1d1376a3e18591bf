/** What `vial doctor` says of the host's crash handler. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crashFinding } from '../../src/doctor/crashFinding.js'

const usual = { pattern: '|/usr/share/apport/apport %p', hardLimit: Number.POSITIVE_INFINITY, raisesLimits: false }

test('a handler that is piped to is kept away by a limit of one byte, where the caller may have one', () => {
  for (const facts of [usual, { ...usual, hardLimit: 1 }, { ...usual, hardLimit: 0, raisesLimits: true }])
    assert.equal(crashFinding(facts).works, true)
  const finding = crashFinding({ ...usual, hardLimit: 0 })
  assert.equal(finding.works, false)
  assert.match(finding.repair!, /hard limit of 1 byte/)
})

test('a handler that listens on a socket is asked, whatever the limit', () => {
  const finding = crashFinding({ ...usual, pattern: '@/run/coredump.socket' })
  assert.equal(finding.works, false)
  assert.match(finding.repair!, /sysctl -w kernel\.core_pattern/)
})

test('a file is written by no crash', () => {
  for (const pattern of ['core', '/var/crash/%p', ''])
    assert.equal(crashFinding({ ...usual, pattern, hardLimit: 0 }).works, true)
})

test('this host is asked', () => {
  assert.match(crashFinding().detail!, /core_pattern/)
})
