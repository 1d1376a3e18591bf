/** Commits the layer of a directory to its host, or finishes that, and is killed before the system call of this number that changes a file. */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'

const [, , top = '', what = '', number = ''] = process.argv
let left = Number.POSITIVE_INFINITY
const calls =
  'openSync mkdirSync renameSync unlinkSync rmdirSync symlinkSync writeSync writeFileSync ftruncateSync chmodSync fchmodSync'
const all = fs as unknown as Record<string, (...args: unknown[]) => unknown>
for (const name of calls.split(' ')) {
  const original = all[name]!
  all[name] = (...args) => {
    if (left-- === 0) process.kill(process.pid, 'SIGKILL')
    return original(...args)
  }
}
syncBuiltinESMExports()

const { HostDirectory } = await import('../../src/live/hostDirectory.js')
const { findChanges } = await import('../../src/live/workChanges.js')
const { commitJournaled, finishCommit } = await import('../../src/live/workJournal.js')

const layer = join(top, 'layer')
if (what === 'commit') {
  const path = join(top, 'host')
  const [host, upper] = [path, join(layer, 'upper')].map((one) => HostDirectory.at(one))
  const found = await findChanges({ host: host!, uppers: [upper!], isLater: () => false, has: async () => true })
  left = Number(number)
  commitJournaled(
    layer,
    { path, ...host!.own() },
    { host: host!, uppers: [upper!], overwrites: false },
    ['upper'],
    found,
  )
} else {
  left = Number(number)
  finishCommit(layer)
}
