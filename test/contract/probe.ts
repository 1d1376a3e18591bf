/**
 * What a payload sees and may do, told by a program of our own: it needs no library, no shell and no interpreter, and says the same
 * wherever it runs. Each thing that it tells is a section: a line `NAME LENGTH`, and so many bytes.
 */
import { Assembler } from '../../src/assembly/assembler.js'
import { writeAllBy } from '../../src/assembly/files.js'
import { copyText, decimal } from '../../src/assembly/text.js'
import { hostArchitecture } from '../../src/host/thisHost.js'
import { AT, F, WAIT } from '../../src/kernel/flags.js'
import { signals } from '../../src/kernel/signals.js'
import { assemble } from '../../src/machine/assemble.js'
import type { Operand } from '../../src/machine/instruction.js'
import { attempts, type Call, files, links, questions, texts } from './probed.js'

/** The last section. */
export const end = 'end'

const [room, mostDescriptors] = [2 ** 18, 1024]

/** A new one for each text, which begins there. */
class Probe extends Assembler {
  readonly #buffer = this.b.reserve(room)
  readonly #header = this.b.reserve(128)
  readonly #cursor = this.b.variable()
  readonly #length = this.b.variable()

  /** The section of what lies in the buffer. */
  #tell(name: string, length: Operand): void {
    const { b } = this
    const [from, left] = b.temporaries(2)
    b.move(this.#length, length)
    b.move(this.#cursor, this.#header)
    copyText(b, this.#cursor, b.text(`${name} `))
    decimal(b, this.#cursor, this.#length)
    copyText(b, this.#cursor, b.text('\n'))
    b.compute(left, this.#cursor, 'sub', this.#header)
    b.move(from, this.#header)
    const write = () => {
      this.attempt('write', 1, from, left)
      this.whenFailed(() => this.exit(99))
    }
    writeAllBy(this, { from, left }, write)
    b.move(from, this.#buffer)
    b.move(left, this.#length)
    writeAllBy(this, { from, left }, write)
  }

  tellResult(name: string, result: Operand): void {
    this.b.move(this.#cursor, this.#buffer)
    decimal(this.b, this.#cursor, result)
    this.#tellToCursor(name)
  }

  #tellToCursor(name: string): void {
    this.b.compute(this.#length, this.#cursor, 'sub', this.#buffer)
    this.#tell(name, this.#length)
  }

  file(path: string): void {
    const { b } = this
    const [file, length, at, left] = b.temporaries(4)
    const told = b.label()
    b.move(file, this.attempt('openat', AT.FDCWD, b.text(path), this.open.RDONLY | this.open.CLOEXEC, 0))
    this.whenFailed(() => {
      this.tellResult(path, file)
      b.jump(told)
    })
    b.move(length, 0)
    b.loop(({ leave }) => {
      b.compute(at, this.#buffer, 'add', length)
      b.compute(left, room, 'sub', length)
      this.attempt('read', file, at, left)
      this.whenFailed(leave)
      b.when(this.result, 'eq', 0, leave)
      b.compute(length, length, 'add', this.result)
    })
    this.attempt('close', file)
    this.#tell(path, length)
    b.place(told)
  }

  /** A call that leaves a text in the buffer, and gives its length. */
  text(name: string, call: (buffer: Operand) => void): void {
    const result = this.b.temporary()
    call(this.#buffer)
    this.b.move(result, this.result)
    this.whenFailed(
      () => this.tellResult(name, result),
      () => this.#tell(name, result),
    )
  }

  link(path: string): void {
    this.text(path, (buffer) => this.attempt('readlinkat', AT.FDCWD, this.b.text(path), buffer, 4096))
  }

  /** The number of each that is open, its flags, and those of its file. */
  descriptors(): void {
    const { b } = this
    const [fd, flags] = b.temporaries(2)
    b.move(this.#cursor, this.#buffer)
    b.move(fd, 0)
    b.loop(({ leave }) => {
      b.when(fd, 'eq', mostDescriptors, leave)
      b.move(flags, this.attempt('fcntl', fd, F.GETFD, 0))
      this.whenFailed(
        () => {},
        () => {
          for (const value of [fd, flags, this.attempt('fcntl', fd, F.GETFL, 0)]) {
            decimal(b, this.#cursor, value)
            copyText(b, this.#cursor, b.text(' '))
          }
          copyText(b, this.#cursor, b.text('\n'))
        },
      )
      b.compute(fd, fd, 'add', 1)
    })
    this.#tellToCursor('descriptors')
  }

  question(name: string, ask: Call): void {
    ask(this)
    const result = this.b.temporary()
    this.b.move(result, this.result)
    this.tellResult(name, result)
  }

  /** In a child, so that none is in the way of the next; how it ended is told when it did not come to its end. */
  attempts(name: string, make: Call): void {
    const { b } = this
    const child = b.temporary()
    const status = b.reserve(8)
    b.move(child, this.attempt('clone', signals.SIGCHLD, 0, 0, 0, 0))
    this.whenFailed(() => this.tellResult(`${name}: no child`, child))
    b.when(child, 'eq', 0, () => {
      this.question(name, make)
      this.exit(0)
    })
    b.store(32, status, 0, 0)
    this.attempt('wait4', child, status, WAIT.ALL, 0)
    b.load(child, 32, status)
    b.when(child, 'ne', 0, () => this.tellResult(`${name}: ended`, child))
  }
}

/** The executable. With an argument, and as a child of pid 1, it then waits, for ever. */
export function probe(): Uint8Array {
  const architecture = hostArchitecture()
  const c = new Probe(architecture)
  const { b } = c
  b.entry(c.stack)
  const count = b.temporary()
  for (const path of files) c.file(path)
  for (const path of links) c.link(path)
  for (const [name, tell] of Object.entries(texts)) c.text(name, (buffer) => tell(c, buffer, 4096))
  c.descriptors()
  for (const [name, ask] of Object.entries(questions)) c.question(name, ask)
  for (const [name, make] of Object.entries(attempts)) c.attempts(name, make)
  c.tellResult(end, 0)
  b.load(count, 64, c.stack)
  b.when(count, 'gt', 1, () => {
    c.attempt('getppid')
    b.when(c.result, 'eq', 1, () => b.loop(() => c.attempt('ppoll', 0, 0, 0, 0, 0)))
  })
  c.exit(0)
  return assemble(b.finish(), architecture)
}

/** What it told, by its names: a number where it told one, and -errno below zero. */
export function sectionsOf(bytes: Buffer): Map<string, string> {
  const sections = new Map<string, string>()
  for (let at = 0; at < bytes.length; ) {
    const line = bytes.indexOf('\n', at)
    const [, name, length] = /^(.*) (\d+)$/.exec(bytes.toString('latin1', at, line)) ?? []
    if (name === undefined) throw new Error(`no section begins with ${bytes.toString('latin1', at, at + 80)}`)
    at = line + 1 + Number(length)
    sections.set(name, bytes.toString('latin1', line + 1, at))
  }
  if (!sections.has(end)) throw new Error(`the probe ended behind ${[...sections.keys()].at(-1)}`)
  return sections
}
