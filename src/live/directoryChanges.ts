/** Waiting for another process to write in a directory. */
import { type FSWatcher, watch } from 'node:fs'
import { attempt } from '../text/attempt.js'

/** Milliseconds after which is looked again although nothing was heard: a process that is killed writes nothing. */
const patience = { watching: 200, blind: 50 }

export class DirectoryChanges {
  /** Undefined where the user has no inotify(7) instance left. */
  readonly #watcher: FSWatcher | undefined
  #heard = false
  #wake = () => {}
  readonly #holds: boolean

  /** @param holds whether what waits keeps this process from ending */
  constructor(directory: string, holds = true) {
    this.#holds = holds
    this.#watcher = attempt(() => watch(directory, { persistent: false }))
    this.#watcher?.on('change', () => {
      this.#heard = true
      this.#wake()
    })
    this.#watcher?.on('error', () => {})
  }

  /** Resolves at the next change, or at one since the last time, and at the latest after a while. */
  next(most = Number.POSITIVE_INFINITY): Promise<void> {
    const known = this.#heard
    this.#heard = false
    if (known) return Promise.resolve()
    const { watching, blind } = patience
    const timeout = Math.min(most, this.#watcher === undefined ? blind : watching)
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeout)
      if (!this.#holds) timer.unref()
      this.#wake = () => {
        clearTimeout(timer)
        this.#heard = false
        resolve()
      }
    })
  }

  close(): void {
    this.#watcher?.close()
  }
}
