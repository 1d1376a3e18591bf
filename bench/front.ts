/** The fast front of vial-bwrap against bwrap itself: from the cache, without it, and with many lists of options. */
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { frontPath } from '../src/bwrap/frontFile.js'
import { alone, runs, work } from './support/directory.js'
import { exitProgram, installed, median, race, type Times } from './support/race.js'
import { milliseconds, note, raceTable, table } from './support/table.js'

const small =
  '--unshare-all --hostname vial --die-with-parent --new-session --clearenv --setenv PATH /usr/bin ' +
  '--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 ' +
  '--ro-bind /etc/ld.so.cache /etc/ld.so.cache --proc /proc --dev /dev --tmpfs /tmp --remount-ro / --chdir /'

/** Options as people give them. */
const lists: Readonly<Record<string, readonly string[]>> = {
  'all namespaces': small.split(' '),
  "the host's network": [...small.split(' '), '--share-net'],
  'only --ro-bind / /': ['--ro-bind', '/', '/'],
}

export async function bench(): Promise<void> {
  if (installed('bwrap') === undefined) {
    note('bwrap is not installed: apt-get install bubblewrap')
    return
  }
  const cache = join(work, 'front-cache')
  mkdirSync(cache, { mode: 0o700 })
  process.env.VIAL_CACHE = cache
  warm(cache)
  many()
  cold()
}

function warm(cache: string): void {
  for (const [name, options] of Object.entries(lists)) {
    const before = new Set(entries(cache))
    race(1, [[frontPath, ...options, '/bin/true']])
    const vial = entries(cache).find((entry) => !before.has(entry))!
    const [front, theirs, direct] = race(runs, [
      [frontPath, ...options, '/bin/true'],
      ['bwrap', ...options, '/bin/true'],
      [join(cache, 'bwrap', vial), '/bin/true'],
    ]) as [Times, Times, Times]
    raceTable(`From the cache: ${name}, ${runs} in turn`, [
      { name: 'front', times: front, against: { name: 'bwrap', times: theirs, target: 0.6 } },
      { name: 'bwrap', times: theirs },
      { name: 'the vial itself', times: direct },
    ])
    note(`the front's own part: ${milliseconds(median(front) - median(direct))}`)
  }
}

/** 200 lists one after the other, so that no run finds what the one before it has just used. */
function many(): void {
  const options = Array.from({ length: 200 }, (_, index) => [
    ...lists['all namespaces']!,
    '--setenv',
    'N',
    String(index),
  ])
  const commands = ['bwrap', frontPath].map((program) => options.map((list) => [program, ...list, '/bin/true']))
  const times = race(Math.max(3, Math.ceil(runs / 60)), commands.flat()).map(median)
  const sorted = (some: readonly number[]): Times => [...some].sort((a, b) => a - b)
  const [theirs, ours] = [sorted(times.slice(0, 200)), sorted(times.slice(200))]
  raceTable('200 lists of options in a loop, the median of each', [
    { name: 'front', times: ours, against: { name: 'bwrap', times: theirs, target: 0.6 } },
    { name: 'bwrap', times: theirs },
  ])
}

/** Nothing can be stored there, and so each run compiles. */
function cold(): void {
  process.env.VIAL_CACHE = '/proc/nothing'
  const [front, node, nothing] = race(Math.max(10, Math.ceil(runs / 5)), [
    [frontPath, ...lists['all namespaces']!, '/bin/true'],
    [process.execPath, '-e', '0'],
    [exitProgram()],
  ]) as [Times, Times, Times]
  const over = median(front) - median(node)
  table(
    'Without the cache',
    ['', 'median', 'over node', 'target'],
    [
      ['front', milliseconds(median(front)), milliseconds(over), `<= 30.00 ms${over <= 30e6 ? '' : ' MISSED'}`],
      ['node -e 0', milliseconds(median(node))],
      ['a static program that exits', milliseconds(median(nothing))],
    ],
  )
}

const entries = (cache: string): string[] => {
  try {
    return readdirSync(join(cache, 'bwrap'))
  } catch {
    return []
  }
}

await alone(import.meta.url, bench)
