/** Two walks decide whose vials are executed, the front's in machine code and the cache's in Node: of each tree both think the same. */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, lchownSync, linkSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { namedCache } from '../../src/cache/cacheDirectory.js'
import { entryKinds } from '../../src/cache/entryKinds.js'
import { trustedDirectory } from '../../src/cache/trust.js'
import { findVial } from '../../src/cache/vialStore.js'
import { notRoot } from '../support/needs.js'
import { type Caller, callers } from '../support/user.js'
import { entries, everything, fromCache, front, newDirectory, notCached } from './tools.js'

const stranger = 54321
const args = [...everything, '/bin/true']

/** What of the way is changed, one thing at a time: `there/cache/bwrap/VIAL`, where `link` leads to `there`. */
const parts = ['there', 'there/cache', 'there/cache/bwrap'] as const
const modes = [0o700, 0o755, 0o775, 0o757, 0o777, 0o1755, 0o1777, 0o1770]
const vialModes = [0o500, 0o400, 0o700, 0o501, 0o540, 0o4500, 0o2500, 0o1500]

/** As the caller would see it. */
function as<Value>({ uid, gid }: Caller, action: () => Value): Value {
  process.setegid!(gid)
  process.seteuid!(uid)
  try {
    return action()
  } finally {
    process.seteuid!(0)
    process.setegid!(0)
  }
}

for (const caller of callers) {
  const owners = [...new Set([0, caller.uid, stranger])]

  /** A cache with one vial, and what each of the two thinks of it. */
  function scene() {
    const base = newDirectory(caller)
    const at = (name: string) => join(base, name)
    for (const name of parts.slice(0, 2)) {
      mkdirSync(at(name), { mode: 0o700 })
      chownSync(at(name), caller.uid, caller.gid)
    }
    symlinkSync('there', at('link'))
    lchownSync(at('link'), caller.uid, caller.gid)
    assert.equal(front(caller, args, { cache: at('there/cache') }).status, 0)
    const [name] = entries(at('there/cache'))
    const vial = at(`there/cache/bwrap/${name}`)
    const think = (way: string) => {
      const cache = at(`${way}/cache`)
      const { status } = fromCache(caller, args, { cache })
      assert.ok(status === 0 || status === notCached)
      const nodes = as(caller, () => {
        try {
          const real = trustedDirectory(join(cache, 'bwrap'), { missing: 'refuse', trusts: 'front' })
          return findVial(join(real, '..'), entryKinds.front, name!, () => true) !== undefined
        } catch {
          return false
        }
      })
      return [status === 0, nodes]
    }
    return { at, vial, think }
  }

  for (const part of parts)
    test(`${caller.name}: ${part}, of each owner and mode`, { skip: notRoot }, () => {
      const { at, think } = scene()
      const used: string[] = []
      for (const owner of owners)
        for (const mode of modes) {
          chownSync(at(part), owner, owner)
          chmodSync(at(part), mode)
          for (const way of ['there', 'link']) {
            const what = `${way}, uid ${owner}, mode ${mode.toString(8)}`
            const [fronts, nodes] = think(way)
            assert.equal(fronts, nodes, what)
            if (fronts) used.push(what)
          }
        }
      // Neither trusts all, nor none.
      assert.ok(used.includes(`link, uid ${caller.uid}, mode 755`))
      assert.ok(!used.some((what) => what.includes(`${stranger}`) || what.endsWith(' 777')))
    })

  test(`${caller.name}: the vial, of each owner and mode, and with another name`, { skip: notRoot }, () => {
    const { vial, think } = scene()
    for (const owner of owners)
      for (const mode of vialModes) {
        chownSync(vial, owner, owner)
        chmodSync(vial, mode)
        const good = owner === caller.uid && mode === 0o500
        assert.deepEqual(think('there'), [good, good], `uid ${owner}, mode ${mode.toString(8)}`)
      }
    chownSync(vial, caller.uid, caller.gid)
    chmodSync(vial, 0o500)
    assert.deepEqual(think('there'), [true, true])
    linkSync(vial, `${vial}.link`)
    assert.deepEqual(think('there'), [false, false], 'two links')
    rmSync(`${vial}.link`)
    renameSync(vial, `${vial}.real`)
    symlinkSync(`${vial}.real`, vial)
    assert.deepEqual(think('there'), [false, false], 'a symlink')
  })
}

test('a cache is named by an absolute path, or by VIAL_CACHE: a relative HOME is no place where the front looks', () => {
  const before = { ...process.env }
  try {
    for (const [env, named] of [
      [{ VIAL_CACHE: '/a', XDG_CACHE_HOME: '/b', HOME: '/c' }, '/a'],
      [{ VIAL_CACHE: 'a', HOME: '/c' }, join(process.cwd(), 'a')],
      [{ VIAL_CACHE: '', XDG_CACHE_HOME: '/b', HOME: '/c' }, '/b/vial'],
      [{ XDG_CACHE_HOME: 'b', HOME: '/c' }, '/c/.cache/vial'],
      [{ XDG_CACHE_HOME: 'b', HOME: 'c' }, undefined],
      [{}, undefined],
    ] as const) {
      process.env = { ...env }
      assert.equal(namedCache(), named)
    }
  } finally {
    process.env = before
  }
})
