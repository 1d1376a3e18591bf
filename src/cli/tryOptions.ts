/** The flags of `vial try`. */
import { type Option, runOptions } from './policyFlags.js'
import { protectOptions } from './workFlags.js'

export const tryOptions = [
  {
    name: 'work',
    value: 'DIR',
    offers: { from: 'file' },
    about: 'the directory that the command works on; default: the current one',
  },
  { name: 'yes', short: 'y', about: 'apply the changes without asking, if the status of the command is 0' },
  ...protectOptions,
  { name: 'diff', about: 'show what differs line by line, too' },
  { name: 'no', about: 'apply nothing, and do not ask' },
  ...runOptions,
] as const satisfies readonly Option[]
