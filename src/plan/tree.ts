/** What the new root will look like as the steps go by: enough to know who owns a place. */

type Node = 'ours' | 'foreign' | 'link' | 'file' | 'maybe'

/**
 * A model of the new root. `ours` is a folder made by the plan on its own tmpfs; anything beneath a `foreign` mount or
 * through a `link` may hold what others put there. `maybe`: foreign, if it is there at all.
 */
export class Tree {
  readonly #nodes = new Map<string, Node>([['', 'ours']])

  constructor(root: Node = 'ours') {
    this.#nodes.set('', root)
  }

  /** Whether every folder above `path` is ours, or is still to be made by us. */
  owns(path: string): boolean {
    return (
      this.#nodes.get('') === 'ours' && ancestors(path).every((above) => (this.#nodes.get(above) ?? 'ours') === 'ours')
    )
  }

  /** Folders above `path` that no step has made yet, outermost first. */
  missing(path: string): string[] {
    return ancestors(path).filter((above) => (this.#nodes.get(above) ?? 'maybe') === 'maybe')
  }

  has(path: string): boolean {
    return this.#nodes.has(path)
  }

  get(path: string): Node | undefined {
    return this.#nodes.get(path)
  }

  /** Records a folder that is made on the way to another; what may lie beneath it stays. */
  pass(path: string): void {
    this.#nodes.set(path, this.#nodes.get(path) === undefined && this.owns(path) ? 'ours' : 'foreign')
  }

  /** Records a mount or file at `path`; what was known beneath it is hidden from now on. */
  put(path: string, node: Node): void {
    if (path === '') this.#nodes.clear()
    const beneath = `${path}/`
    for (const known of this.#nodes.keys()) if (known.startsWith(beneath)) this.#nodes.delete(known)
    this.#nodes.set(path, node)
  }
}

/** `a/b/c` → [`a`, `a/b`]. */
export function ancestors(path: string): string[] {
  const above: string[] = []
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) above.push(path.slice(0, at))
  return above
}
