/** What may fail without a word. */
import { accessSync } from 'node:fs'

/** What an action gives; undefined where it fails, and no caller asks why. */
export function attempt<Value>(action: () => Value): Value | undefined {
  try {
    return action()
  } catch {
    return undefined
  }
}

/** Whether the caller may do this with a file: access(2). */
export function mayAccess(path: string, mode: number): boolean {
  return (
    attempt(() => {
      accessSync(path, mode)
      return true
    }) ?? false
  )
}
