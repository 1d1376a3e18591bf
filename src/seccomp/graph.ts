/**
 * Classic BPF as a graph of decisions that all end in a return. Equal nodes are one node, so that what two ways have in
 * common is there once. The instructions used are those for which the kernel can tell, when it loads a filter, which
 * calls are always allowed, and then does not run it for these: seccomp_is_const_allow() in kernel/seccomp.c.
 */
import { BPF } from '../kernel/flags.js'

/** A node, by its place in the order of making: what it leads to was made before it. */
export type Node = number

type Made =
  | { readonly is: 'return'; readonly value: number }
  | { readonly is: 'load'; readonly offset: number; readonly next: Node }
  | { readonly is: 'and'; readonly mask: number; readonly next: Node }
  | { readonly is: 'jump'; readonly if: number; readonly value: number; readonly yes: Node; readonly no: Node }

/** BPF_MAXINSNS of `linux/bpf_common.h`. */
export const longestProgram = 4096

/** A filter that is longer than the kernel takes. */
export class FilterTooLong extends RangeError {
  constructor() {
    super(`more rules than fit into the ${longestProgram} instructions that the kernel takes of a filter`)
    this.name = 'FilterTooLong'
  }
}

/** The farthest that a conditional jump reaches. */
const reach = 255

export class Graph {
  readonly #nodes: Made[] = []
  readonly #known = new Map<string, Node>()

  #make(key: string, node: Made): Node {
    let found = this.#known.get(key)
    if (found === undefined) {
      found = this.#nodes.length
      this.#nodes.push(node)
      this.#known.set(key, found)
    }
    return found
  }

  return(value: number): Node {
    return this.#make(`r${value}`, { is: 'return', value })
  }

  /** Loads a word of seccomp_data. */
  load(offset: number, next: Node): Node {
    return this.#make(`l${offset},${next}`, { is: 'load', offset, next })
  }

  and(mask: number, next: Node): Node {
    return this.#make(`a${mask},${next}`, { is: 'and', mask, next })
  }

  /** Compares what is loaded with `value`: BPF.JEQ, JGT or JGE, unsigned. */
  jump(condition: number, value: number, yes: Node, no: Node): Node {
    if (yes === no) return yes
    return this.#make(`j${condition},${value},${yes},${no}`, { is: 'jump', if: condition, value, yes, no })
  }

  /**
   * The program that begins at `root`: an array of struct sock_filter.
   * @throws {FilterTooLong}
   */
  program(root: Node): Uint8Array {
    // From the last instruction to the first, for jumps only lead forward: a node's targets are placed before it.
    const code: [operation: number, yes: number, no: number, value: number][] = []
    const placed: number[] = []
    const wanted = this.#reachable(root)
    const put = (operation: number, yes: number, no: number, value: number) => {
      code.push([operation, yes, no, value >>> 0])
      return code.length - 1
    }
    /** A place for the node that is at most `most` before what comes next; a jump, or a return of its own, if need be. */
    const near = (node: Node, most: number): number => {
      const place = placed[node]!
      if (code.length - 1 - place <= most) return place
      const made = this.#nodes[node]!
      placed[node] =
        made.is === 'return'
          ? put(BPF.RET | BPF.K, 0, 0, made.value)
          : put(BPF.JMP | BPF.JA, 0, 0, code.length - 1 - place)
      return placed[node]
    }
    for (let node = 0; node <= root; node++) {
      const made = this.#nodes[node]!
      if (!wanted.has(node)) continue
      if (made.is === 'return') placed[node] = put(BPF.RET | BPF.K, 0, 0, made.value)
      else if (made.is === 'jump') {
        // Room for the jump that the other target may need.
        near(made.no, reach - 1)
        const yes = near(made.yes, reach)
        const no = placed[made.no]!
        const last = code.length - 1
        placed[node] = put(BPF.JMP | made.if | BPF.K, last - yes, last - no, made.value)
      } else {
        near(made.next, 0)
        placed[node] =
          made.is === 'load'
            ? put(BPF.LD | BPF.W | BPF.ABS, 0, 0, made.offset)
            : put(BPF.ALU | BPF.AND | BPF.K, 0, 0, made.mask)
      }
      if (code.length > longestProgram) throw new FilterTooLong()
    }
    return encode(code.reverse())
  }

  #reachable(root: Node): Set<Node> {
    const found = new Set([root])
    for (let node = root; node >= 0; node--) {
      if (!found.has(node)) continue
      const made = this.#nodes[node]!
      if (made.is === 'jump') found.add(made.yes).add(made.no)
      else if (made.is !== 'return') found.add(made.next)
    }
    return found
  }
}

/** `linux/filter.h`: u16 code, u8 jt, u8 jf, u32 k; little endian on both architectures. */
function encode(code: readonly (readonly [number, number, number, number])[]): Uint8Array {
  const bytes = new Uint8Array(8 * code.length)
  const view = new DataView(bytes.buffer)
  code.forEach(([operation, yes, no, value], index) => {
    view.setUint16(8 * index, operation, true)
    view.setUint8(8 * index + 2, yes)
    view.setUint8(8 * index + 3, no)
    view.setUint32(8 * index + 4, value, true)
  })
  return bytes
}
