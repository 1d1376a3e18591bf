/** What the monitor tells others: the JSON of bwrap(1)'s --info-fd and --json-status-fd. */
import { copyText, decimal } from '../assembly/text.js'
import { AT, STATX } from '../kernel/flags.js'
import { type NamespaceName, namespaces } from '../kernel/namespaces.js'
import { signals } from '../kernel/signals.js'
import { structs } from '../kernel/structs.js'
import type { Operand, Slot } from '../machine/instruction.js'
import type { Announcement } from '../plan/manner.js'
import type { LauncherContext } from './launcherContext.js'

/** In the order of bwrap's output. */
const announced = ['cgroup', 'ipc', 'mount', 'net', 'pid', 'uts'] as const

const longest = 1024

/** Writes the pid of init and its new namespaces; waits for the id maps when another process writes them. */
export function announce(
  c: LauncherContext,
  announcement: Announcement,
  made: readonly NamespaceName[],
  init: Slot,
): void {
  const { infoFd, statusFd, blockFd } = announcement
  c.begin({ what: 'tell about the sandbox', why: 'a process waits for it', complaint: 'Write to info_fd' })
  if (infoFd !== undefined) {
    write(c, infoFd, ['{\n    "child-pid": ', ',\n    ', '\n}\n'], made, init)
    c.attempt('close', infoFd)
  }
  if (statusFd !== undefined) write(c, statusFd, ['{ "child-pid": ', ', ', ' }\n'], made, init)
  if (blockFd !== undefined) {
    c.attempt('read', blockFd, c.b.reserve(1), 1)
    c.attempt('close', blockFd)
  }
}

/** `{ "exit-code": N }` for a wait status. */
export function writeExitCode(c: LauncherContext, fd: number, exitCode: Operand): void {
  const { b } = c
  const buffer = b.reserve(64)
  const cursor = b.temporary()
  b.move(cursor, buffer)
  copyText(b, cursor, b.text('{ "exit-code": '))
  decimal(b, cursor, exitCode)
  copyText(b, cursor, b.text(' }\n'))
  b.compute(cursor, cursor, 'sub', buffer)
  c.attempt('write', fd, buffer, cursor)
}

function write(
  c: LauncherContext,
  fd: number,
  [begin, between, end]: readonly [string, string, string],
  made: readonly NamespaceName[],
  init: Slot,
): void {
  const { b } = c
  const buffer = b.reserve(longest)
  const path = b.reserve(64)
  const status = b.reserve(structs.statx.size, 8)
  const [cursor, name, inode] = [b.temporary(), b.temporary(), b.temporary()]
  b.move(cursor, buffer)
  copyText(b, cursor, b.text(begin))
  decimal(b, cursor, init)
  for (const namespace of announced) {
    if (!made.includes(namespace)) continue
    const { file } = namespaces[namespace]
    b.move(name, path)
    copyText(b, name, b.text('/proc/'))
    decimal(b, name, init)
    copyText(b, name, b.text(`/ns/${file}`))
    c.attempt('statx', AT.FDCWD, path, 0, STATX.INO, status)
    c.whenFailed(
      () => {},
      () => {
        b.load(inode, 64, status, structs.statx.fields.stx_ino.offset)
        copyText(b, cursor, b.text(`${between}"${file}-namespace": `))
        decimal(b, cursor, inode)
      },
    )
  }
  copyText(b, cursor, b.text(end))
  b.compute(cursor, cursor, 'sub', buffer)
  c.attempt('write', fd, buffer, cursor)
  c.whenFailed(() => {
    // Init waits to be released, by our end too.
    const result = b.temporary()
    b.move(result, c.result)
    c.attempt('kill', init, signals.SIGKILL)
    b.move(c.result, result)
    b.jump(c.fail)
  })
}
