/** In nothing that is named here is a sandbox of ours weaker than the same of another's; docs/compared.md has the table. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callers, root } from '../support/user.js'
import { bwrap, crun, docker, installed, ours, type View } from './view.js'

/** Options that take something away. Read-only counts, but where a place is for writing. */
const restrictions = ['nosuid', 'nodev', 'noexec', 'ro']

/**
 * What an ordinary caller's payload may open for writing, of the little that Docker shows read-only: a new process number
 * needs a capability to be set, whatever the file's mode is, pid_namespaces(7).
 */
const forEverybody = ['/proc/sys']

function assertNotWeaker(mine: View, theirs: View, mayWrite: readonly string[] = []) {
  const bits = (view: View, set: string) => BigInt(`0x${view.status[set]}`)
  for (const set of Object.keys(mine.status).filter((name) => name.startsWith('Cap')))
    assert.equal(bits(mine, set) & ~bits(theirs, set), 0n, set)
  assert.ok(Number(mine.status.Seccomp) >= Number(theirs.status.Seccomp), 'Seccomp')
  assert.ok(Number(mine.status.NoNewPrivs) >= Number(theirs.status.NoNewPrivs), 'NoNewPrivs')
  const shared = Object.keys(mine.mounts).filter((place) => place in theirs.mounts)
  assert.ok(shared.length > 5, shared.join())
  for (const place of shared)
    for (const option of restrictions)
      if (theirs.mounts[place]!.includes(option)) assert.ok(mine.mounts[place]!.includes(option), `${place}: ${option}`)
  assert.deepEqual(
    mine.devices.filter((device) => !theirs.devices.includes(device)),
    [],
  )
  const more = (kind: 'readable' | 'writable') => mine[kind].filter((path) => !theirs[kind].includes(path))
  assert.deepEqual(more('readable'), [])
  assert.deepEqual(
    more('writable').filter((path) => !mayWrite.includes(path)),
    [],
  )
}

test('none is weaker than Docker, as crun carries it out', {
  skip: process.getuid?.() !== 0 ? 'needs root' : installed('crun') ? false : 'crun is not installed',
}, () => {
  const theirs = crun()
  // It is Docker's: these are known of it.
  assert.equal(theirs.status.CapEff, '00000000a80425fb')
  assert.deepEqual([theirs.readable, theirs.writable], [[], []])
  assert.equal(docker.capabilities.length, 14)
  for (const caller of callers) assertNotWeaker(ours(caller, false), theirs, caller.uid === 0 ? [] : forEverybody)
  assertNotWeaker(ours(root, true), theirs)
})

test('none is weaker than bwrap', { skip: installed('bwrap') ? false : 'bwrap is not installed' }, () => {
  for (const caller of callers) assertNotWeaker(ours(caller, false), bwrap(caller))
})
