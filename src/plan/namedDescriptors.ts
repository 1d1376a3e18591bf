/**
 * The descriptors that a vial is started with, by name. This is the one place that numbers them. The plan keeps open what has a name,
 * and says what it is for; what starts the vial lays out, under the same names, what it has opened.
 */

/** In the order of their numbers. */
const names = [
  // Standard input, output and error, and what a caller hands on behind them.
  'payload',
  // Sockets that a supervisor hands to the payload.
  'listening',
  // The file of the status records.
  'status',
  // The socket by which a gate is asked for commands.
  'control',
  // The socket by which Node.js gets those of the sandbox's network.
  'network',
  // What the file of the authorities that the sandbox trusts is read from.
  'authorities',
  // The directory of the log.
  'log',
  // A file of the cgroup that begins with the CPU time used.
  'cpuTime',
  // v1: the directory of the cgroup that tells when memory is short.
  'memory',
  // By which a process enters the cgroup: in v1 the `tasks` file of each hierarchy, in v2 one, the directory.
  'enter',
] as const

export type DescriptorName = (typeof names)[number]

/** How many there are of each name; default: the three standard streams, and no other. */
export type DescriptorCounts = { readonly [Name in DescriptorName]?: number }

/** What the plan knows of them. */
export type DescriptorNumbers = { readonly [Name in DescriptorName]: readonly number[] }

/** By name, what is to lie at each number. */
export type Opened<Value> = { readonly [Name in DescriptorName]?: readonly Value[] }

export function numbered(counts: DescriptorCounts): DescriptorNumbers {
  const all = { payload: 3, ...counts }
  const owners = names.flatMap((name) => Array.from({ length: all[name] ?? 0 }, () => name))
  const numbers = names.map((name) => [name, owners.flatMap((owner, fd) => (owner === name ? [fd] : []))])
  return Object.fromEntries(numbers) as DescriptorNumbers
}

/** What lies at each number, from 0 on. */
export const layOut = <Value>(opened: Opened<Value>): Value[] => names.flatMap((name) => opened[name] ?? [])
