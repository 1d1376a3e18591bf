/** `vial diff`, `commit`, `snapshot` and `rollback`: the work tree of a sandbox that has a name. */
import { attach } from '../live/attachSandbox.js'
import { workBox } from '../live/workBox.js'
import { isCommittable } from '../live/workChoice.js'
import type { Finished } from '../live/workJournal.js'
import type { CommitOptions } from '../live/workOptions.js'
import type { Box } from '../live/box.js'
import { printable } from '../text/printable.js'
import { printJson, write } from '../text/write.js'
import { tableOf, textOf } from './changesShown.js'
import type { commitOptions, diffOptions } from './liveFlags.js'
import { several } from './namedCommands.js'
import type { FlagsOf } from './policyFlags.js'
import { say } from './say.js'

export async function diff(names: readonly string[], { text, json }: FlagsOf<typeof diffOptions>): Promise<void> {
  await inWork(names, async (box) => {
    const changes = await box.diff(text ? { text: true } : {})
    if (json) printJson(changes)
    else write(1, text ? textOf(changes) : tableOf(changes))
  })
}

export async function commit(
  names: readonly string[],
  { only, conflict }: FlagsOf<typeof commitOptions>,
): Promise<void> {
  await inWork(names, async (box) => {
    const all = only === undefined ? await box.diff() : []
    const left = all.filter((one) => !isCommittable(one))
    const chosen = only ?? (left.length === 0 ? undefined : all.filter(isCommittable).map(({ path }) => path))
    const applied = await box.commit({
      ...(chosen === undefined ? {} : { only: chosen }),
      ...(conflict === undefined ? {} : { conflict: conflict as CommitOptions['conflict'] }),
    })
    write(1, tableOf(applied))
    for (const { path, type, protected: isProtected } of left)
      say(`left as it is: ${printable(path)} is ${isProtected ? 'protected' : `a ${type}`}`)
    if (left.length > 0) process.exitCode = 1
  })
}

export async function snapshot(words: readonly string[]): Promise<void> {
  const [name, label] = several(words)
  write(1, `${await attach(name, tell).snapshot(label)}\n`)
}

export async function rollback(words: readonly string[]): Promise<void> {
  const [name, label] = several(words)
  const box = attach(name, tell)
  await (label === undefined ? box.rollback() : box.restore(label))
}

async function inWork(names: readonly string[], action: (box: Box) => Promise<void>): Promise<void> {
  const box = await workBox(several(names)[0], tell)
  try {
    await action(box)
  } finally {
    // One that was opened for this ends with it.
    if (box.name === undefined) await box.close()
  }
}

function tell({ path, changes, left }: Finished): void {
  say(`finished a commit to ${printable(path)} that was killed: ${changes - left.length} of ${changes}`)
  for (const one of left) say(`left as it is: ${printable(one)}`)
}
