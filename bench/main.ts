/**
 * `npm run bench [-- WORD…] [--runs N] [--root]`: all benches, or those whose name has one of the words. Each also runs
 * alone: `node dist/bench/start.js`. To add one, export `bench` from a file here, end it with `alone`, and name it below.
 */
import { asOrdinaryUser, words } from './support/directory.js'

const benches: Readonly<Record<string, () => Promise<{ bench(): Promise<void> }>>> = {
  start: () => import('./start.js'),
  node: () => import('./node.js'),
  compile: () => import('./compile.js'),
  memory: () => import('./memory.js'),
  mounts: () => import('./mounts.js'),
  live: () => import('./live.js'),
  work: () => import('./work.js'),
  enter: () => import('./enter.js'),
  pool: () => import('./pool.js'),
  containers: () => import('./containers.js'),
  front: () => import('./front.js'),
  limits: () => import('./limits.js'),
  network: () => import('./network.js'),
  seccomp: () => import('./seccomp.js'),
  runtimes: () => import('./runtimes.js'),
}

await asOrdinaryUser(async () => {
  for (const [name, load] of Object.entries(benches)) {
    if (words.length > 0 && !words.some((word) => name.includes(word))) continue
    try {
      await (await load()).bench()
    } catch (error) {
      process.stdout.write(`\n${name}: ${(error as Error).message}\n`)
      process.exitCode = 1
    }
  }
})
