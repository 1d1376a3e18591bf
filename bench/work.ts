/** A work tree with many files beneath: ways back, forks, and the commit of as many files. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sandbox } from '../src/index.js'
import { alone, runs, work } from './support/directory.js'
import { exitProgram, median, raceHere, type Times } from './support/race.js'
import { milliseconds, table } from './support/table.js'

const [directories, each] = [100, 100]

export async function bench(): Promise<void> {
  const tree = join(work, 'worked-on')
  for (let directory = 0; directory < directories; directory++) {
    mkdirSync(join(tree, `${directory}`), { recursive: true })
    for (let file = 0; file < each; file++) writeFileSync(join(tree, `${directory}/${file}`), Buffer.alloc(1024, 'x'))
  }
  const policy = sandbox({ preset: 'system' })
  const open = () => policy.open({ work: { path: tree, inside: '/work' } })
  const box = await open()
  try {
    const program = exitProgram()
    const rounds = Math.max(10, Math.ceil(runs / 10))
    const write = () => box.run('sh', ['-c', 'echo > new; rm 1/1; echo > 2/2'], { cwd: '/work' })
    const [spawned, back, opened, forked] = (await raceHere(rounds, [
      () => once(spawn(program, [], { stdio: 'ignore' }), 'exit'),
      () => box.rollback(),
      async () => (await open()).close(),
      async () => {
        const fork = await box.fork()
        await fork.close()
        // The line would be as long as there are rounds.
        await box.rollback()
      },
    ])) as [Times, Times, Times, Times]
    const allowed = 2e6
    const verdict = (time: number, most: number) => `<= ${milliseconds(most)}${time <= most ? '' : ' MISSED'}`
    const fork = median(forked) - median(opened) - median(back)
    table(
      `A work tree over ${directories * each} files, ${rounds} in turn`,
      ['', 'median', 'least', 'allowed'],
      [
        ['spawn of a static program, by Node', milliseconds(median(spawned)), milliseconds(spawned[0]!)],
        ['rollback', milliseconds(median(back)), milliseconds(back[0]!), verdict(median(back), allowed)],
        ['more than the spawn', milliseconds(median(back) - median(spawned))],
        ['open and close of a box with a work tree', milliseconds(median(opened)), milliseconds(opened[0]!)],
        ['the same by fork, and a rollback', milliseconds(median(forked)), milliseconds(forked[0]!)],
        ['so a fork takes more than open()', milliseconds(fork), '', verdict(fork, allowed)],
      ],
    )
    await write()
    const copy = 'mkdir copy; for d in [0-9]*; do cp -r $d copy/; done'
    await box.run('sh', ['-c', copy], { cwd: '/work' })
    const before = process.hrtime.bigint()
    const changes = await box.commit()
    const took = Number(process.hrtime.bigint() - before)
    table(
      'A commit',
      ['changes', 'took', 'allowed'],
      [[String(changes.length), milliseconds(took), verdict(took, 2e9)]],
    )
  } finally {
    await box.close()
  }
}

await alone(import.meta.url, bench)
