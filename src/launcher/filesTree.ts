/** Whole directories, for filer.ts: listed, sent, removed. A directory stays open while what is in it is looked at: names lead nowhere else. */
import { routine } from '../assembly/routine.js'
import { copyText } from '../assembly/text.js'
import { own, variables } from '../assembly/variables.js'
import { errno } from '../kernel/errno.js'
import { AT, RESOLVE, S_IF } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Slot } from '../machine/instruction.js'
import { type Filer, isKernels, ofName } from './filesAssembler.js'
import { deepest, filesAnswer, filesRequest } from './filesCall.js'
import { field, text } from './filesInput.js'
import { answer, sendEntry, sendFile } from './filesOutput.js'

/** A directory on the way: its descriptor, how much of `entries` is looked at and there, and how long its path is. */
const level = { fd: 0, at: 8, end: 16, length: 24, entries: 32, room: 8192 } as const
const levelSize = level.entries + level.room
/** struct linux_dirent64 and d_type: getdents64(2), readdir(3). */
const dirent = { length: 16, type: 18, name: 19 } as const
const [ofUnknown, ofDirectory, ofRegular] = [0, 4, 8]
/** Of a path: there is room for a name behind it. */
const longestPath = filesRequest.longest - 300

const levels = own(({ b }: Filer) => b.reserve(deepest * levelSize))
const path = own(({ b }: Filer) => b.reserve(filesRequest.longest + 8))
const walk = variables('level', 'length', 'left')

/** The next entry but `.` and `..`; 0: there is none, or `status` is -errno. */
const nextEntry = routine('nextEntry', { gives: ['name', 'type', 'status'] }, (c: Filer, { name, type, status }) => {
  const { b } = c
  const { level: here } = walk(b)
  const [fd, at, end, entry, byte] = b.temporaries(5)
  const [dot, found] = [0x2e, b.label()]
  b.move(status, 0)
  b.load(at, 64, here, level.at)
  b.load(end, 64, here, level.end)
  b.loop(({ again }) => {
    b.when(at, 'ge', end, () => {
      b.load(fd, 64, here, level.fd)
      b.compute(entry, here, 'add', level.entries)
      c.attempt('getdents64', fd, entry, level.room)
      b.move(name, 0)
      c.whenFailed(() => {
        b.move(status, c.result)
        b.jump(found)
      })
      b.branch(c.result, 'eq', 0, found)
      b.move(end, c.result)
      b.move(at, 0)
    })
    b.compute(entry, here, 'add', level.entries)
    b.compute(entry, entry, 'add', at)
    b.load(byte, 32, entry, dirent.length)
    b.compute(byte, byte, 'and', 0xffff)
    b.compute(at, at, 'add', byte)
    b.load(type, 8, entry, dirent.type)
    b.compute(name, entry, 'add', dirent.name)
    b.load(byte, 8, name)
    b.branch(byte, 'ne', dot, found)
    b.load(byte, 8, name, 1)
    b.when(byte, 'eq', 0, again)
    b.branch(byte, 'ne', dot, found)
    b.load(byte, 8, name, 2)
    b.when(byte, 'eq', 0, again)
    b.jump(found)
  })
  b.place(found)
  b.store(64, here, level.at, at)
  b.store(64, here, level.end, end)
})

/** Goes on in this directory, which is closed behind it. 0: there is no room for another one. */
const descend = routine('descend', { takes: ['fd'], gives: ['goes'] }, (c: Filer, { fd, goes }) => {
  const { b } = c
  const { level: here, length } = walk(b)
  const [last, full] = [b.temporary(), b.label()]
  b.compute(last, levels(c), 'add', (deepest - 1) * levelSize)
  b.move(goes, 0)
  b.branch(here, 'eq', last, full)
  b.when(
    here,
    'eq',
    0,
    () => b.move(here, levels(c)),
    () => b.compute(here, here, 'add', levelSize),
  )
  b.store(64, here, level.fd, fd)
  b.store(64, here, level.at, 0)
  b.store(64, here, level.end, 0)
  b.store(64, here, level.length, length)
  b.move(goes, 1)
  b.place(full)
})

