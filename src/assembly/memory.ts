/** Memory: more of it, and bytes that move. */
import { MAP } from '../kernel/flags.js'
import type { Operand } from '../machine/instruction.js'
import type { Assembler } from './assembler.js'
import { routine } from './routine.js'

/** Zeroed memory, which begins at the result: an address, or -errno. */
export function allocate(c: Assembler, size: Operand): void {
  c.attempt('mmap', 0, size, MAP.PROT_READ | MAP.PROT_WRITE, MAP.PRIVATE | MAP.ANONYMOUS, -1, 0)
}

/** Copies `length` bytes, eight at a time. */
export const copyMemory = routine(
  'copyMemory',
  { takes: ['to', 'from', 'length'] },
  ({ b }: Assembler, { to, from, length }) => {
    const word = b.temporary()
    for (const [size, width] of [
      [8, 64],
      [1, 8],
    ] as const) {
      b.loop(({ leave }) => {
        b.when(length, 'lt', size, leave)
        b.load(word, width, from)
        b.store(width, to, 0, word)
        b.compute(from, from, 'add', size)
        b.compute(to, to, 'add', size)
        b.compute(length, length, 'sub', size)
      })
    }
  },
)
