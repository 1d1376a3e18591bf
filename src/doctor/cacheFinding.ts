/** Whether vials can be stored in the cache and executed from there, and where else. Every other question is an executable in it. */
import { existsSync, rmdirSync, statfsSync, unlinkSync } from 'node:fs'
import { cacheDirectory } from '../cache/cacheDirectory.js'
import { clearCache } from '../cache/cacheEntries.js'
import { openStored } from '../cache/contentVials.js'
import { pathOf } from '../cache/executable.js'
import { ask, inWords } from '../host/asked.js'
import { VialError } from '../text/error.js'
import type { Repair } from '../text/repair.js'
import type { Finding } from './finding.js'

export function cacheFinding(): Finding {
  const name = 'a cache for vials'
  const folder = cacheDirectory()
  const fault = faultOf(folder)
  return fault === undefined
    ? { name, works: true, detail: folder }
    : { name, works: false, detail: fault, without: 'everything', ...otherPlace() }
}

/** Why a new vial cannot be stored and executed there; undefined: it can be. */
function faultOf(folder: string): string | undefined {
  try {
    // What was stored before is of no use where nothing can be written any more.
    unlinkSync(pathOf(openStored(Buffer.from(`doctor ${process.pid}`), folder)))
    const answer = ask((call) => call('getpid'), folder)
    return answer > 0 ? undefined : `what is stored in ${folder} cannot be executed: ${inWords(answer)}`
  } catch (error) {
    if (error instanceof VialError) return error.message.split('\n', 1)[0]!
    throw error
  }
}

/** Named only when a vial was stored and executed there. */
function otherPlace(): Repair {
  const folder = ['/var/tmp', '/tmp', '/dev/shm'].map((place) => `${place}/vials-${process.geteuid!()}`).find(serves)
  if (folder === undefined)
    return { repair: 'set VIAL_CACHE to a directory of yours that has room and is not mounted noexec' }
  return {
    repair: `mkdir -pm 700 ${folder} && export VIAL_CACHE=${folder}`,
    further: 'this holds for one shell; put it in ~/.profile for all',
  }
}

function serves(folder: string): boolean {
  const wasThere = existsSync(folder)
  try {
    if (faultOf(folder) !== undefined) return false
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize > 2 ** 20
  } finally {
    if (!wasThere && existsSync(folder)) {
      clearCache(folder)
      rmdirSync(folder)
    }
  }
}