/** Goes back to the directory above, if there is one: else 0. */
const ascend = routine('ascend', {}, (c: Filer) => {
  const { b } = c
  const { level: here, length } = walk(b)
  const [fd, first] = [b.temporary(), b.label()]
  b.load(fd, 64, here, level.fd)
  c.attempt('close', fd)
  b.compute(here, here, 'sub', levelSize)
  b.branch(here, 'ge', levels(c), first)
  b.move(here, 0)
  b.place(first)
  b.when(here, 'ne', 0, () => b.load(length, 64, here, level.length))
})

/** Begins with the directory that is open as the request's file. */
function begin(c: Filer): void {
  const { b } = c
  const { level: here, length, left } = walk(b)
  b.move(here, 0)
  b.move(length, 0)
  b.move(left, field(c, 'entries'))
  descend(c, { fd: c.file })
  b.move(c.file, -1)
}

/** Closes what is open, and ends the request with this status. */
function finish(c: Filer, status: Slot): void {
  const { b } = c
  b.loop(({ leave }) => {
    b.when(walk(b).level, 'eq', 0, leave)
    ascend(c, {})
  })
  c.fails(status)
}

/** Puts a name behind the path of the directory: `length` is then that of both. ENAMETOOLONG: it is too long. */
const append = routine('appendName', { takes: ['name'] }, (c: Filer, { name }) => {
  const { b } = c
  const { length } = walk(b)
  const at = b.temporary()
  b.move(c.result, -errno.ENAMETOOLONG)
  b.when(length, 'lt', longestPath, () => {
    b.compute(at, path(c), 'add', length)
    b.when(length, 'ne', 0, () => {
      b.store(8, at, 0, 0x2f)
      b.compute(at, at, 'add', 1)
    })
    copyText(b, at, name)
    b.compute(length, at, 'sub', path(c))
    b.move(c.result, 0)
  })
})

/** Sends the entries of a directory. */
export function sendDirectory(c: Filer): void {
  const { b } = c
  const { left } = walk(b)
  const outcome = b.temporary()
  begin(c)
  b.loop(({ leave }) => {
    const { name, status } = nextEntry(c, {})
    b.move(outcome, status)
    b.when(name, 'eq', 0, leave)
    b.when(left, 'eq', 0, () => {
      b.move(outcome, -errno.E2BIG)
      leave()
    })
    b.compute(left, left, 'sub', 1)
    const directory = b.temporary()
    b.load(directory, 64, walk(b).level, level.fd)
    // What is gone meanwhile is left out.
    sendEntry(c, { directory, name, path: name })
  })
  finish(c, outcome)
}

