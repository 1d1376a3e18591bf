/** What the new root will look like as the steps go by: enough to know who owns a place. */

type Node = 'ours' | 'foreign' | 'link' | 'file' | 'maybe'

/**
 * A model of the new root. `ours` is a directory made by the plan on its own tmpfs; anything beneath a `foreign` mount or
 * through a `link` may hold what others put there. `maybe`: foreign, if it is there at all.
 */
export class Tree {
  readonly #nodes = new Map<string, Node>()
  /** Mounts that payloads write: an earlier one may have planted links there. */
  readonly #written = new Set<string>()
  /** Filesystems that the plan makes empty, and directories that it makes in them: on a way through others, but of the sandbox alone. */
  readonly #empty = new Set<string>()
  /** Where the links of this plan lead. */
  readonly #targets = new Map<string, string>()

  constructor(root: Node = 'ours', written = false) {
    this.#nodes.set('', root)
    if (written) this.#written.add('')
  }

  /** Whether every directory above `path` is ours, or is still to be made by us. */
  owns(path: string): boolean {
    return (
      this.#nodes.get('') === 'ours' && ancestors(path).every((above) => (this.#nodes.get(above) ?? 'ours') === 'ours')
    )
  }

  /** Whether what is made at `path` is the sandbox's alone, in whatever the way to it lies. */
  isAlone(path: string): boolean {
    if (this.owns(path)) return true
    const nearest = ancestors(path).findLast((above) => this.#nodes.has(above))
    return nearest !== undefined && this.#empty.has(nearest)
  }

  /** Directories above `path` that no step has made yet, outermost first. */
  missing(path: string): string[] {
    return ancestors(path).filter((above) => (this.#nodes.get(above) ?? 'maybe') === 'maybe')
  }

  has(path: string): boolean {
    return this.#nodes.has(path)
  }

  get(path: string): Node | undefined {
    return this.#nodes.get(path)
  }

  /**
   * The mount from which a place that is not owned is looked up, and whether links beneath it may be planted: the outermost
   * that is not ours; but where that is the root itself, the outermost that a payload writes.
   */
  around(path: string): { mount: string; planted: boolean } {
    const above = ['', ...ancestors(path)]
    const written = above.find((one) => this.#written.has(one))
    const outermost = above.find((one) => (this.#nodes.get(one) ?? 'ours') !== 'ours') ?? ''
    return { mount: outermost === '' ? (written ?? '') : outermost, planted: written !== undefined }
  }

  /**
   * The path without the links that this plan made: without the last one too, if `last`. One that goes up out of what is not
   * ours stays as it is, for what it leads to is not known.
   */
  real(path: string, last: boolean): string {
    const done: string[] = []
    let left = path.split('/')
    for (let tries = 0; tries < mostLinks; ) {
      const name = left.shift()
      if (name === undefined) return done.join('/')
      if (name === '..' && done.length > 0 && !this.owns(done.join('/'))) return path
      if (name === '..') done.pop()
      else if (name !== '' && name !== '.') done.push(name)
      const target = this.#targets.get(done.join('/'))
      if (target === undefined || (left.length === 0 && !last)) continue
      if (target.startsWith('/')) done.length = 0
      else done.pop()
      left = [...target.split('/'), ...left]
      tries++
    }
    return path
  }

  /** Records a directory that is made on the way to another; what may lie beneath it stays. */
  pass(path: string): void {
    if (!this.#nodes.has(path) && this.isAlone(path)) this.#empty.add(path)
    this.#nodes.set(path, this.#nodes.get(path) === undefined && this.owns(path) ? 'ours' : 'foreign')
  }

  /** Records a mount or file at `path`; what was known beneath it is hidden from now on. `target`: of a link. */
  put(
    path: string,
    node: Node,
    { written = false, empty = false, target }: { written?: boolean; empty?: boolean; target?: string | undefined },
  ): void {
    const hidden = (known: string) => known === path || path === '' || known.startsWith(`${path}/`)
    for (const kept of [this.#nodes, this.#written, this.#empty, this.#targets])
      for (const known of kept.keys()) if (hidden(known)) kept.delete(known)
    this.#nodes.set(path, node)
    if (written) this.#written.add(path)
    if (empty) this.#empty.add(path)
    if (target !== undefined) this.#targets.set(path, target)
  }
}

/** As many as the kernel follows: path_resolution(7). */
const mostLinks = 40

/** `a/b/c` → [`a`, `a/b`]. */
export function ancestors(path: string): string[] {
  const above: string[] = []
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) above.push(path.slice(0, at))
  return above
}
