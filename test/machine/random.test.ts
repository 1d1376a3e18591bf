/** Random programs do the same in the interpreter and as machine code of each architecture. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { architectures } from '../../src/kernel/architecture.js'
import { assemble } from '../../src/machine/assemble.js'
import type {
  Address,
  Arithmetic,
  Comparison,
  Instruction,
  Label,
  Operand,
  Program,
  Slot,
  Width,
} from '../../src/machine/instruction.js'
import { interpret } from './interpreter.js'
import { execute, runner } from './tools.js'

/** More than x64 reaches with a byte. */
const values = 40
const scratchSize = 6000
const constants = Uint8Array.from({ length: 300 }, (_, i) => (i * 89 + 7) & 0xff)
const routines = 3
const cases = Number(process.env.VIAL_RANDOM_CASES ?? 40)

type Statement =
  | { readonly kind: 'move'; readonly to: Slot; readonly from: Operand }
  | {
      readonly kind: 'compute'
      readonly to: Slot
      readonly left: Operand
      readonly operator: Arithmetic
      readonly right: Operand
    }
  | { readonly kind: 'load'; readonly to: Slot; readonly width: Width; readonly place: Place }
  | { readonly kind: 'store'; readonly from: Operand; readonly width: Width; readonly place: Place }
  | {
      readonly kind: 'when'
      readonly left: Operand
      readonly comparison: Comparison
      readonly right: Operand
      readonly then: readonly Statement[]
      readonly otherwise: readonly Statement[]
    }
  | { readonly kind: 'repeat'; readonly count: number; readonly body: readonly Statement[] }
  | { readonly kind: 'call'; readonly routine: number }
  | { readonly kind: 'getpid'; readonly to: Slot }
  /** A system call with a jump for its failure: of getpid, which never fails, or of close, of no descriptor. */
  | { readonly kind: 'checked'; readonly name: 'getpid' | 'close'; readonly to: Slot }

/** A byte of memory or constants, named by an address and an offset, or by a slot that holds the address. */
interface Place {
  readonly address: Address
  readonly offset: number
  readonly inSlot: boolean
}

const slot: fc.Arbitrary<Slot> = fc.nat(values - 1).map((index) => ({ kind: 'slot', index }))

const edges = [0n, 1n, 127n, 128n, 255n, 4095n, 4096n, 65535n, 65536n, 2n ** 31n, 2n ** 32n, 2n ** 63n]
const immediate: fc.Arbitrary<number | bigint> = fc.oneof(
  fc.integer({ min: -300, max: 300 }),
  fc.integer(),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.tuple(fc.constantFrom(...edges), fc.integer({ min: -1, max: 1 })).map(([edge, near]) => edge + BigInt(near)),
  fc.constantFrom(...edges).map((edge) => -edge),
)
const operand: fc.Arbitrary<Operand> = fc.oneof(slot, slot, immediate)

const place = (area: Address['area'], size: number): fc.Arbitrary<Place> =>
  fc
    .record({
      target: fc.nat(size - 8),
      start: fc.oneof(fc.nat(size - 8), fc.constant(0)),
      inSlot: fc.boolean(),
    })
    .map(({ target, start, inSlot }) => ({
      address: { kind: 'address', area, offset: start },
      offset: target - start,
      inSlot,
    }))

const width = fc.constantFrom<Width>(8, 32, 64)
const operator = fc.constantFrom<Arithmetic>('add', 'sub', 'mul', 'and', 'or', 'xor', 'shl', 'shr')
const comparison = fc.constantFrom<Comparison>('eq', 'ne', 'lt', 'le', 'gt', 'ge')
const memory = place('memory', scratchSize)

/** `first` is the first routine that may be called: a routine calls only later ones, so none recurses. */
const statement = (depth: number, first: number): fc.Arbitrary<Statement> => {
  const compute = fc.record({
    kind: fc.constant('compute' as const),
    to: slot,
    left: operand,
    operator,
    right: operand,
  })
  const simple: fc.Arbitrary<Statement>[] = [
    fc.record({ kind: fc.constant('move' as const), to: slot, from: operand }),
    compute,
    compute.map((one) => ({ ...one, left: one.to })),
    fc.record({
      kind: fc.constant('load' as const),
      to: slot,
      width,
      place: fc.oneof(memory, place('constants', constants.length)),
    }),
    fc.record({ kind: fc.constant('store' as const), from: operand, width, place: memory }),
    fc.record({ kind: fc.constant('getpid' as const), to: slot }),
    fc.record({ kind: fc.constant('checked' as const), name: fc.constantFrom('getpid', 'close'), to: slot }),
  ]
  if (first < routines) {
    simple.push(fc.integer({ min: first, max: routines - 1 }).map((routine) => ({ kind: 'call', routine })))
  }
  if (depth === 0) return fc.oneof(...simple)
  const block = fc.array(statement(depth - 1, first), { maxLength: 12 })
  const when = fc.record({
    kind: fc.constant('when' as const),
    left: operand,
    comparison,
    right: operand,
    // biome-ignore lint/suspicious/noThenProperty: a record of this name is no promise
    then: block,
    otherwise: block,
  })
  const repeat = fc.record({ kind: fc.constant('repeat' as const), count: fc.integer({ min: 1, max: 4 }), body: block })
  return fc.oneof(
    ...simple,
    when,
    when.map((one) => ({ ...one, right: one.left })),
    repeat,
  )
}