/** Sends all that is in a directory, and in those in it: entries, and what is in the regular files. */
export function sendTree(c: Filer): void {
  const { b } = c
  const { level: here, length, left } = walk(b)
  const [outcome, bytes, directory, above, file] = b.temporaries(5)
  begin(c)
  b.move(bytes, field(c, 'limit'))
  const leaveWith = (code: number, leave: () => void) => {
    b.move(outcome, code)
    leave()
  }
  const directoryHow = c.how(c.open.RDONLY | c.open.DIRECTORY | c.careful, ofName)
  const fileHow = c.how(c.open.RDONLY | c.careful, ofName)
  b.loop(({ leave, again }) => {
    const { name, type, status } = nextEntry(c, {})
    b.load(above, 64, here, level.length)
    b.load(directory, 64, here, level.fd)
    b.move(length, above)
    b.when(name, 'eq', 0, () => {
      b.when(status, 'ne', 0, () => answer(c, { kind: filesAnswer.fault, status }))
      ascend(c, {})
      b.move(outcome, 0)
      b.when(here, 'eq', 0, leave)
      again()
    })
    b.when(left, 'eq', 0, () => leaveWith(-errno.E2BIG, leave))
    b.compute(left, left, 'sub', 1)
    append(c, { name })
    b.when(c.result, 'ne', 0, () => leaveWith(-errno.ENAMETOOLONG, leave))
    const [plain, unopened, sent] = [b.label(), b.label(), b.label()]
    // Nothing else is opened: to open a device may have an effect.
    b.when(type, 'ne', ofDirectory, () =>
      b.when(type, 'ne', ofRegular, () => b.when(type, 'ne', ofUnknown, () => b.jump(plain))),
    )
    b.when(type, 'ne', ofRegular, () => {
      c.attempt('openat2', directory, name, directoryHow, structs.open_how.size)
      b.move(file, c.result)
      c.whenError('ENOTDIR', () => b.move(type, ofRegular))
      b.when(type, 'ne', ofRegular, () => {
        c.onFailure(unopened)
        sendEntry(c, { directory: file, name: b.text(''), path: path(c) })
        // What shows the kernel is no tree.
        isKernels(c, { file })
        b.when(c.result, 'eq', 0, () => {
          const { goes } = descend(c, { fd: file })
          b.when(goes, 'ne', 0, again)
          b.move(c.result, -errno.ELOOP)
          answer(c, { kind: filesAnswer.fault, status: c.result })
        })
        c.attempt('close', file)
        again()
      })
    })
    c.attempt('openat2', directory, name, fileHow, structs.open_how.size)
    b.move(file, c.result)
    c.onFailure(unopened)
    const opened = sendEntry(c, { directory: file, name: b.text(''), path: path(c) })
    b.when(opened.kind, 'eq', S_IF.REG, () => {
      const read = sendFile(c, { file, most: bytes })
      b.move(bytes, read.rest)
      b.move(outcome, read.status)
    })
    b.when(opened.kind, 'ne', S_IF.REG, () => b.move(outcome, 0))
    c.attempt('close', file)
    b.when(outcome, 'eq', -errno.EFBIG, leave)
    b.when(outcome, 'ne', 0, () => answer(c, { kind: filesAnswer.fault, status: outcome }))
    again()
    b.place(unopened)
    b.move(outcome, c.result)
    const unread = sendEntry(c, { directory, name, path: path(c) })
    b.branch(unread.status, 'ne', 0, sent)
    b.when(unread.kind, 'eq', S_IF.REG, () => answer(c, { kind: filesAnswer.fault, status: outcome }))
    b.when(unread.kind, 'eq', S_IF.DIR, () => answer(c, { kind: filesAnswer.fault, status: outcome }))
    b.jump(sent)
    b.place(plain)
    sendEntry(c, { directory, name, path: path(c) })
    b.place(sent)
  })
  finish(c, outcome)
}

/** Removes all that is in the directory that the request names, and leaves it empty; what is mounted there stays. */
export function removeTree(c: Filer): void {
  const { b } = c
  const { level: here, length } = walk(b)
  const [outcome, directory, above] = b.temporaries(3)
  const how = c.how(c.open.RDONLY | c.open.DIRECTORY | c.careful, ofName | RESOLVE.NO_XDEV)
  c.openBy(c.file, c.directory, text(c, 'name'), how)
  begin(c)
  b.loop(({ leave, again }) => {
    const { name, status } = nextEntry(c, {})
    b.load(above, 64, here, level.length)
    b.load(directory, 64, here, level.fd)
    b.move(length, above)
    b.move(outcome, status)
    b.when(name, 'eq', 0, () => {
      b.when(status, 'ne', 0, leave)
      b.compute(name, path(c), 'add', above)
      b.store(8, name, 0, 0)
      ascend(c, {})
      b.when(here, 'eq', 0, leave)
      // The name of what it has come from is still behind the path.
      b.compute(name, path(c), 'add', length)
      b.when(length, 'ne', 0, () => b.compute(name, name, 'add', 1))
      b.load(directory, 64, here, level.fd)
      c.attempt('unlinkat', directory, name, AT.REMOVEDIR)
      b.move(outcome, c.result)
      c.whenFailed(leave)
      again()
    })
    c.attempt('unlinkat', directory, name, 0)
    b.move(outcome, c.result)
    b.when(c.result, 'eq', 0, again)
    c.whenError('ENOENT', again)
    b.when(c.result, 'ne', -errno.EISDIR, leave)
    append(c, { name })
    b.move(outcome, c.result)
    b.when(c.result, 'ne', 0, leave)
    c.attempt('openat2', directory, name, how, structs.open_how.size)
    b.move(outcome, c.result)
    c.whenFailed(leave)
    const { goes } = descend(c, { fd: outcome })
    b.when(goes, 'ne', 0, again)
    c.attempt('close', outcome)
    b.move(outcome, -errno.ELOOP)
    leave()
  })
  finish(c, outcome)
}
