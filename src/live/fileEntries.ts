/** What is known of a file in a sandbox, as launcher/filer.ts tells it. */
import { S_IF } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import { filesAnswer } from '../launcher/filesCall.js'

/** What a file of a sandbox is. */
export type FileKind = 'file' | 'directory' | 'link' | 'fifo' | 'socket' | 'device'

/** What is known of a file in a sandbox: as lstat(2) tells it, a link is a link. */
export interface FileStatus {
  /** Whether it is a file, a directory, a link or something else. */
  readonly kind: FileKind
  /** Permissions, with the set-id and sticky bits. */
  readonly mode: number
  /** Bytes. */
  readonly size: number
  /** Its user's id, as it is inside. */
  readonly uid: number
  /** Its group's id, alike. */
  readonly gid: number
  /** When its content was changed last. */
  readonly modified: Date
  /** The text of a symbolic link: the payload's, it may lead anywhere. */
  readonly target?: string
}

/** An entry of a directory in a sandbox. */
export interface FileEntry extends FileStatus {
  /** One name in a list; the path below the directory in a tree. Bytes that are no UTF-8 are U+FFFD. */
  readonly name: string
}

export const kinds: Readonly<Record<number, FileKind>> = {
  [S_IF.REG]: 'file',
  [S_IF.DIR]: 'directory',
  [S_IF.LNK]: 'link',
  [S_IF.IFO]: 'fifo',
  [S_IF.SOCK]: 'socket',
}

/** As its bytes are. */
export const rawNameOf = (content: Buffer): Buffer =>
  content.subarray(filesAnswer.status, content.indexOf(0, filesAnswer.status))

export function entryOf(content: Buffer): FileEntry {
  const { stx_mode, stx_size, stx_uid, stx_gid, stx_mtime } = structs.statx.fields
  const mode = content.readUInt16LE(stx_mode.offset)
  const kind = kinds[mode & S_IF.MT] ?? 'device'
  const end = content.indexOf(0, filesAnswer.status)
  const seconds = Number(content.readBigInt64LE(stx_mtime.offset))
  return {
    name: content.toString('utf8', filesAnswer.status, end),
    kind,
    mode: mode & 0o7777,
    size: Number(content.readBigUInt64LE(stx_size.offset)),
    uid: content.readUInt32LE(stx_uid.offset),
    gid: content.readUInt32LE(stx_gid.offset),
    modified: new Date(seconds * 1000 + content.readUInt32LE(stx_mtime.offset + 8) / 1e6),
    ...(kind === 'link' ? { target: content.toString('utf8', end + 1) } : {}),
  }
}
