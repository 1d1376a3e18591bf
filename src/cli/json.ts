/** Where a text stops being JSON (RFC 8259): the parser of Node does not always say. */

export interface JsonFault {
  readonly line: number
  readonly column: number
  readonly message: string
}

/** Only for a text that JSON.parse refused. */
export function jsonFault(text: string): JsonFault {
  const scanner = new Scanner(text)
  const message = scanner.value() ?? scanner.end() ?? 'something is wrong'
  const before = text.slice(0, scanner.at).split('\n')
  return { line: before.length, column: before.at(-1)!.length + 1, message }
}

const space = /[ \t\n\r]*/y
const scalar =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a string may not hold them
  /(?:"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y

/** Each method returns what is wrong at `at`, or nothing and `at` behind what it has read. */
class Scanner {
  at = 0

  constructor(readonly text: string) {}

  value(): string | undefined {
    this.#skip(space)
    const opener = this.text[this.at]
    if (opener === '{') return this.#list('}', () => this.#member())
    if (opener === '[') return this.#list(']', () => this.value())
    if (this.#skip(scalar)) return undefined
    if (opener === undefined) return 'the text ends where a value was expected'
    if (opener === "'") return 'strings are written with double quotes'
    if (opener === '/') return 'JSON has no comments'
    if (opener === '"') return 'this string does not end, or has a character that must be escaped'
    return `a value was expected, not "${opener}"`
  }

  end(): string | undefined {
    this.#skip(space)
    return this.at === this.text.length ? undefined : 'nothing may follow the policy'
  }

  #list(closer: string, item: () => string | undefined): string | undefined {
    this.at++
    this.#skip(space)
    if (this.#take(closer)) return undefined
    for (;;) {
      const fault = item()
      if (fault !== undefined) return fault
      this.#skip(space)
      if (this.#take(closer)) return undefined
      if (!this.#take(','))
        return this.at === this.text.length ? `"${closer}" is missing at the end` : `"," or "${closer}" was expected`
      this.#skip(space)
      if (this.text[this.at] === closer) return 'JSON takes no comma after the last item'
    }
  }

  #member(): string | undefined {
    this.#skip(space)
    if (this.text[this.at] !== '"')
      return this.text[this.at] === '/' ? 'JSON has no comments' : 'a key in double quotes was expected'
    const fault = this.value()
    if (fault !== undefined) return fault
    this.#skip(space)
    return this.#take(':') ? this.value() : '":" was expected after the key'
  }

  #take(one: string): boolean {
    if (this.text[this.at] !== one) return false
    this.at++
    return true
  }

  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)
    this.at += found?.[0].length ?? 0
    return found !== null
  }
}
