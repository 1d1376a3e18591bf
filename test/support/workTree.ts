import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Caller, workDirectory } from './user.js'

export interface HostTree {
  readonly top: string
  readonly tree: string
  /** Beside the tree: where its layers are to be. */
  readonly cache: string
  /** Gives the caller what was made there since. */
  readonly own: () => void
}

let trees = 0

/** A directory of the caller's in which a script has run, for boxes that work on it. */
export function hostTree(caller: Caller, script: string, name = 'tree'): HostTree {
  const top = workDirectory(caller, `work-${++trees}`)
  const [tree, cache] = [join(top, name), join(top, 'cache')]
  const own = () => {
    if (process.getuid?.() === 0) spawnSync('chown', ['-hR', `${caller.uid}:${caller.gid}`, top])
  }
  mkdirSync(tree)
  const { status, stderr } = spawnSync('sh', ['-ec', script], { cwd: tree, encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  own()
  return { top, tree, cache, own }
}
