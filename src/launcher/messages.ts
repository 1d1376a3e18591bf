/**
 * Error sentences: how they lie in a vial, and the code that prints one. All texts are packed (see fragments.ts) and lie in
 * lists, one behind the other: the n-th is found by walking: speed does not matter here.
 */
import { routine } from '../assembly/routine.js'
import { copyText, cursorOf, decimal } from '../assembly/text.js'
import { variables } from '../assembly/variables.js'
import { type ErrnoName, errno, errnoMessage } from '../kernel/errno.js'
import type { Builder } from '../machine/builder.js'
import type { Address, Operand, Slot } from '../machine/instruction.js'
import type { Hints, Wording } from '../plan/step.js'
import type { Said } from '../text/words.js'
import { firstToken, literal, pack, pairs } from './fragments.js'
import type { Word } from './rows.js'

/** Errors whose words travel in the ELF; any other is shown as a number. */
export const spelledErrors: readonly ErrnoName[] = [
  'EPERM',
  'ENOENT',
  'EIO',
  'E2BIG',
  'ENOEXEC',
  'EBADF',
  'EAGAIN',
  'ENOMEM',
  'EACCES',
  'EBUSY',
  'EEXIST',
  'EXDEV',
  'ENODEV',
  'ENOTDIR',
  'EISDIR',
  'EINVAL',
  'EMFILE',
  'ETXTBSY',
  'ENOSPC',
  'EROFS',
  'ENAMETOOLONG',
  'ENOSYS',
  'ELOOP',
  'EOPNOTSUPP',
  'EDQUOT',
]

/** Characters 1 to this one stand for texts that a row has in its slots. */
const mostQuoted = 9
/** Digits of the number of a text about an error: no byte of a list's text is 0. */
const base = 255
/** The least first digit of a hint's number, and of what is said instead of a sentence. */
const [firstHint, firstInstead] = [1, 129] as const

/** What differs from one failure to the next, and how it is said. */
export interface Failure {
  /** A message's number, -errno negated, and where the sentence is to be put. */
  readonly message: Slot
  readonly error: Slot
  readonly buffer: Address
  /** How the sentence begins. */
  readonly prefix: string
  /** A text that ends what is said instead of a sentence, or 0. */
  readonly detail: Slot
  /** The message that ends in the name of the command, which is not ours: at most 4096 bytes of it, control characters as `?`. */
  readonly naming: number
  readonly command: Slot
}

export class Messages {
  /** Of each: its texts about errors (errno and two digits each, and a 0), and what cannot be done. */
  readonly #messages: Uint8Array[] = []
  readonly #numbers = new Map<string, number>()
  /** Texts about errors, as second lines and instead of a sentence. */
  readonly #hints = new Map<string, number>()
  readonly #instead = new Map<string, number>()
  /** Slots of rows whose texts are in sentences. */
  readonly quoted: Slot[] = []
  readonly #kinds = new Map<Hints | undefined, number>([[undefined, 0]])

  constructor(readonly b: Builder) {}

  /**
   * The number of a message; equal ones are one. The texts that a row has anyway are not stored in its sentence once
   * more: each stands there as a character.
   */
  add(text: string, { hints, instead }: Pick<Wording, 'hints' | 'instead'>, row: readonly Word[]): number {
    let parts: (string | number)[] = [text]
    for (const [slot, word] of row) {
      if (typeof word !== 'string' || word.length < 2 || !text.includes(word)) continue
      if (!this.quoted.includes(slot)) {
        if (this.quoted.length === mostQuoted) continue
        this.quoted.push(slot)
      }
      parts = quote(parts, word, 1 + this.quoted.indexOf(slot))
    }
    const told =
      parts.length === 1 ? text : parts.map((part) => (typeof part === 'number' ? `\0${part}` : part)).join('')
    const key = `${this.#kind(hints)} ${this.#kind(instead)} ${told}`
    let number = this.#numbers.get(key)
    if (number === undefined) {
      number = this.#numbers.size
      const about: number[] = []
      if (instead !== undefined) this.#pack(instead, this.#instead, firstInstead, about)
      if (hints !== undefined) this.#pack(hints, this.#hints, firstHint, about)
      about.push(0)
      this.#messages.push(Uint8Array.from(about))
      if (parts.length === 1) this.#messages.push(pack(text))
      else {
        const packed = parts.flatMap((part) => (typeof part === 'number' ? part : [...pack(part).subarray(0, -1)]))
        this.#messages.push(Uint8Array.from([...packed, 0]))
      }
      this.#numbers.set(key, number)
    }
    return number
  }

