/** How the kernel resolves a path: path_resolution(7). */

/** More links than this in one path are a loop. */
export const mostLinks = 40

export interface Way {
  /**
   * Called for each name on the way, with the real path of its directory before it. Gives where the link leads that is there;
   * undefined: it is no link; `false`: the way ends.
   */
  at(path: string): string | undefined | false
  /** Called for each directory that is left again by `..`. */
  leaves?(directory: string): void
}

/** The real path that an absolute one leads to; undefined where the way ended, or is a loop of links. */
export function walkPath(path: string, { at, leaves }: Way): string | undefined {
  const left = path.split('/').reverse()
  let real = '/'
  for (let links = 0; left.length > 0; ) {
    const name = left.pop()!
    if (name === '' || name === '.') continue
    if (name === '..') {
      leaves?.(real)
      real = real.slice(0, Math.max(1, real.lastIndexOf('/')))
      continue
    }
    const next = real === '/' ? `/${name}` : `${real}/${name}`
    const target = at(next)
    if (target === false) return undefined
    if (target === undefined) {
      real = next
      continue
    }
    if (++links > mostLinks) return undefined
    if (target.startsWith('/')) real = '/'
    left.push(...target.split('/').reverse())
  }
  return real
}
