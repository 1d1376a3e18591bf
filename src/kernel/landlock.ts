/** Which Landlock ABI brought what: https://docs.kernel.org/userspace-api/landlock.html, "Previous limitations". */
import { LANDLOCK } from './flags.js'

const L = LANDLOCK

/**
 * The first ABI that lets a restricted process rename between directories at all (Linux 5.19): before it, git, package
 * managers and many others fail.
 */
export const oldestAbi = 2

/** Rights over files by the ABI that they came with. */
export const fileRights = [
  {
    abi: oldestAbi,
    rights:
      L.ACCESS_FS_EXECUTE |
      L.ACCESS_FS_WRITE_FILE |
      L.ACCESS_FS_READ_FILE |
      L.ACCESS_FS_READ_DIR |
      L.ACCESS_FS_REMOVE_DIR |
      L.ACCESS_FS_REMOVE_FILE |
      L.ACCESS_FS_MAKE_CHAR |
      L.ACCESS_FS_MAKE_DIR |
      L.ACCESS_FS_MAKE_REG |
      L.ACCESS_FS_MAKE_SOCK |
      L.ACCESS_FS_MAKE_FIFO |
      L.ACCESS_FS_MAKE_BLOCK |
      L.ACCESS_FS_MAKE_SYM |
      L.ACCESS_FS_REFER,
  },
  { abi: 3, rights: L.ACCESS_FS_TRUNCATE },
  { abi: 5, rights: L.ACCESS_FS_IOCTL_DEV },
] as const

/** The ABI of the scopes. */
export const scopedAbi = 6

/** What of a domain does not reach what is outside of it: connections to abstract unix sockets, and signals. */
export const scopes = { abstractSockets: L.SCOPE_ABSTRACT_UNIX_SOCKET, signals: L.SCOPE_SIGNAL } as const

export type Scope = keyof typeof scopes

/** Rights that a rule on anything but a directory may have. */
export const onFiles =
  L.ACCESS_FS_EXECUTE | L.ACCESS_FS_WRITE_FILE | L.ACCESS_FS_READ_FILE | L.ACCESS_FS_TRUNCATE | L.ACCESS_FS_IOCTL_DEV

/** Sets of rights that rules give. Device nodes may never be made. */
export const grants = {
  read: L.ACCESS_FS_EXECUTE | L.ACCESS_FS_READ_FILE | L.ACCESS_FS_READ_DIR,
  /** To change files that are there. */
  modify: L.ACCESS_FS_WRITE_FILE | L.ACCESS_FS_TRUNCATE,
  write:
    L.ACCESS_FS_WRITE_FILE |
    L.ACCESS_FS_TRUNCATE |
    L.ACCESS_FS_REMOVE_DIR |
    L.ACCESS_FS_REMOVE_FILE |
    L.ACCESS_FS_MAKE_DIR |
    L.ACCESS_FS_MAKE_REG |
    L.ACCESS_FS_MAKE_SOCK |
    L.ACCESS_FS_MAKE_FIFO |
    L.ACCESS_FS_MAKE_SYM |
    L.ACCESS_FS_REFER,
  device: L.ACCESS_FS_WRITE_FILE | L.ACCESS_FS_TRUNCATE | L.ACCESS_FS_IOCTL_DEV,
  /** To open a message queue: a right of its own, for no directory above one gives it. */
  queue: L.ACCESS_FS_READ_FILE | L.ACCESS_FS_WRITE_FILE,
} as const

export type Grant = keyof typeof grants
