/** What every part of the front's code shares: the builder, the slots of what it knows, and a few words of its own. */
import type { Architecture } from '../kernel/architecture.js'
import { MAP, openFlags } from '../kernel/flags.js'
import type { SyscallName } from '../kernel/syscalls.js'
import { Builder } from '../machine/builder.js'
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
    readonly folder: string
    readonly name: string
    readonly front: string
    readonly beside: string
  }
}

/** Unsigned results above this are -errno. */
const firstError = -4095

export class FrontContext {
  readonly b = new Builder()
  readonly open: ReturnType<typeof openFlags>
  readonly result: Slot = this.b.slot('result')

  /** Points at argc: argv, the environment and what getauxval(3) gives follow. */
  readonly stack: Slot = this.b.slot('stack')
  readonly argc: Slot = this.b.slot('argc')
  /** Where in argv COMMAND stands. */
  readonly command: Slot = this.b.slot('command')
  readonly envp: Slot = this.b.slot('envp')
  readonly ids = {
    uid: this.b.slot('uid'),
    euid: this.b.slot('euid'),
    gid: this.b.slot('gid'),
    egid: this.b.slot('egid'),
  }
  /**
   * The owner of "/": the host's root, also where a user namespace does not map it, which then is seen as the overflow id; 0 until
   * it was asked for.
   */
  readonly hostRoot: Slot = this.b.slot('hostRoot')
  /** Who owns the front, and so may also own the compiler; root, as long as it was not asked for. */
  readonly installer: Slot = this.b.slot('installer')
  /** The variables that say where the cache is and where programs are; 0, or the whole `NAME=value`. */
  readonly variables = {
    VIAL_CACHE: this.b.slot('VIAL_CACHE'),
    XDG_CACHE_HOME: this.b.slot('XDG_CACHE_HOME'),
    HOME: this.b.slot('HOME'),
    PATH: this.b.slot('PATH'),
  }
  readonly key = {
    address: this.b.slot('key'),
    room: this.b.slot('key.room'),
    used: this.b.slot('key.used'),
    name: this.b.reserve(24),
  }
  /** The highest descriptor that --args names. */
  readonly highestFd: Slot = this.b.slot('highest fd')

  /** Node.js says what is wrong with the arguments. */
  readonly complain: Label = this.b.label()

  constructor(
    readonly facts: FrontFacts,
    architecture: Architecture,
  ) {
    this.open = openFlags(architecture)
  }

  attempt(name: SyscallName, ...args: Operand[]): Slot {
    this.b.syscall(this.result, name, ...args)
    return this.result
  }

  whenFailed(then: () => void, otherwise?: () => void): void {
    this.b.when(this.result, 'ge', firstError, then, otherwise)
  }

  unlessFailed(target: Label): void {
    this.b.branch(this.result, 'lt', firstError, target)
  }

  onFailure(target: Label): void {
    this.b.branch(this.result, 'ge', firstError, target)
  }

  exit(status: Operand): void {
    this.b.syscall(this.result, 'exit_group', status)
  }

  /** Prints a line as bwrap does, and ends as it does. */
  die(sentence: string): void {
    const line = `bwrap: ${sentence}\n`
    this.attempt('write', 2, this.b.text(line), Buffer.byteLength(line))
    this.exit(1)
  }

  /** Zeroed memory. */
  allocate(to: Slot, size: Operand): void {
    this.attempt('mmap', 0, size, MAP.PROT_READ | MAP.PROT_WRITE, MAP.PRIVATE | MAP.ANONYMOUS, -1, 0)
    this.whenFailed(() => this.die('Out of memory'))
    this.b.move(to, this.result)
  }

  /** Copies `length` bytes. */
  copy(to: Operand, from: Operand, length: Operand): void {
    const { b } = this
    const [target, source, left, word] = ['target', 'source', 'left', 'word'].map((name) =>
      b.slot(`bytes.${name}`),
    ) as [Slot, Slot, Slot, Slot]
    const routine = b.routine('copyBytes', () => {
      for (const size of [8, 1] as const) {
        b.loop(({ leave }) => {
          b.when(left, 'lt', size, leave)
          b.load(word, size === 8 ? 64 : 8, source)
          b.store(size === 8 ? 64 : 8, target, 0, word)
          b.compute(source, source, 'add', size)
          b.compute(target, target, 'add', size)
          b.compute(left, left, 'sub', size)
        })
      }
    })
    b.move(target, to)
    b.move(source, from)
    b.move(left, length)
    b.call(routine)
  }
}
