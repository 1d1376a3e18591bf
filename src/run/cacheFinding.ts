/** Whether vials can be stored in the cache and executed from there, and where else. Every other question is an executable in it. */
import { accessSync, constants, readFileSync, realpathSync, statfsSync } from 'node:fs'
import { isWithin } from '../policy/path.js'
import { inCache } from './cache.js'
import type { Finding } from './finding.js'
import { ask, inWords } from './probe.js'

export function cacheFinding(): Finding {
  const name = 'a cache for vials'
  const lacking = (detail: string): Finding => ({ name, works: false, detail, without: 'everything', repair: repair() })
  try {
    const folder = inCache('a vial', (folder) => folder)
    const answer = ask((call) => call('getpid'))
    return answer > 0
      ? { name, works: true, detail: folder }
      : lacking(`what is stored in ${folder} cannot be executed: ${inWords(answer)}`)
  } catch (error) {
    return lacking((error as Error).message.split('\n', 1)[0]!)
  }
}

/** Named only when a vial could be stored and executed there. */
function repair(): string {
  const place = ['/var/tmp', '/tmp', '/dev/shm'].find(serves)
  if (place === undefined) return 'set VIAL_CACHE to a directory of yours that has room and is not mounted noexec'
  const folder = `${place}/vials-${process.geteuid!()}`
  return `mkdir -pm 700 ${folder} && export VIAL_CACHE=${folder}  (for this shell; in ~/.profile, for each)`
}

function serves(place: string): boolean {
  try {
    accessSync(place, constants.W_OK)
    const { bavail, bsize } = statfsSync(place)
    return bavail * bsize > 2 ** 20 && !optionsAt(realpathSync(place)).includes('noexec')
  } catch {
    return false
  }
}

/** Of the mount that a path lies on: the fields of proc_pid_mountinfo(5), in which the last of those at one place is on top. */
function optionsAt(path: string): string[] {
  let over = { place: '', options: '' }
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [, , , , place = '', options = ''] = line.split(' ')
    if (place !== '' && place.length >= over.place.length && isWithin(path, place)) over = { place, options }
  }
  return over.options.split(',')
}
