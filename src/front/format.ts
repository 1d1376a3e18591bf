/** What the front and the cache have to agree about: the key of a cached vial, its name, and whose files are executed. */
import { S_IF, S_IS } from '../kernel/flags.js'

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

/**
 * A vial is named by a hash of its key, in sixteen hexadecimal digits. It only has to spread, for the whole key is compared afterwards. Two
 * lanes of 32 bits, which is what JavaScript multiplies fast: the first takes the key, four bytes at a time, the last what the first has
 * become. The last one's digits stand first.
 */
export const lanes = [
  { prime: 0x9e3779b1, shift: 15 },
  { prime: 0x85ebca6b, shift: 13 },
] as const

/** The same as the front writes it: `nameKey` of key.ts. Up to three bytes at the end do not count: the end is a length. */
export function nameOf(key: Uint8Array): string {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength)
  const [first, last] = lanes
  let [low, high] = [0, 0]
  for (let at = 0; at + 4 <= key.length; at += 4) {
    low = Math.imul(low ^ view.getUint32(at, true), first.prime)
    low ^= low >>> first.shift
    high = Math.imul(high ^ low, last.prime)
    high ^= high >>> last.shift
  }
  return [high, low].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('')
}

/**
 * Whose files are executed, for both that look: the front, and trust.ts and vialStore.ts in cache/. All that lies above a vial belongs to
 * root or the caller; the vial and its directory are the caller's.
 */
export const trusted = {
  /** Mode bits of writers other than the owner, who may not be: `any` of them, or `world`, all who are not of the file's group. */
  writers: { any: 0o022, world: 0o002 },
  /** With it, others cannot rename or remove what is not theirs: inode(7). Enough for a directory above that of the vials, which it would let them fill. */
  sticky: S_IS.VTX,
  /** A vial: only its owner reads and executes it. Another name may lie where others can rename it, and so it is not one that the cache gave. */
  vial: { mode: S_IF.REG | 0o500, links: 1 },
} as const

/**
 * Where the cache is, for the front and cache/cacheDirectory.ts: below the first of these that is given, and is an absolute path unless
 * it may be `any`.
 */
export const cachePlaces = [
  { variable: 'VIAL_CACHE', any: true, below: '' },
  { variable: 'XDG_CACHE_HOME', any: false, below: '/vial' },
  { variable: 'HOME', any: false, below: '/.cache/vial' },
] as const

/** The directory of the front's vials in the cache's directory. */
export const frontDirectory = 'bwrap'

/** What stands in place of the descriptor when there is none. */
export const none = '-'
