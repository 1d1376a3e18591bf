/** Names and paths are others', and may hold what a terminal obeys: ECMA-48 control characters, shown as `?`. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return text.replace(/[\0-\x1f\x7f-\x9f]/g, '?')
}
