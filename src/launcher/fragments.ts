/**
 * Byte-pair encoding of the error sentences, which else are a third of a vial. A byte from {@link firstToken} on stands for
 * a pair of others, and so for a fragment of English; P. Gage, "A New Algorithm for Data Compression", 1994. The fragments
 * are those of our own sentences, but any text can be packed: what is in no fragment stays as it is.
 */

/** A token is this and its fragment's place in the table. */
export const firstToken = 128
/** The next byte is meant as it is: a control character, or one of a character beyond ASCII. */
export const literal = 31

/** Each is two characters, or made of two that come before. `node dist/bench/fragments.js` finds and prints them. */
const fragments: readonly string[] = [
  'e |er|s |t |th|an|the |in|or|d |no|on|er |de|a |is |es|ou|ma|y |o |not |il|or |: |dev|, |al|ne|ac|it|lo|st',
  'us|ro|on |and|it |es |ic|am|fil|k |nt|re|ol|nam|to |/dev|le|se|pro|/dev/|pac|li|ar|old|ed|id|fold|names',
  'namespac|of|mou|out|l |ha|proc|lin|and |sy|ker|kerne|, or |bo|ed |file |me|of |no |may |loc|in |/proc|ad',
  'devic|pt|cal|call|mak|ct|do|ay|g |nt |oo |a fold|p |make |user |an |this |sand|sandbo|sandbox|t the |ex|be ',
  'si|link |new|device |andloc|ul|su|wh|the call|user namespac|user|kernel |has |may not |id |/proc/|does |ing ',
  'bin|bind ',
].flatMap((line) => line.split('|'))

const tokens = new Map(fragments.map((fragment, index) => [fragment, firstToken + index]))
const longestFirst = fragments.toSorted((a, b) => b.length - a.length)
const encoder = new TextEncoder()

const codeOf = (part: string): number | undefined => (part.length === 1 ? part.charCodeAt(0) : tokens.get(part))

/** The two bytes that each token stands for. */
export const pairs = Uint8Array.from(
  fragments.flatMap((fragment, index) => {
    for (let at = 1; at < fragment.length; at++) {
      const [left, right] = [codeOf(fragment.slice(0, at)), codeOf(fragment.slice(at))]
      const known = (code: number | undefined) => code !== undefined && code < firstToken + index
      if (known(left) && known(right)) return [left!, right!]
    }
    throw new Error(`the fragment "${fragment}" is no pair of earlier ones`)
  }),
)

let matcher: RegExp | undefined
/** Most texts are the same in every compilation of a process. */
const packed = new Map<string, Uint8Array>()
const mostPacked = 1000

/** The bytes of a text and a NUL, none of the former 0, and none below 32 but {@link literal} and a newline. */
export function pack(text: string): Uint8Array {
  const known = packed.get(text)
  if (known !== undefined) return known
  if (text.includes('\0')) throw new Error(`a string has a NUL byte: ${JSON.stringify(text)}`)
  matcher ??= new RegExp(
    [...longestFirst.map((one) => one.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')), '[^]'].join('|'),
    'gu',
  )
  const parts = (text.match(matcher) ?? []).flatMap((part) => {
    const token = tokens.get(part)
    if (token !== undefined) return token
    return [...encoder.encode(part)].flatMap((byte) =>
      byte >= firstToken || (byte < 32 && part !== '\n') ? [literal, byte] : byte,
    )
  })
  const bytes = Uint8Array.from([...parts, 0])
  if (packed.size === mostPacked) packed.clear()
  packed.set(text, bytes)
  return bytes
}
