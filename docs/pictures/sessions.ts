/** Who enters a living sandbox, and by which descriptors of its monitor. */
import { compileAccepted } from '../../src/compile/compile.js'
import type { NamespaceName } from '../../src/kernel/namespaces.js'
import { namespaceHandles, programHandles } from '../../src/plan/handles.js'
import { acceptPolicy } from '../../src/policy/check.js'
import { type Line, Picture, type Theme, width } from './draw.js'

/** What a sandbox of its own everything hands out. */
export function handedOut(): readonly NamespaceName[] {
  const policy = acceptPolicy({ preset: 'system' })
  const { plan } = compileAccepted(policy, { architecture: 'x64', living: { holds: true } })
  const living = plan.start.living
  if (living === undefined) throw new Error('the plan hands out nothing')
  return living.ownNet ? [...living.handedOut, 'net'] : living.handedOut
}

/** Of launcher/filer.ts and mounter.ts. */
const ofFiles = ['user', 'mount'] as const satisfies readonly NamespaceName[]

interface Entrant {
  readonly name: string
  readonly does: string
  readonly joins: readonly NamespaceName[]
}
const entrants = (all: readonly NamespaceName[]): readonly Entrant[] => [
  { name: 'gate', does: 'box.run, box.spawn, box.shell: stays, a child for each', joins: all },
  { name: 'enter', does: 'vial exec, box.pty: one command', joins: all },
  { name: 'files', does: 'box.files, vial cp: stays, one for each stream', joins: ofFiles },
  { name: 'mount', does: 'box.mount, vial mount: short', joins: ofFiles },
]

export function sessions(names: readonly NamespaceName[], theme: Theme): string {
  const picture = new Picture('who enters a sandbox that runs', theme)
  const wide = width - 8
  const title = (text: string, rest: string): Line[] => [
    { text, bold: true },
    { text: rest, colour: 'faint' },
  ]
  let y = picture.box(
    4,
    4,
    wide,
    title('your program, or a command of vial', 'starts each of these, and talks to it by a pair of sockets or pipes'),
  )
  picture.down(30, y, y + 40, 'all outside of its pid namespace')
  y += 40
  const rows = entrants(names)
  for (const [index, { name, does, joins }] of rows.entries()) {
    const isWhole = joins === names
    const join: Line = {
      text: isWhole ? 'joins all namespaces, pid by its children' : `joins ${joins.join(' and ')}`,
      colour: isWhole ? 'accent' : 'text',
    }
    y = picture.box(4, y, wide, [...title(name, does), join]) + (index < rows.length - 1 ? 8 : 0)
  }
  picture.down(30, y, y + 40, 'by descriptors that the monitor holds')
  y += 40
  const handles = [...names]
    .sort((one, other) => namespaceHandles[one] - namespaceHandles[other])
    .map((name) => `${namespaceHandles[name]} ${name}`)
  y = picture.box(4, y, wide, [
    ...title('monitor', 'outside: waits, and holds'),
    ...[handles.slice(0, 4), handles.slice(4)].map((some): Line => ({ text: some.join('  '), mono: true, indent: 12 })),
    { text: `${programHandles.alone} the program that enters, sealed`, indent: 12 },
  ])
  picture.down(30, y, y + 40, 'clone')
  y += 40
  picture.path(`M4 ${y - 6}H22M38 ${y - 6}H${width - 4}`, 'accent', true)
  y = picture.box(4, y, wide, title('init', 'pid 1 inside: reaps'), 'accent') + 8
  y = picture.box(
    4,
    y,
    wide,
    title('commands', 'in all namespaces, behind no_new_privs, Landlock and the filter; their parents are outside'),
    'accent',
  )
  return picture.svg(y + 4)
}