  #kind(hints: Hints | undefined): number {
    const known = this.#kinds.get(hints) ?? this.#kinds.size
    this.#kinds.set(hints, known)
    return known
  }

  #pack(hints: Hints, texts: Map<string, number>, first: number, into: number[]): void {
    for (const [name, said] of Object.entries(hints) as [ErrnoName, Said][]) {
      // A vial is run by callers who know the policy at most.
      const text = String(said)
      const number = texts.get(text) ?? texts.size
      texts.set(text, number)
      into.push(errno[name], first + Math.floor(number / base), 1 + (number % base))
    }
  }

  /** Writes `vial: cannot WHAT: ERROR` and a second line with the hint, or what is said instead, in one write(2). */
  print(failure: Failure): void {
    const { b } = this
    const { error, buffer, message, detail } = failure
    const to = cursorOf(b)
    const { from, nth } = saying(b)
    const [hint, byte, status] = [b.temporary(), b.temporary(), b.temporary()]
    const done = b.label()
    b.move(to, buffer)
    this.#say(failure.prefix)
    b.compute(nth, message, 'shl', 1)
    this.#find(Buffer.concat(this.#messages))
    // The hint for this error, if there is one; behind the hints comes the sentence.
    b.move(hint, 0)
    b.loop(({ leave }) => {
      b.load(byte, 8, from)
      b.compute(from, from, 'add', 1)
      b.when(byte, 'eq', 0, leave)
      b.when(byte, 'eq', error, () => {
        b.load(byte, 8, from)
        b.compute(hint, byte, 'mul', base)
        b.load(byte, 8, from, 1)
        b.compute(hint, hint, 'add', byte)
      })
      b.compute(from, from, 'add', 2)
    })
    if (this.#instead.size > 0) {
      const none = b.label()
      if (this.#hints.size > 0) b.branch(hint, 'lt', firstInstead * base, none)
      else b.branch(hint, 'eq', 0, none)
      this.#sayOf(this.#instead, firstInstead, hint)
      b.when(detail, 'ne', 0, () => copyText(b, to, detail))
      b.jump(done)
      b.place(none)
    }
    say(this, {})
    b.when(message, 'eq', failure.naming, () => {
      this.#say(' ')
      this.#sayCommand(failure.command)
    })
    this.#say(': ')
    b.move(nth, error)
    errorWords ??= packErrors()
    const { dense, far, list } = errorWords
    b.when(error, 'ge', dense, () => {
      b.move(nth, 0)
      far.forEach((number, index) => {
        b.when(error, 'eq', number, () => b.move(nth, dense + index))
      })
    })
    this.#find(list)
    b.load(byte, 8, from)
    b.when(
      byte,
      'eq',
      0,
      () => {
        this.#say('error ')
        decimal(b, to, error)
      },
      () => say(this, {}),
    )
    if (this.#hints.size > 0)
      b.when(hint, 'ne', 0, () => {
        this.#say('\n      ')
        this.#sayOf(this.#hints, firstHint, hint)
      })
    b.place(done)
    this.#say('\n')
    b.compute(to, to, 'sub', buffer)
    b.syscall(status, 'write', 2, buffer, to)
  }

  #sayOf(texts: ReadonlyMap<string, number>, first: number, hint: Slot): void {
    const { b } = this
    b.compute(saying(b).nth, hint, 'sub', first * base + 1)
    this.#find(Buffer.concat([...texts.keys()].map(pack)))
    say(this, {})
  }

  #say(text: string): void {
    const { b } = this
    b.move(saying(b).from, b.bytes(pack(text)))
    say(this, {})
  }

  /** Leaves the text with the number `nth`, from 0, of a list in `from`. */
  #find(list: Uint8Array): void {
    this.b.move(saying(this.b).from, this.b.bytes(list))
    find(this, {})
  }

  #sayCommand(command: Operand): void {
    const { b } = this
    const [to, from, byte, left] = [cursorOf(b), b.temporary(), b.temporary(), b.temporary()]
    b.move(from, command)
    b.move(left, 4096)
    b.when(from, 'ne', 0, () => {
      b.loop(({ leave }) => {
        b.load(byte, 8, from)
        b.when(byte, 'eq', 0, leave)
        b.when(left, 'eq', 0, leave)
        b.when(byte, 'lt', 32, () => b.move(byte, 63))
        b.when(byte, 'eq', 127, () => b.move(byte, 63))
        b.store(8, to, 0, byte)
        b.compute(to, to, 'add', 1)
        b.compute(from, from, 'add', 1)
        b.compute(left, left, 'sub', 1)
      })
    })
  }
}

