/**
 * The key of a cached vial: everything that its bytes depend on. It lies at the end of the file, behind the executable.
 *
 *     header | what each --args descriptor gave: fd, length, bytes | the options' words, each with its NUL | total length
 *
 * Numbers are little-endian u64, ids u32; the pieces are padded with zeros to 8 bytes. The length at the very end, and
 * those inside, leave no two ways to read the same bytes: one key is never the end of another.
 */
export const key = {
  magic: 'vialkey1',
  buildSize: 16,
  header: {
    size: 56,
    magic: 0,
    /** {@link FrontFacts.build}. */
    build: 8,
    /** Real and effective user, real and effective group. */
    ids: 24,
    /** Where the words begin. */
    words: 40,
    /** How long they are, without padding. */
    wordsLength: 48,
  },
  /** Before the bytes of each --args descriptor. */
  piece: { size: 16, fd: 0, length: 8 },
  /** Behind everything. */
  total: 8,
} as const

/** Mode of a cached vial: only its owner reads and executes it. */
export const entryMode = 0o500

/** The directory of the front's vials in the cache's directory. */
export const entryFolder = 'bwrap'

/** What stands in place of the descriptor or the name when there is none. */
export const none = '-'
