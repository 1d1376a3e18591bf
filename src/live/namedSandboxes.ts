/** The sandboxes that have names. What is lost is removed by whichever command sees it, and told once. */
import { HostError } from '../text/error.js'
import { type FoundSandbox, findSandbox } from './findSandbox.js'
import { existingHome, sandboxNames } from './home.js'
import { removeRecord } from './removeRecord.js'
import { checkSandboxName, noSandbox } from './sandboxNames.js'

/** A sandbox that is, or was until its end was noted. */
export type NamedSandbox = Exclude<FoundSandbox, { state: 'lost' }>

export interface NamedSandboxes {
  /** In the order of their names. */
  readonly found: readonly NamedSandbox[]
  /** Names of those that were lost, and are removed. */
  readonly lost: readonly string[]
}

/**
 * @param removes what is lost: {@link removeRecord}, or removeSandbox, which takes the layers of a work tree along
 * @throws {HostError} when the directory of the records cannot be used.
 */
export function namedSandboxes(removes: typeof removeRecord = removeRecord): NamedSandboxes {
  const home = existingHome()
  const all = sandboxNames(home).flatMap((name) => findSandbox(home!, name) ?? [])
  const lost: string[] = []
  const found = all.flatMap((one): NamedSandbox[] => {
    if (one.state !== 'lost') return [one]
    try {
      removes(home!, one)
      lost.push(one.name)
      return []
    } catch (error) {
      // One that stays hides no other.
      const { name, directory } = one
      return [{ state: 'unreadable', name, directory, fault: (error as Error).message }]
    }
  })
  return { found, lost }
}

/**
 * The sandbox of this name, in whichever state.
 * @throws {OptionError} when it cannot be a name
 * @throws {HostError} when there is none of the name
 */
export function anySandbox(name: string): { readonly home: string; readonly found: FoundSandbox } {
  checkSandboxName(name)
  const home = existingHome()
  const found = home === undefined ? undefined : findSandbox(home, name)
  if (home === undefined || found === undefined) throw noSandbox(name, sandboxNames(home))
  return { home, found }
}

/**
 * The same; one that is lost is removed.
 * @throws {HostError} also when it was lost
 */
export function sandboxNamed(name: string): { readonly home: string; readonly found: NamedSandbox } {
  const { home, found } = anySandbox(name)
  if (found.state !== 'lost') return { home, found }
  removeRecord(home, found)
  throw new HostError(lostText(name))
}

/** What became of a sandbox whose monitor is gone without a word. */
export const lostText = (name: string) =>
  `the sandbox "${name}" is lost: it was killed from outside, or this machine was started again; what was left of it is removed`

/** Why it is not known how a sandbox ended that was waited for. */
export const noEnd = (name: string, found: FoundSandbox | undefined): HostError =>
  new HostError(
    found === undefined
      ? `the sandbox "${name}" is not there any more: its start has failed, or another command has removed it; how it ended is not known`
      : lostText(name),
  )
