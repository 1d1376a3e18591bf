/** One run of `true`: without a sandbox, in a vial, in bwrap, and by a C program that does what the vial does. */
import { bwrap, bwrapWithHostsNetwork, policy, vial, withHostsNetwork } from './policy.js'
import { alone, runs } from './support/folder.js'
import { compiledC, exitProgram, installed, race } from './support/race.js'
import { note, raceTable } from './support/table.js'

export async function bench(): Promise<void> {
  const twin = compiledC('twin')
  const inBwrap = installed('bwrap') !== undefined
  const commands = [
    [exitProgram()],
    ['/bin/true'],
    [vial(policy, 'vial'), 'true'],
    [twin, 'true'],
    [vial(withHostsNetwork, 'vial.host-net'), 'true'],
    [twin, '--share-net', 'true'],
    ...(inBwrap
      ? [
          [...bwrap, 'true'],
          [...bwrapWithHostsNetwork, 'true'],
        ]
      : []),
  ]
  const [nothing, plain, ours, byHand, oursHostNet, byHandHostNet, theirs, theirsHostNet] = race(runs, commands)
  const against = (times: typeof theirs, name: string, target: number) =>
    times === undefined ? {} : { against: { name, times, target } }
  raceTable(`One run, ${runs} in turn`, [
    { name: 'a static program that exits', times: nothing! },
    { name: '/bin/true', times: plain! },
    { name: 'vial, all namespaces', times: ours!, ...against(theirs, 'bwrap', 0.5) },
    { name: 'vial, all namespaces', times: ours!, ...against(byHand, 'C', 1.3) },
    { name: 'the same system calls in C', times: byHand! },
    ...(theirs === undefined ? [] : [{ name: 'bwrap, all namespaces', times: theirs }]),
    { name: "vial, the host's network", times: oursHostNet!, ...against(theirsHostNet, 'bwrap', 0.5) },
    { name: "vial, the host's network", times: oursHostNet!, ...against(byHandHostNet, 'C', 1.3) },
    { name: 'the same system calls in C', times: byHandHostNet! },
    ...(theirsHostNet === undefined ? [] : [{ name: "bwrap, the host's network", times: theirsHostNet }]),
  ])
  if (!inBwrap) note('bwrap is not installed: apt-get install bubblewrap')
}

await alone(import.meta.url, bench)
