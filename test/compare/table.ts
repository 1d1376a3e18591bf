/** Prints the table of docs/compared.md, from a run: `node dist/test/compare/table.js`, as root. */
import { ordinary, root } from '../support/user.js'
import { bwrap, crun, docker, ours, type View } from './view.js'

const views: [string, View][] = [
  ['vial', ours(ordinary, false)],
  ['vial by root', ours(root, false)],
  ['vial in root mode', ours(root, true)],
  ['Docker (crun, root)', crun()],
  ['bwrap', bwrap(ordinary)],
]
const rows: [string, (view: View) => string][] = [
  ...(['CapEff', 'CapPrm', 'CapBnd', 'CapInh', 'CapAmb', 'NoNewPrivs', 'Seccomp'] as const).map(
    (name): [string, (view: View) => string] => [name, ({ status }) => status[name]!.replace(/^0+(?=.)/, '')],
  ),
  ...(['/', '/usr', '/proc', '/dev', '/dev/null', '/dev/pts', '/dev/shm', '/dev/mqueue', '/sys', '/tmp'] as const).map(
    (place): [string, (view: View) => string] => [
      place,
      ({ mounts }) => mounts[place]?.filter((option) => option !== 'relatime').join(' ') ?? 'no mount',
    ],
  ),
  ['devices', ({ devices }) => devices.map((path) => path.replace('/dev/', '')).join(' ')],
  [`can be read, of ${docker.masked.length} that Docker masks`, ({ readable }) => readable.join(' ') || 'none'],
  [
    `can be opened to write, of ${docker.readonly.length} that it shows read-only`,
    ({ writable }) => writable.join(' ') || 'none',
  ],
]
const line = (cells: readonly string[]) => process.stdout.write(`| ${cells.join(' | ')} |\n`)
line(['', ...views.map(([name]) => name)])
line(['---', ...views.map(() => '---')])
for (const [name, cell] of rows) line([name, ...views.map(([, view]) => cell(view))])
