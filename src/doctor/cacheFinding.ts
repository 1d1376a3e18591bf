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
  const directory = cacheDirectory()
  const fault = faultOf(directory)
  return fault === undefined
    ? { name, works: true, detail: directory }
    : { name, works: false, detail: fault, without: 'everything', ...otherPlace() }
}

/** Why a new vial cannot be stored and executed there; undefined: it can be. */
function faultOf(directory: string): string | undefined {
  try {
    // What was stored before is of no use where nothing can be written any more.
    unlinkSync(pathOf(openStored(Buffer.from(`doctor ${process.pid}`), directory)))
    const answer = ask((call) => call('getpid'), directory)
    return answer > 0 ? undefined : `what is stored in ${directory} cannot be executed: ${inWords(answer)}`
  } catch (error) {
    if (error instanceof VialError) return error.message.split('\n', 1)[0]!
    throw error
  }
}

/** Named only when a vial was stored and executed there. */
function otherPlace(): Repair {
  const directory = ['/var/tmp', '/tmp', '/dev/shm'].map((place) => `${place}/vials-${process.geteuid!()}`).find(serves)
  if (directory === undefined)
    return { repair: 'set VIAL_CACHE to a directory of yours that has room and is not mounted noexec' }
  return {
    repair: `mkdir -pm 700 ${directory} && export VIAL_CACHE=${directory}`,
    further: 'this holds for one shell; put it in ~/.profile for all',
  }
}

function serves(directory: string): boolean {
  const wasThere = existsSync(directory)
  try {
    if (faultOf(directory) !== undefined) return false
    const { bavail, bsize } = statfsSync(directory)
    return bavail * bsize > 2 ** 20
  } finally {
    if (!wasThere && existsSync(directory)) {
      clearCache(directory)
      rmdirSync(directory)
    }
  }
}
