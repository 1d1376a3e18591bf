/** Names and paths are others', and may hold what a terminal obeys: ECMA-48 control characters, shown as `?`. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return text.replace(/[\0-\x1f\x7f-\x9f]/g, '?')
}

/** A word that a user gave, to be named in a sentence: all in one line, and not too long for it. */
export function quoted(word: string, longest = 100): string {
  return JSON.stringify(printable(word.length > longest ? `${word.slice(0, longest)}…` : word))
}
