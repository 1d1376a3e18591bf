/** One run without a sandbox, in a vial, in bwrap, and by a C program that does what the vial does. */
import {
  bwrap,
  bwrapWithExit,
  bwrapWithHostsNetwork,
  exitInside,
  policy,
  vial,
  withExit,
  withHostsNetwork,
} from './policy.js'
import { alone, runs } from './support/directory.js'
import { type Command, compiledC, exitProgram, installed, race, type Times } from './support/race.js'
import { note, type Runner, raceTable } from './support/table.js'

export async function bench(): Promise<void> {
  const twin = compiledC('twin')
  const inBwrap = installed('bwrap') !== undefined
  const commands: Record<string, Command> = {
    'a static program that exits': [exitProgram()],
    'it in a vial, all namespaces': [vial(withExit(policy), 'vial.exit'), exitInside],
    "it in a vial, the host's network": [vial(withExit(withHostsNetwork), 'vial.exit.host-net'), exitInside],
    '/bin/true': ['/bin/true'],
    'in a vial, all namespaces': [vial(policy, 'vial'), 'true'],
    'the same system calls in C': [twin, 'true'],
    "in a vial, the host's network": [vial(withHostsNetwork, 'vial.host-net'), 'true'],
    'the same in C': [twin, '--share-net', 'true'],
    ...(inBwrap
      ? {
          'it in bwrap, all namespaces': [...bwrapWithExit(bwrap), exitInside],
          "it in bwrap, the host's network": [...bwrapWithExit(bwrapWithHostsNetwork), exitInside],
          'in bwrap, all namespaces': [...bwrap, 'true'],
          "in bwrap, the host's network": [...bwrapWithHostsNetwork, 'true'],
        }
      : {}),
  }
  const names = Object.keys(commands)
  const all = race(runs, Object.values(commands))
  const times = (name: string): Times | undefined => all[names.indexOf(name)]
  const row = (name: string, other?: string, target = 0): Runner => {
    const against = other === undefined ? undefined : times(other)
    return {
      name,
      times: times(name)!,
      ...(against === undefined ? {} : { against: { name: target === 1.3 ? 'C' : 'bwrap', times: against, target } }),
    }
  }
  const rows = [
    row('a static program that exits'),
    row('it in a vial, all namespaces', 'it in bwrap, all namespaces', 0.5),
    row('it in bwrap, all namespaces'),
    row("it in a vial, the host's network", "it in bwrap, the host's network", 0.5),
    row("it in bwrap, the host's network"),
    row('/bin/true'),
    row('in a vial, all namespaces', 'in bwrap, all namespaces', 0.5),
    row('in a vial, all namespaces', 'the same system calls in C', 1.3),
    row('the same system calls in C'),
    row('in bwrap, all namespaces'),
    row("in a vial, the host's network", "in bwrap, the host's network", 0.5),
    row("in a vial, the host's network", 'the same in C', 1.3),
    row('the same in C'),
    row("in bwrap, the host's network"),
  ]
  raceTable(
    `One run, ${runs} in turn`,
    rows.filter(({ times }) => times !== undefined),
  )
  if (!inBwrap) note('bwrap is not installed: apt-get install bubblewrap')
}

await alone(import.meta.url, bench)
