/** The compiler: a policy of forty mounts, warm, and the size of what it makes. */
import { compile } from '../src/compile/compile.js'
import { type Architecture, architectures } from '../src/kernel/architecture.js'
import type { Policy } from '../src/policy/schema.js'
import { alone, runs } from './support/directory.js'
import { median, raceHere } from './support/race.js'
import { milliseconds, table } from './support/table.js'

/** Forty mounts as a user writes them: a small system, of which /dev is nine, and directories of projects. */
export const fortyMounts: Policy = {
  filesystem: [
    { bind: '/usr' },
    { symlink: '/bin', to: 'usr/bin' },
    { symlink: '/lib', to: 'usr/lib' },
    { symlink: '/lib64', to: 'usr/lib64' },
    { proc: '/proc' },
    { dev: '/dev' },
    { tmpfs: '/tmp' },
    ...Array.from({ length: 28 }, (_, index) => ({
      bind: `/srv/project-${index}/data`,
      from: `/home/user/projects/project-${index}`,
      writable: index % 4 === 0,
    })),
  ],
}

export async function bench(): Promise<void> {
  const bytes = (architecture: Architecture, status: 0 | 1) =>
    compile(fortyMounts, { architecture, descriptors: { status } }).bytes.length
  const limit = 16 * 1024
  const sizes = architectures.flatMap((architecture) => [
    [`${architecture}: stands alone, with its error sentences`, bytes(architecture, 0)] as const,
    [`${architecture}: run by the library`, bytes(architecture, 1)] as const,
  ])
  table(
    'Size of a vial of 40 mounts',
    ['', 'bytes', 'target'],
    sizes.map(([name, size]) => [name, String(size), `<= ${limit}${size <= limit ? '' : ' MISSED'}`]),
  )

  for (let warm = 0; warm < 200; warm++) compile(fortyMounts)
  const [times] = await raceHere(Math.max(runs, 500), [() => compile(fortyMounts)])
  const took = median(times!)
  table(
    'Compiling 40 mounts, warm',
    ['', 'median', 'least', 'target'],
    [['policy to bytes', milliseconds(took), milliseconds(times![0]!), `<= 2 ms${took <= 2e6 ? '' : ' MISSED'}`]],
  )
}

await alone(import.meta.url, bench)
