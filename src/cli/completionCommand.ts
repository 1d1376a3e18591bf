/** `vial completion`. */
import { existingHome, sandboxNames } from '../live/home.js'
import { didYouMean } from '../text/closest.js'
import { write } from '../text/write.js'
import { UsageError } from './commandLine.js'
import { completeBash } from './completeBash.js'
import { completeFish } from './completeFish.js'
import { completeZsh } from './completeZsh.js'
import { type Completed, type CommandRow, completedOf } from './completionTable.js'

export const writers: Readonly<Record<string, (commands: readonly Completed[]) => string>> = {
  bash: completeBash,
  zsh: completeZsh,
  fish: completeFish,
}

/** @param shell `names`, which the scripts ask for and help does not tell: the names of sandboxes, a line each */
export function completion(shell: string | undefined, rows: readonly CommandRow[]): void {
  if (shell === 'names') {
    printNames()
    return
  }
  const known = Object.keys(writers)
  if (shell === undefined) throw new UsageError(`completion: name the shell: vial completion ${known.join('|')}`)
  const writer = Object.hasOwn(writers, shell) ? writers[shell] : undefined
  if (writer === undefined)
    throw new UsageError(
      `completion: there is no script for ${shell}${didYouMean(shell, known)}: the shells are ${known.join(', ')}`,
    )
  write(1, writer(completedOf(rows)))
}

/** By their directories alone: none of them is looked into. */
function printNames(): void {
  write(
    1,
    sandboxNames(existingHome())
      .map((name) => `${name}\n`)
      .join(''),
  )
}
