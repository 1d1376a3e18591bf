/** "Did you mean …?" */

/** The one word of `known` that begins with `word`, or that which differs least from it, if few letters differ. */
export function closest(word: string, known: readonly string[]): string | undefined {
  const typed = word.toLowerCase()
  const begun = typed.length < 3 ? [] : known.filter((one) => one.toLowerCase().startsWith(typed))
  if (begun.length === 1) return begun[0]
  const most = Math.max(1, Math.floor(Math.min(typed.length, 9) / 3))
  const near = known
    .map((one) => ({ one, distance: distance(typed, one.toLowerCase()) }))
    .filter(({ distance }) => distance <= most)
  return near.sort((a, b) => a.distance - b.distance)[0]?.one
}

/** ` (did you mean …?)`, or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const found = closest(word, known)
  return found === undefined ? '' : ` (did you mean ${found}?)`
}

/** Letters to add, remove, change, or swap with a neighbour, to get from one to the other. */
function distance(a: string, b: string): number {
  let [before, last] = [[] as number[], Array.from({ length: b.length + 1 }, (_, column) => column)]
  for (let row = 1; row <= a.length; row++) {
    const next = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      const choices = [last[column]! + 1, next[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1)]
      if (swapped) choices.push(before[column - 2]! + 1)
      next.push(Math.min(...choices))
    }
    before = last
    last = next
  }
  return last[b.length]!
}
