/**
 * The last step of a slot of a house (house.ts) before it executes. The sandbox is built and the process is hardened; it says so, and
 * then waits for its command. Files come before it, and are written with the rights of the payload; so do limits.
 */
import { writeAllBy } from '../assembly/files.js'
import { variables } from '../assembly/variables.js'
import { AT, MSG } from '../kernel/flags.js'
import type { Address, Label, Slot } from '../machine/instruction.js'
import type { Step } from '../plan/step.js'
import { requireAllClosedBut } from './descriptorCode.js'
import { file, frame, frameType, most, run, stdin } from './frame.js'
import { received } from './gateRequest.js'
import { readRun, skipText } from './gateRun.js'
import type { LauncherContext } from './launcherContext.js'
import { record } from './record.js'

/** The socket by which the command comes, and both ends of the pipe that is its standard input. */
export const slotFiles = variables('words', 'input', 'inputEnd')

export const slotCode = {
  takeCommand(c: LauncherContext, _: Step<'takeCommand'>): void {
    const { b } = c
    const { words, input: inputFile, inputEnd } = slotFiles(b)
    const { head, body } = received(c)
    const [length, type, detail, kind] = b.temporaries(4)
    const [over, command] = [b.label(), b.label()]
    c.report(record.running, 0)
    const receive = (to: Address, size: number | Slot) => {
      c.attempt('recvfrom', words, to, size, MSG.WAITALL, 0, 0)
      b.branch(c.result, 'ne', size, over)
    }
    b.loop(({ again }) => {
      receive(head, frame.size)
      b.load(length, 32, head, frame.length)
      b.load(type, 32, head, frame.type)
      b.load(detail, 32, head, frame.detail)
      b.branch(length, 'gt', most.body, over)
      receive(body, length)
      b.branch(type, 'eq', frameType.run, command)
      b.when(
        type,
        'eq',
        frameType.file,
        () => {
          writeFile(c, body, length, detail, over)
          c.report(record.written, 0)
        },
        () => c.must('prlimit64', 0, detail, body, 0),
      )
      again()
    })
    // The house has ended, or ends this.
    b.place(over)
    c.exit(125)
    b.place(command)
    const input = readRun(c, body, length, over)
    b.load(kind, 32, body, run.stdin)
    b.when(kind, 'ne', stdin.none, () => c.must('dup3', inputFile, 0, 0))
    b.when(kind, 'eq', stdin.whole, () => c.must('write', inputEnd, input.from, input.length))
    // Before the command's directory is entered: CVE-2024-21626.
    requireAllClosedBut(c, [c.plan.start.statusFd!])
  },
}

/** What a payload of an earlier sandbox has planted in a directory of the host is not followed as the last name, and not waited for. */
function writeFile(c: LauncherContext, body: Address, length: Slot, continues: Slot, over: Label): void {
  const { b, open } = c
  const [path, next, end, mode, flags, left, opened] = b.temporaries(7)
  b.load(mode, 32, body)
  b.compute(path, body, 'add', file.size)
  b.compute(end, body, 'add', length)
  b.move(next, path)
  skipText(c, next, end, over)
  const always = open.WRONLY | open.NOFOLLOW | open.NONBLOCK | open.CLOEXEC
  b.move(flags, always | open.CREAT | open.TRUNC)
  b.when(continues, 'ne', 0, () => b.move(flags, always | open.APPEND))
  c.attempt('openat', AT.FDCWD, path, flags, mode)
  c.whenError('ENOENT', () => {
    makeAbove(c, path)
    c.attempt('openat', AT.FDCWD, path, flags, mode)
  })
  c.orFail()
  b.move(opened, c.result)
  b.when(continues, 'eq', 0, () => c.must('fchmod', opened, mode))
  b.compute(left, end, 'sub', next)
  writeAllBy(c, { from: next, left }, () => c.must('write', opened, next, left))
  c.attempt('close', opened)
}

/** The directories above a path. */
function makeAbove(c: LauncherContext, path: Slot): void {
  const { b } = c
  const [at, byte] = b.temporaries(2)
  const slash = 0x2f
  b.compute(at, path, 'add', 1)
  b.loop(({ leave }) => {
    b.load(byte, 8, at)
    b.when(byte, 'eq', 0, leave)
    b.when(byte, 'eq', slash, () => {
      b.store(8, at, 0, 0)
      c.attempt('mkdirat', AT.FDCWD, path, 0o755)
      b.store(8, at, 0, slash)
    })
    b.compute(at, at, 'add', 1)
  })
}
