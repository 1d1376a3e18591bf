/** What every part of the front's code shares: the builder, the slots of what it knows, and a few words of its own. */
import { Assembler } from '../assembly/assembler.js'
import { allocate } from '../assembly/memory.js'
import type { Architecture } from '../kernel/architecture.js'
import type { Label, Operand, Slot } from '../machine/instruction.js'

/** What is written into a front. */
export interface FrontFacts {
  /** Says which vial compiles: other code, other bytes, another key. 16 bytes. */
  readonly build: Uint8Array
  /** Every option, and how many words follow it. */
  readonly options: Readonly<Record<string, number>>
  /** The Node.js that compiles; when it is gone, the one that env(1) finds. */
  readonly node: string
  /**
   * The script that compiles: its directory and its name; how the path of the package's own front ends, and how the
   * directory is reached from that front's.
   */
  readonly script: {
    readonly directory: string
    readonly name: string
    readonly front: string
    readonly beside: string
  }
}

export class FrontContext extends Assembler {
  readonly argc: Slot = this.b.variable()
  /** Where in argv COMMAND stands. */
  readonly command: Slot = this.b.variable()
  readonly envp: Slot = this.b.variable()
  readonly ids = {
    uid: this.b.variable(),
    euid: this.b.variable(),
    gid: this.b.variable(),
    egid: this.b.variable(),
  }
  /**
   * The owner of "/": the host's root, also where a user namespace does not map it, which then is seen as the overflow id; 0 until
   * it was asked for.
   */
  readonly hostRoot: Slot = this.b.variable()
  /** Who owns the front, and so may also own the compiler; root, as long as it was not asked for. */
  readonly installer: Slot = this.b.variable()
  /** The variables that say where the cache is and where programs are; 0, or the whole `NAME=value`. */
  readonly variables = {
    VIAL_CACHE: this.b.variable(),
    XDG_CACHE_HOME: this.b.variable(),
    HOME: this.b.variable(),
    PATH: this.b.variable(),
  }
  readonly key = {
    address: this.b.variable(),
    room: this.b.variable(),
    used: this.b.variable(),
    name: this.b.reserve(24),
  }
  /** The highest descriptor that --args names. */
  readonly highestFd: Slot = this.b.variable()

  /** Node.js says what is wrong with the arguments. */
  readonly complain: Label = this.b.label()

  constructor(
    readonly facts: FrontFacts,
    architecture: Architecture,
  ) {
    super(architecture)
  }

  /** Prints a line as bwrap does, and ends as it does. */
  die(sentence: string): void {
    const line = `bwrap: ${sentence}\n`
    this.attempt('write', 2, this.b.text(line), Buffer.byteLength(line))
    this.exit(1)
  }

  /** Zeroed memory. */
  allocate(to: Slot, size: Operand): void {
    allocate(this, size)
    this.whenFailed(() => this.die('Out of memory'))
    this.b.move(to, this.result)
  }
}
