/** The flags of `vial try`. */
import { type Option, runOptions } from './policyFlags.js'

export const tryOptions = [
  {
    name: 'work',
    value: 'DIR',
    offers: { from: 'file' },
    about: 'the directory that the command works on; default: the current one',
  },
  { name: 'yes', short: 'y', about: 'apply the changes without asking, if the status of the command is 0' },
  {
    name: 'protect',
    value: 'NAME',
    many: true,
    about: 'never apply what is changed at this name, at any depth, besides the names that are protected anyhow',
  },
  { name: 'no-protect', about: 'protect no other names than those of --protect' },
  { name: 'diff', about: 'show what differs line by line, too' },
  { name: 'no', about: 'apply nothing, and do not ask' },
  ...runOptions,
] as const satisfies readonly Option[]