const compile = (main: readonly Statement[], bodies: readonly (readonly Statement[])[]): Program => {
  const instructions: Instruction[] = []
  const emit = (...more: Instruction[]) => instructions.push(...more)
  let slots = values
  const fresh = (): Slot => ({ kind: 'slot', index: slots++ })
  let labels = 0
  const label = (): Label => ({ kind: 'label', id: labels++ })
  const entries = bodies.map(label)
  const [pointer, pid, result] = [fresh(), fresh(), fresh()]

  const reach = ({ address, offset, inSlot }: Place): { address: Operand; offset: number } => {
    if (inSlot) emit({ op: 'move', to: pointer, from: address })
    return { address: inSlot ? pointer : address, offset }
  }
  const block = (statements: readonly Statement[]) => {
    for (const one of statements) write(one)
  }
  const write = (one: Statement): void => {
    switch (one.kind) {
      case 'move':
        emit({ op: 'move', to: one.to, from: one.from })
        break
      case 'compute':
        emit({ op: 'compute', to: one.to, left: one.left, operator: one.operator, right: one.right })
        break
      case 'load':
        emit({ op: 'load', to: one.to, width: one.width, ...reach(one.place) })
        break
      case 'store':
        emit({ op: 'store', from: one.from, width: one.width, ...reach(one.place) })
        break
      case 'call':
        emit({ op: 'call', target: entries[one.routine]! })
        break
      case 'getpid': {
        const skip = label()
        emit({ op: 'syscall', name: 'getpid', args: [], to: pid })
        emit({ op: 'branch', comparison: 'lt', left: pid, right: 2, target: skip })
        emit({ op: 'compute', to: one.to, left: one.to, operator: 'add', right: 1 })
        emit({ op: 'label', label: skip })
        break
      }
      case 'checked': {
        const [failed, done] = [label(), label()]
        const args = one.name === 'close' ? [-1] : []
        emit({ op: 'syscall', name: one.name, args, to: pid, failing: failed })
        emit({ op: 'compute', to: one.to, left: one.to, operator: 'xor', right: 3 }, { op: 'jump', target: done })
        emit({ op: 'label', label: failed }, { op: 'compute', to: one.to, left: one.to, operator: 'mul', right: 5 })
        emit({ op: 'label', label: done })
        break
      }
      case 'when': {
        const [then, end] = [label(), label()]
        emit({ op: 'branch', comparison: one.comparison, left: one.left, right: one.right, target: then })
        block(one.otherwise)
        emit({ op: 'jump', target: end }, { op: 'label', label: then })
        block(one.then)
        emit({ op: 'label', label: end })
        break
      }
      case 'repeat': {
        const [counter, start] = [fresh(), label()]
        emit({ op: 'move', to: counter, from: one.count }, { op: 'label', label: start })
        block(one.body)
        emit({ op: 'compute', to: counter, left: counter, operator: 'sub', right: 1 })
        emit({ op: 'branch', comparison: 'ne', left: counter, right: 0, target: start })
        break
      }
    }
  }

  emit(
    { op: 'entry', to: pointer },
    { op: 'load', to: { kind: 'slot', index: 0 }, width: 64, address: pointer, offset: 0 },
  )
  block(main)
  for (let index = 0; index < values; index++) {
    const address: Address = { kind: 'address', area: 'memory', offset: scratchSize }
    emit({ op: 'store', width: 64, address, offset: index * 8, from: { kind: 'slot', index } })
  }
  const start: Address = { kind: 'address', area: 'memory', offset: 0 }
  const size = scratchSize + values * 8
  emit({ op: 'syscall', name: 'write', args: [1, start, size], to: result })
  emit({ op: 'compute', to: result, left: result, operator: 'shr', right: 3 })
  emit({ op: 'syscall', name: 'exit_group', args: [result], to: result })
  for (const [i, body] of bodies.entries()) {
    emit({ op: 'label', label: entries[i]! })
    block(body)
    emit({ op: 'return' })
  }
  return { instructions, constants, slots, memory: size }
}

const program = fc
  .tuple(
    fc.array(statement(2, 0), { minLength: 1, maxLength: 25 }),
    fc.tuple(...Array.from({ length: routines }, (_, i) => fc.array(statement(1, i + 1), { maxLength: 6 }))),
  )
  .map(([main, bodies]) => compile(main, bodies))

for (const architecture of architectures) {
  const command = runner(architecture)
  const skip = command === undefined ? `nothing here runs ${architecture} programs (qemu-user is missing)` : false
  test(`random programs on ${architecture}`, { skip }, () => {
    fc.assert(
      fc.property(program, (one) => {
        assert.deepEqual(execute(assemble(one, architecture), command!), interpret(one))
      }),
      { numRuns: cases },
    )
  })
}
