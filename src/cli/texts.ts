/** Files that a command line names. The payload may write in them, or put something else in their place. */
import { readFileSync } from 'node:fs'

/**
 * Each file is read once, before anything runs, and what was read is kept: a later look could find a pipe without a writer,
 * or a link to another file of the caller's. So can `--policy <(…)`, which can be read only once.
 */
export class Texts {
  readonly #texts = new Map<string, string>()

  /** @throws {Error} of readFileSync; then the file is tried again the next time */
  read(path: string): string {
    const text = this.#texts.get(path) ?? readFileSync(path, 'utf8')
    this.#texts.set(path, text)
    return text
  }
}
