/** Cost against the number of mounts, drawn to mounts.svg next to the sources. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { vial } from './policy.js'
import { chart } from './support/chart.js'
import { alone, kept, runs, work } from './support/directory.js'
import { exitProgram, installed, median, race } from './support/race.js'
import { milliseconds, note, table } from './support/table.js'

const counts = [1, 10, 25, 50, 100, 200, 300, 400, 500]

export async function bench(): Promise<void> {
  const inBwrap = installed('bwrap') !== undefined
  const points = counts.map((count) => {
    // The program is one of the mounts.
    const binds = Array.from(
      { length: count - 1 },
      (_, index) => [join(work, `from/${index}`), `/to/${index}`] as const,
    )
    for (const [from] of binds) mkdirSync(from, { recursive: true })
    const ours = vial(
      { filesystem: [...[[exitProgram(), '/exit'] as const, ...binds].map(([from, bind]) => ({ bind, from }))] },
      `vial.${count}`,
    )
    const options = [[exitProgram(), '/exit'], ...binds].flatMap(([from, to]) => ['--ro-bind', from!, to!])
    const theirs = ['bwrap', '--unshare-all', '--die-with-parent', '--new-session', ...options, '/exit']
    const [mine, other] = race(Math.max(10, Math.ceil(runs / 8)), [[ours, '/exit'], ...(inBwrap ? [theirs] : [])])
    return { count, vial: median(mine!), ...(other === undefined ? {} : { bwrap: median(other) }) }
  })
  table(
    'Cost against the number of read-only binds',
    ['mounts', 'vial', 'bwrap', 'ratio'],
    points.map(({ count, vial, bwrap }) => [
      String(count),
      milliseconds(vial),
      ...(bwrap === undefined ? [] : [milliseconds(bwrap), (vial / bwrap).toFixed(2)]),
    ]),
  )
  if (!inBwrap) {
    note('bwrap is not installed: nothing is drawn')
    return
  }
  const line = (name: 'vial' | 'bwrap') => ({
    name,
    points: points.map((point) => [point.count, (point[name] ?? 0) / 1e6] as const),
  })
  const svg = chart({
    title: 'One run against the number of read-only binds (median)',
    x: 'mounts',
    y: 'ms',
    lines: [line('vial'), line('bwrap')],
  })
  writeFileSync(kept('mounts.svg'), svg)
  note('drawn to bench/mounts.svg')
}

await alone(import.meta.url, bench)
