/** What an action gives; undefined where it fails, for one of which nobody asks why. */
export function attempt<Value>(action: () => Value): Value | undefined {
  try {
    return action()
  } catch {
    return undefined
  }
}
