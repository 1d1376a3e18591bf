/** Filter → BPF: a balanced search tree over the system call numbers of each architecture, and tests of arguments. */
import { abiFacts } from '../kernel/abis.js'
import { BPF } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import { x32Bit } from '../kernel/syscalls32.js'
import type { AbiFilter, Filter, Rule, Test, Word } from './filterRules.js'
import { Graph, type Node } from './graph.js'

const { nr, arch, args } = structs.seccomp_data.fields
const lastNumber = 0xffffffff

/**
 * The program of a filter, as the kernel takes it: an array of struct sock_filter.
 * @throws {FilterTooLong}
 */
export function assembleFilter(filter: Filter): Uint8Array {
  const graph = new Graph()
  const foreign = graph.return(filter.foreign)
  const audits = [...new Set(filter.abis.map(({ abi }) => abiFacts[abi].audit))]
  const choice = audits.reduceRight((otherwise, audit) => {
    const tree = searchTree(graph, numberRanges(graph, filter, audit))
    return graph.jump(BPF.JEQ, audit, graph.load(nr.offset, tree), otherwise)
  }, foreign)
  return graph.program(graph.load(arch.offset, choice))
}

/** Numbers from `first` to the next range's, and what is decided about them. */
interface Range {
  readonly first: number
  readonly node: Node
}

/** What becomes of every number from 0 to 2³²-1. */
function numberRanges(graph: Graph, filter: Filter, audit: number): Range[] {
  const ranges: Range[] = []
  const add = (first: number, node: Node) => {
    if (ranges.at(-1)?.node !== node) ranges.push({ first, node })
  }
  const abis = filter.abis.filter(({ abi }) => abiFacts[abi].audit === audit)
  for (const abi of abis) {
    const otherwise = graph.return(abi.otherwise)
    const newer = graph.return(abi.newer)
    let next = abiFacts[abi.abi].base
    const skipTo = (number: number) => {
      if (next < number && next <= abi.newest) add(next, otherwise)
      if (next < number && abi.newest + 1 < number) add(Math.max(next, abi.newest + 1), newer)
      next = number
    }
    for (const [number, rules] of [...abi.rules].sort(([a], [b]) => a - b)) {
      skipTo(number)
      add(number, decision(graph, abi, rules))
      next = number + 1
    }
    skipTo(abi.abi === 'x64' ? x32Bit : lastNumber + 1)
  }
  if (audit === abiFacts.x64.audit) {
    if (!abis.some(({ abi }) => abi === 'x32')) add(x32Bit, graph.return(filter.foreign))
    // No system call: what a tracer puts there to have one skipped.
    add(lastNumber, graph.return(abis[0]!.newer))
  }
  return ranges
}

/** A number by itself among others that all have one fate costs one comparison; so do up to so many in a row. */
const mostSingles = 3

/** Finds the range of the number that is loaded. */
function searchTree(graph: Graph, ranges: readonly Range[]): Node {
  const units: Range[] = []
  for (let at = 0; at < ranges.length; ) {
    const { first, node } = ranges[at]!
    const singles: Range[] = []
    const end = (index: number) => ranges[index + 1]?.first ?? lastNumber + 1
    while (singles.length < mostSingles && ranges[at + 2]?.node === node && end(at + 1) === ranges[at + 1]!.first + 1) {
      singles.push(ranges[at + 1]!)
      at += 2
    }
    at++
    const unit = singles.reduceRight((rest, single) => graph.jump(BPF.JEQ, single.first, single.node, rest), node)
    units.push({ first, node: unit })
  }
  const search = (low: number, high: number): Node => {
    if (low + 1 === high) return units[low]!.node
    const middle = (low + high) >> 1
    const below = search(low, middle)
    return graph.jump(BPF.JGE, units[middle]!.first, search(middle, high), below)
  }
  return search(0, units.length)
}

/** What the accumulator holds: an argument's half after a mask, or anything else. */
type Held = string

/** Where a half of a test's argument is, and what the accumulator holds after it was loaded and masked. */
function loaded({ arg, mask }: Test, part: keyof Word): { offset: number; now: Held } {
  const offset = args.offset + 8 * arg + (part === 'high' ? 4 : 0)
  return { offset, now: mask[part] === 0xffffffff ? `${offset}` : `${offset}&${mask[part]}` }
}

