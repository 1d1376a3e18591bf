/** What works on the files of an open sandbox, for as long as that is open. */
import { HostError } from '../text/error.js'
import { BoxFiles } from './boxFiles.js'
import type { FilesHelper } from './filesHelper.js'
import type { Inspected } from './inspectSandbox.js'

/** Those of one sandbox: what works on them is started at first use, again if it had to be killed, and ends with the sandbox. */
export function filesOf(sandbox: Inspected, ended: Promise<unknown>): BoxFiles {
  let helper: FilesHelper | undefined
  const streams = new Set<FilesHelper>()
  let isOver = false
  const close = () => {
    isOver = true
    for (const one of [helper, ...streams]) one?.close()
  }
  ended.then(close, close)
  const start = async () => {
    const { FilesHelper } = await import('./filesHelper.js')
    if (isOver) throw new HostError('the sandbox has ended')
    return new FilesHelper(sandbox)
  }
  return new BoxFiles({
    async shared() {
      if (helper === undefined || helper.isOver) {
        const started = await start()
        if (helper === undefined || helper.isOver) helper = started
        else started.close()
      }
      return helper
    },
    async own() {
      for (const one of streams) if (one.isOver) streams.delete(one)
      const started = await start()
      streams.add(started)
      return started
    },
  })
}
