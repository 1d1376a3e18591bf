/** What is laid over a writable entry, so that a payload does not write what the next run trusts: compile/writableEntries.ts. */
import { kindOf } from '../policy/hidden.js'
import { normal } from '../policy/path.js'
import type { Entry } from '../policy/schema.js'
import { hints } from './hints.js'
import type { Planner } from './planner.js'
import type { KeptAs } from './step.js'

/** Before later entries, which lie over it. */
export function keep(p: Planner, entry: Entry): void {
  for (const { path, as, made } of p.context.kept?.get(entry) ?? []) {
    const at = normal(`${kindOf(entry).place}/${path}`)
    const place = p.place(at)
    if (made)
      p.push({
        do: 'directory',
        place,
        mode: 0o700,
        implicit: true,
        ifAllowed: true,
        owner: undefined,
        what: `make ${at} where it is missing`,
        why: 'what is not there cannot be kept from the command',
        hints: hints.present,
      })
    p.push({
      do: 'readonly',
      place,
      recursive: true,
      only: as === 'link' ? 'link' : 'present',
      flags: as === 'placed' ? {} : { readonly: true },
      what: as === 'readonly' ? `keep ${at} read-only` : `keep ${at} at its place`,
      why: whyKept[as],
      hints: hints.present,
    })
  }
}

const whyKept: Readonly<Record<KeptAs, string>> = {
  readonly: 'it decides what the next run of vial executes, or what this one may take',
  placed: 'a mount point cannot be renamed; what lies in it must stay',
  link: 'the next run of vial follows this link; a mount point cannot be exchanged',
}
