/** A program with fewer instructions that does the same. */
import type { Comparison, Instruction, Label, Operand, Slot } from './instruction.js'

/** How many instructions are looked at, before a result counts as read. */
const farthest = 300

export const opposite: Record<Comparison, Comparison> = { eq: 'ne', ne: 'eq', lt: 'ge', ge: 'lt', gt: 'le', le: 'gt' }

export const shorten = (instructions: readonly Instruction[]): Instruction[] =>
  storeLess(withoutLabels(branchOnce(instructions)))

/** A branch over a jump is the opposite branch. */
function branchOnce(instructions: readonly Instruction[]): Instruction[] {
  const fewer: Instruction[] = []
  for (let at = 0; at < instructions.length; at++) {
    const one = instructions[at]!
    const [jump, label] = [instructions[at + 1], instructions[at + 2]]
    if (one.op === 'branch' && jump?.op === 'jump' && label?.op === 'label' && label.label === one.target) {
      fewer.push({ ...one, comparison: opposite[one.comparison], target: jump.target })
      at++
    } else fewer.push(one)
  }
  return fewer
}

/** Labels that nothing leads to: an encoder knows nothing about what is in a register there. */
function withoutLabels(instructions: readonly Instruction[]): Instruction[] {
  const targets = new Set<Label | undefined>()
  for (const one of instructions) {
    if ('target' in one) targets.add(one.target)
    if (one.op === 'syscall') targets.add(one.failing)
    if (one.op === 'mark') targets.add(one.routine)
  }
  return instructions.filter((one) => one.op !== 'label' || targets.has(one.label))
}

/** A result of a system call that nothing reads need not be stored; one that is only moved is stored there at once. */
function storeLess(instructions: readonly Instruction[]): Instruction[] {
  const places = new Map<number, number>()
  instructions.forEach((one, at) => {
    if (one.op === 'label') places.set(one.label.id, at)
  })
  const place = (label: Label) => places.get(label.id) ?? instructions.length
  const unusedFrom = (slot: Slot, at: number) => isUnused(slot, at, instructions, place)
  const less: Instruction[] = []
  for (let at = 0; at < instructions.length; at++) {
    const one = instructions[at]!
    const next = instructions[at + 1]
    if (one.op !== 'syscall' || one.failing !== undefined) less.push(one)
    else if (one.name === 'exit_group' || unusedFrom(one.to, at + 1)) less.push({ ...one, unused: true })
    else if (next?.op === 'move' && next.from === one.to && unusedFrom(one.to, at + 2)) {
      less.push({ ...one, to: next.to })
      at++
    } else less.push(one)
  }
  return less
}

interface Way {
  readonly at: number
  /** Where the calls on it return to, the innermost first. */
  readonly returns: Returns | undefined
}
interface Returns {
  readonly to: number
  readonly outer: Returns | undefined
}

/** Follows all ways from here on, each until it writes the slot, ends, or has been there. */
function isUnused(
  slot: Slot,
  from: number,
  instructions: readonly Instruction[],
  place: (label: Label) => number,
): boolean {
  const ways: Way[] = [{ at: from, returns: undefined }]
  const seen = new Set<number>()
  for (let left = farthest; ; left--) {
    const way = ways.pop()
    if (way === undefined) return true
    const { at, returns } = way
    const one = instructions[at]
    // Who called the routine that the way began in is not known.
    if (left === 0 || one === undefined || (one.op === 'return' && returns === undefined)) return false
    if (returns === undefined) {
      if (seen.has(at)) continue
      seen.add(at)
    }
    if (reads(one, slot)) return false
    const next: Way = { at: at + 1, returns }
    if (one.op === 'jump') ways.push({ at: place(one.target), returns })
    else if (one.op === 'branch') ways.push(next, { at: place(one.target), returns })
    else if (one.op === 'call') ways.push({ at: place(one.target), returns: { to: at + 1, outer: returns } })
    else if (one.op === 'return') ways.push({ at: returns!.to, returns: returns!.outer })
    else if ('to' in one && one.to === slot) continue
    else if (one.op === 'syscall' && one.name === 'exit_group') continue
    else if (one.op === 'syscall' && one.failing !== undefined)
      ways.push(next, { at: place(one.failing), returns: undefined })
    else ways.push(next)
  }
}

function reads(one: Instruction, slot: Slot): boolean {
  const is = (operand: Operand) => operand === slot
  switch (one.op) {
    case 'move':
      return is(one.from)
    case 'load':
      return is(one.address)
    case 'store':
      return is(one.address) || is(one.from)
    case 'compute':
    case 'branch':
      return is(one.left) || is(one.right)
    case 'syscall':
      return one.args.includes(slot)
    default:
      return false
  }
}