/** A packed text, and the number of one in a list. */
const saying = variables('from', 'nth')

/** From a list, leaves `from` at its text with the number `nth`, from 0. */
const find = routine('find', {}, ({ b }: Messages) => {
  const { from, nth } = saying(b)
  const byte = b.temporary()
  b.loop(({ leave, again }) => {
    b.when(nth, 'eq', 0, leave)
    b.load(byte, 8, from)
    b.compute(from, from, 'add', 1)
    b.when(byte, 'ne', 0, again)
    b.compute(nth, nth, 'sub', 1)
  })
})

/** Unpacks `from` to where the cursor is; leaves the former behind the NUL, and the latter at the NUL. */
const say = routine('say', {}, (messages: Messages) => {
  const { b } = messages
  const to = cursorOf(b)
  const { from } = saying(b)
  const [byte, top, right] = b.temporaries(3)
  // The right halves of tokens that are being unpacked: fewer than a fragment has characters.
  const stack = b.reserve(32)
  const table = b.bytes(pairs)
  b.move(top, stack)
  b.loop(({ leave, again }) => {
    const [unpack, store] = [b.label(), b.label()]
    b.when(
      top,
      'eq',
      stack,
      () => {
        b.load(byte, 8, from)
        b.compute(from, from, 'add', 1)
      },
      () => {
        b.compute(top, top, 'sub', 1)
        b.load(byte, 8, top)
      },
    )
    b.place(unpack)
    b.when(byte, 'ge', firstToken, () => {
      b.compute(byte, byte, 'shl', 1)
      b.compute(byte, byte, 'add', table)
      b.load(right, 8, byte, 1 - 2 * firstToken)
      b.load(byte, 8, byte, -2 * firstToken)
      b.store(8, top, 0, right)
      b.compute(top, top, 'add', 1)
      b.jump(unpack)
    })
    b.when(byte, 'eq', literal, () => {
      b.load(byte, 8, from)
      b.compute(from, from, 'add', 1)
      b.jump(store)
    })
    messages.quoted.forEach((slot, index) => {
      b.when(byte, 'eq', 1 + index, () => {
        copyText(b, to, slot)
        again()
      })
    })
    b.place(store)
    b.store(8, to, 0, byte)
    b.when(byte, 'eq', 0, leave)
    b.compute(to, to, 'add', 1)
  })
})

interface ErrorWords {
  /** The words of each error from 0 to this, none where it has none, and then those of `far`. */
  readonly list: Uint8Array
  readonly dense: number
  /** Numbers so high that a look costs less than a place for each one below. */
  readonly far: readonly number[]
}
let errorWords: ErrorWords | undefined

function packErrors(): ErrorWords {
  const numbers = spelledErrors.map((name) => errno[name])
  const far = numbers.filter((number) => number > errno.ELOOP)
  const dense = 1 + Math.max(...numbers.filter((number) => number <= errno.ELOOP))
  const words: Uint8Array[] = Array.from({ length: dense + far.length }, () => Uint8Array.of(0))
  for (const name of spelledErrors) {
    const number = errno[name]
    words[number < dense ? number : dense + far.indexOf(number)] = pack(errnoMessage(number))
  }
  return { list: Buffer.concat(words), dense, far }
}

/** The first `word` among the parts becomes `character`. */
function quote(parts: readonly (string | number)[], word: string, character: number): (string | number)[] {
  const index = parts.findIndex((part) => typeof part === 'string' && part.includes(word))
  if (index === -1) return [...parts]
  const part = parts[index] as string
  const at = part.indexOf(word)
  return [
    ...parts.slice(0, index),
    part.slice(0, at),
    character,
    part.slice(at + word.length),
    ...parts.slice(index + 1),
  ]
}
