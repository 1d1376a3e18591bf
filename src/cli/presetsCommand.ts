/** `vial presets`. */
import { completePolicy } from '../fill/complete.js'
import { type FilesystemEntry, type Policy, presetNames } from '../policy/schema.js'
import { didYouMean } from '../text/closest.js'
import { printJson, write } from '../text/write.js'
import { UsageError } from './commandLine.js'

const about: Record<(typeof presetNames)[number], string> = {
  system: "what this host's programs expect: the default of vial run",
  empty: 'an empty root: only what the policy lists',
}

export function presets(name: string | undefined, flags: { readonly json?: true }): void {
  const preset = presetNames.find((one) => one === name)
  if (name !== undefined && preset === undefined)
    throw new UsageError(`there is no preset ${name}${didYouMean(name, presetNames)}: ${presetNames.join(', ')}`)
  const shown = (preset === undefined ? presetNames : [preset]).map(
    (one) => [one, completePolicy({ preset: one })] as const,
  )
  if (flags.json) printJson(Object.fromEntries(shown))
  else write(1, shown.map(([one, policy]) => `${one}: ${about[one]}\n${describe(policy)}`).join('\n'))
}

/** The entries of a policy by what they are, a line each kind. */
function describe(policy: Policy): string {
  const entries = policy.filesystem ?? []
  const kinds: readonly (readonly [string, (entry: FilesystemEntry) => string | undefined])[] = [
    ['read-only', (entry) => ('bind' in entry && !entry.writable ? entry.bind : undefined)],
    ['links', (entry) => ('symlink' in entry ? `${entry.symlink} → ${entry.to}` : undefined)],
    ['written anew', (entry) => ('file' in entry ? entry.file : undefined)],
    ['of its own', (entry) => ('proc' in entry ? entry.proc : 'dev' in entry ? entry.dev : undefined)],
    ['empty, in memory', (entry) => ('tmpfs' in entry ? entry.tmpfs : undefined)],
    ['empty directories', (entry) => ('directory' in entry ? entry.directory : undefined)],
  ]
  const variables = Object.entries(policy.env?.set ?? {}).map(([name, value]) => `${name}=${value}`)
  const rows = [
    ...kinds.map(([kind, pick]) => [kind, entries.flatMap((entry) => pick(entry) ?? [])] as const),
    ['variables', variables] as const,
    ['working directory', policy.cwd === undefined ? [] : [policy.cwd]] as const,
  ]
  return rows
    .flatMap(([kind, found]) => found.map((one, index) => `  ${(index === 0 ? kind : '').padEnd(19)}${one}\n`))
    .join('')
}
