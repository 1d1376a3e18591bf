/** Open files. */
import type { LoopControl } from '../machine/builder.js'
import type { Slot } from '../machine/instruction.js'
import type { Assembler } from './assembler.js'

/**
 * Writes the `left` bytes at `from`, however few write(2) takes at a time.
 * @param write makes one such call, and goes elsewhere when it fails: how that is told differs between programs
 */
export function writeAllBy(
  { b, result }: Assembler,
  { from, left }: { readonly from: Slot; readonly left: Slot },
  write: (again: LoopControl['again']) => void,
): void {
  b.loop(({ leave, again }) => {
    b.when(left, 'eq', 0, leave)
    write(again)
    b.compute(from, from, 'add', result)
    b.compute(left, left, 'sub', result)
  })
}
