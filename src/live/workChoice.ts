/** Which changes of a work tree are committed, and what is said of those that are not. */
import { Fault, HostError, OptionError } from '../text/error.js'
import { printable } from '../text/printable.js'
import { type Change, type Found, type HostStatus, typeOf } from './workChanges.js'

const committable: readonly Change['type'][] = ['file', 'directory', 'link']

const isSpecial = ({ kind, type }: Change) => kind !== 'removed' && !committable.includes(type)
/** Whether it can be: nothing that is protected, and of what is added no device, FIFO or socket. */
export const isCommittable = (change: Change): boolean => !change.protected && !isSpecial(change)

/**
 * With the directories that they need. What is protected is left out, and refused where it is asked for by its own path.
 * @throws {VialError} when `only` names what is not in the diff or protected, and for devices, FIFOs and sockets
 */
export function choose(all: readonly Found[], only: readonly string[] | undefined): readonly Found[] {
  const chosen = among(all, only)
  const special = chosen.filter(({ change }) => isSpecial(change))
  if (special.length > 0)
    throw new HostError(
      `only files, directories and links are committed: ${listed(special, ({ type }) => ` is a ${type}`)}`,
      { hint: 'leave them out by "only", or remove them in the box' },
    )
  return chosen
}

function among(all: readonly Found[], only: readonly string[] | undefined): readonly Found[] {
  const found = all.filter(({ change }) => !change.protected)
  if (only === undefined) return found
  const refused = all.filter(({ change }) => change.protected && only.includes(change.path))
  if (refused.length > 0)
    throw new HostError(`protected, and never committed: ${listed(refused)}`, {
      code: 'EPERM',
      hint: 'copy it by hand, or open the box with a shorter list of what work.protect names',
    })
  const unknown = only.find((path) => !found.some(({ change }) => isAt(change.path, path)))
  if (unknown !== undefined)
    throw OptionError.at(new Fault('only', `${JSON.stringify(printable(unknown))} is no path of the diff`))
  return found.filter(({ change, host }) =>
    only.some(
      (path) => isAt(change.path, path) || (becomesDirectory(change, host) && path.startsWith(`${change.path}/`)),
    ),
  )
}

const isAt = (path: string, above: string) => path === above || path.startsWith(`${above}/`)
const becomesDirectory = ({ kind, type }: Change, host: Found['host']) =>
  kind !== 'removed' && type === 'directory' && (host === undefined || !isDirectory(host))
export const isDirectory = (status: HostStatus): boolean => typeOf(status) === 'directory'

const mostListed = 20

export function listed(found: readonly Found[], about: (change: Change) => string = () => ''): string {
  const said = found.slice(0, mostListed).map(({ change }) => printable(change.path) + about(change))
  return [...said, ...(found.length > mostListed ? [`and ${found.length - mostListed} more`] : [])].join(', ')
}
