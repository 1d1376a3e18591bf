/** Which directories are one program's or package's, by the rules that distributions keep: hier(7), file-hierarchy(7), FHS 3.0. */
import * as path from 'node:path'
import { isWithin } from '../policy/path.js'
import * as fs from './look.js'
import { glob, realpath } from './view.js'

/** Links to directories of /usr where the host has merged the two, directories of their own elsewhere: see file-hierarchy(7). */
export const ROOT_DIRECTORIES = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32']

/** Where programs of the system keep what they share. */
export const SHARED = ['/usr', '/lib', '/lib32', '/lib64', '/opt', '/nix/store', '/gnu/store']

export const isWithinAny = (file: string, directories: readonly string[]) =>
  directories.some((one) => isWithin(file, one))

/** Below these, each directory belongs to a package; the directories of a machine's libraries lie between. */
const ABOVE_PACKAGES = [
  '(?:/usr(?:/local)?)?/(?:lib|lib32|lib64|libexec)(?:/[^/]*-linux-[^/]*)?',
  '/usr(?:/local)?/(?:share|src)',
  ...['/opt', '/etc', '/var/lib', '/var/cache', '/nix/store', '/gnu/store'],
]
const PACKAGES = new RegExp(`^(?:${ABOVE_PACKAGES.join('|')})/(?![^/]*-linux-[^/]*$)[^/]+`)

/** Whether a real path is that of a package, or lies in it, and is not shared by all. */
export const isOfPackage = (real: string) => PACKAGES.test(real)

/** What the host's administrator has written or its services keep, and the distribution did not put there for reading. */
export const isHostsOwn = (real: string) => isWithinAny(real, ['/etc', '/var'])

/** Prose about programs, which no program needs to run. */
export const isProse = (real: string) => /^\/usr(?:\/local)?\/share\/(?:doc|man|info|locale)(?:\/|$)/.test(real)

export interface OwnPlaces {
  /** May hold libraries and programs. */
  trees: string[]
  /** Hold data only. */
  data: string[]
}

/**
 * The directories that are named after a program: "/usr/lib/NAME", "/usr/share/NAME", "/etc/NAME" and their like, also with a
 * version behind the name or without one; and the directory whose `bin` it lies in, where that is the program's alone.
 *
 * @param links the program, by every link that leads to it
 */
export function ownPlaces(links: readonly string[]): OwnPlaces {
  const trees = new Set<string>()
  const data = new Set<string>()
  const add = (to: Set<string>, pattern: string) => {
    for (const one of glob(pattern)) to.add(one)
  }
  for (const link of links) {
    const directory = realpath(path.dirname(link)) ?? path.dirname(link)
    const prefix = path.dirname(directory)
    if (!/\/s?bin$/.test(directory)) continue
    if (isOfPackage(prefix)) trees.add(prefix)
    const base = prefix === '/' ? '/usr' : prefix
    if (!['/usr', '/usr/local'].includes(base)) continue
    const full = path.basename(link)
    for (const name of new Set([full, full.replace(/(?<=[A-Za-z])[-.\d]+$/, '')])) {
      for (const library of [`${base}/lib`, ...machines(base), `${base}/lib64`, `${base}/libexec`])
        for (const one of [name, `${name}-[0-9]*`]) add(trees, `${library}/${one}`)
      for (const one of [name, `${name}-[0-9]*`]) add(data, `${base}/share/${one}`)
      for (const one of [`${name}.conf`, `${name}rc`, `${name}.cfg`]) add(data, `/etc/${one}`)
      if (isDirectory(`/etc/${name}`)) data.add(`/etc/${name}`)
    }
  }
  return { trees: [...trees], data: [...data] }
}

const machines = (base: string) => glob(`${base}/lib/*-linux-*`)

function isDirectory(file: string): boolean {
  try {
    return fs.statSync(file).isDirectory()
  } catch {
    return false
  }
}
