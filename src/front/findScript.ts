/**
 * Code that finds the script that compiles. In the package it is found from the front's own place, so that an installation
 * can be moved; a front that lies anywhere else has others' files around it, and takes the path that it was written with.
 * Either way Node.js gets the real path of a directory that only trusted owners can change.
 */
import { routine } from '../assembly/routine.js'
import { copyText, descriptorPath, requireSameText } from '../assembly/text.js'
import { own } from '../assembly/variables.js'
import { AT, S_IF, STATX } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Address, Label, Slot } from '../machine/instruction.js'
import { trusted } from './format.js'
import type { FrontContext } from './frontContext.js'
import { look, requireTrusted } from './lookAbove.js'

const longestPath = 4096

/** Leaves the script's real path in the slot. */
export function findScript(c: FrontContext): Slot {
  const { b } = c
  const { directory, front, beside } = c.facts.script
  const script = b.temporary()
  const [elsewhere, found] = [b.label(), b.label()]
  b.move(script, realPath(c))
  readInstaller(c)

  const packaged = ownPlace(c, `/${front}`, `/${beside}`, elsewhere)
  b.branch(checkScript(c, { path: packaged, refused: trusted.writers.any }).trusted, 'ne', 0, found)

  b.place(elsewhere)
  // Not the group: a package is often installed in a directory that one may write to, and this command beside it.
  b.branch(checkScript(c, { path: b.text(directory), refused: trusted.writers.world }).trusted, 'ne', 0, found)
  c.die(
    `Cannot use the compiler in ${directory}: it is gone, or others can change it. Install vial where only root, you or the owner of this command can write, and write this command again: vial front -o FILE`,
  )
  b.place(found)
  return script
}

/** The owner of the front can change what the caller executes as it is, and the owner of the root directory everything. */
function readInstaller(c: FrontContext): void {
  const { b } = c
  const status = b.reserve(structs.statx.size, 8)
  for (const [path, owner] of [
    ['/proc/self/exe', c.installer],
    ['/', c.hostRoot],
  ] as const) {
    c.attempt('statx', AT.FDCWD, b.text(path), 0, STATX.BASIC_STATS, status)
    c.whenFailed(
      () => {},
      () => b.load(owner, 32, status, structs.statx.fields.stx_uid.offset),
    )
  }
}

/** The directory of the script, if we are the package's own front. */
function ownPlace(c: FrontContext, front: string, beside: string, elsewhere: Label): Address {
  const { b } = c
  // A path that ends otherwise may be as long as it likes: it is not used.
  const own = b.reserve(longestPath + beside.length + 8)
  const [at, wanted] = b.temporaries(2)
  c.attempt('readlinkat', AT.FDCWD, b.text('/proc/self/exe'), own, longestPath)
  c.onFailure(elsewhere)
  b.compute(at, own, 'add', c.result)
  b.compute(at, at, 'sub', front.length)
  b.branch(at, 'lt', own, elsewhere)
  b.move(wanted, b.text(front))
  requireSameText(b, at, wanted, elsewhere)
  // Over the name of the front.
  b.compute(at, at, 'sub', front.length - front.lastIndexOf('/'))
  copyText(b, at, b.text(beside))
  return own
}

/** Of the script that is trusted. */
const realPath = own(({ b, facts }: FrontContext) => b.reserve(longestPath + facts.script.name.length + 8))

/** Whether only trusted owners can change the script in the directory `path`; if so, leaves its real path. */
const checkScript = routine(
  'checkScript',
  { takes: ['path', 'refused'], gives: ['trusted'] },
  (c: FrontContext, { path, refused, trusted }) => {
    const { b, facts } = c
    const { CLOEXEC, DIRECTORY, NOFOLLOW, PATH } = c.open
    const [directory, file, bits, end] = b.temporaries(4)
    const [distrusted, done] = [b.label(), b.label()]
    b.move(trusted, 0)
    b.move(directory, c.attempt('openat', AT.FDCWD, path, PATH | DIRECTORY | CLOEXEC, 0))
    c.onFailure(done)
    requireTrusted(c, directory, distrusted, refused)
    b.move(file, c.attempt('openat', directory, b.text(facts.script.name), PATH | NOFOLLOW | CLOEXEC, 0))
    c.onFailure(distrusted)
    const { mode } = look(c, file, distrusted)
    b.compute(bits, mode, 'and', refused)
    b.branch(bits, 'ne', 0, distrusted)
    b.compute(bits, mode, 'and', S_IF.MT)
    b.branch(bits, 'ne', S_IF.REG, distrusted)
    c.attempt('readlinkat', AT.FDCWD, descriptorPath(c, directory), realPath(c), longestPath)
    c.onFailure(distrusted)
    b.compute(end, realPath(c), 'add', c.result)
    copyText(b, end, b.text(`/${facts.script.name}`))
    b.move(trusted, 1)
    b.place(distrusted)
    c.attempt('close', directory)
    b.place(done)
  },
)