/** What an argument is after a mask, where an earlier test has found it equal to a value. */
type Found = ReadonlyMap<string, Word>
const nothing: Found = new Map()
const maskedArgument = ({ arg, mask }: Test) => `${arg}&${mask.high},${mask.low}`

/** The tests of a call's rules, in order. What one has found equal is not asked for again by later ones. */
function decision(graph: Graph, filter: AbiFilter, rules: readonly Rule[]): Node {
  const { wide } = abiFacts[filter.abi]
  const known = new Map<string, Node>()
  /** The node for value `v` of test `t` of rule `r`, and all that may follow. */
  const from = (r: number, t: number, v: number, held: Held, found: Found): Node => {
    const rule = rules[r]
    if (rule === undefined) return graph.return(filter.otherwise)
    const test = rule.tests[t]
    if (test === undefined) return graph.return(rule.action)
    const argument = maskedArgument(test)
    const key = `${r} ${t} ${v} ${held} ${JSON.stringify([...found])}`
    let node = known.get(key)
    if (node === undefined) {
      const holds = (now: Held, since = found) => from(r, t + 1, 0, now, since)
      const fails = (now: Held, since = found) => from(r + 1, 0, 0, now, since)
      const [yes, no] = test.negate ? [fails, holds] : [holds, fails]
      const value = test.values[v]
      const is = found.get(argument)
      if (value === undefined) node = no(held)
      else if (is !== undefined) node = (accepts(test, is, wide) ? yes : no)(held)
      else if (test.op === 'in') {
        const isIt = (now: Held) => yes(now, new Map([...found, [argument, value]]))
        node = equal(test, value, held, isIt, (now) => from(r, t, v + 1, now, found))
      } else node = greater(test, value, held, yes, no)
      known.set(key, node)
    }
    return node
  }
  type Then = (held: Held) => Node

  /** Loads a half of the argument, masked, unless it is there already. */
  const half = (test: Test, part: keyof Word, held: Held, then: Then): Node => {
    const mask = test.mask[part]
    const { offset, now } = loaded(test, part)
    if (held === now) return then(now)
    const masked = mask === 0xffffffff ? then(now) : graph.and(mask, then(now))
    return held === `${offset}` ? masked : graph.load(offset, masked)
  }

  const equal = (test: Test, value: Word, held: Held, yes: Then, no: Then): Node => {
    const low = (now: Held) => {
      if (test.mask.low === 0) return value.low === 0 ? yes(now) : no(now)
      return half(test, 'low', now, (then) => graph.jump(BPF.JEQ, value.low, yes(then), no(then)))
    }
    if (!wide) return low(held)
    if (test.mask.high === 0) return value.high === 0 ? low(held) : no(held)
    return half(test, 'high', held, (then) => graph.jump(BPF.JEQ, value.high, low(then), no(then)))
  }

  const greater = (test: Test, value: Word, held: Held, yes: Then, no: Then): Node => {
    const low = (now: Held) =>
      half(test, 'low', now, (then) => graph.jump(test.op === 'gt' ? BPF.JGT : BPF.JGE, value.low, yes(then), no(then)))
    if (!wide) return low(held)
    if (test.mask.high === 0) return value.high === 0 ? low(held) : no(held)
    return half(test, 'high', held, (then) => {
      const same = graph.jump(BPF.JEQ, value.high, low(then), no(then))
      return graph.jump(BPF.JGT, value.high, yes(then), same)
    })
  }

  // Thousands of values from the last to the first, lest the recursion be as deep.
  const places = rules.flatMap(({ tests }, r) =>
    tests.flatMap(({ values }, t) => values.map((_, v) => [r, t, v] as const)),
  )
  if (places.length > stride) {
    const parts = rules.flatMap(({ tests }) => tests.flatMap((test) => [loaded(test, 'high'), loaded(test, 'low')]))
    const helds = new Set(parts.map(({ now }) => now))
    for (let place = places.length - 1; place > 0; place -= stride)
      for (const held of helds) from(...places[place]!, held, nothing)
  }
  return from(0, 0, 0, '', nothing)
}

const stride = 100

/** Whether a test's values, which count from the current one, have this one; before the test is turned around. */
function accepts({ op, values }: Test, is: Word, wide: boolean): boolean {
  const compared = (value: Word) => (wide && is.high !== value.high ? is.high - value.high : is.low - value.low)
  return values.some((value) => {
    const difference = compared(value)
    return op === 'in' ? difference === 0 : op === 'gt' ? difference > 0 : difference >= 0
  })
}
