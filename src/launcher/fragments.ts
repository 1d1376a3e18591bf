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
  'e |s |er|t |th|the |no|in|or|an|er |d |on|de|a |is |ou|es|ma|, ',
  'y |not |il|: |it|or |o |dev|ne|al|lo|it |ac|on |st|ro|us|ic|am|le',
  'fil|k |and|nt|es |re|ol|nam|ha|to |/dev|ed|li|/dev/|se|old|, or |pro|id|ar',
  'fold|pac|of|mou|lin|ct|l |and |out|wh|names|namespac|do|of |no |ad|file |me|sy|ker',
  'kerne|may |bo|proc|t the |ay|g |p |cal|call|loc|/proc|link |si|ov|nt |devic|pt|a fold|mak',
  'an |this |has |in |ex|ing |pl|plac|on the |ere |the call|make |user |may not |sand|sandbo|sandbox|id |ay |does ',
  'at |be |bin|bind |mount |device |new|andloc',
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
