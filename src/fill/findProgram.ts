/** Where a program is: on a search path, and behind the shims of version managers. */
import * as path from 'node:path'
import { usualPath } from '../policy/path.js'
import * as fs from './look.js'
import { readRegular } from './regular.js'

/** Where NixOS, Guix, and Nix for all users of another system have programs. */
const STORES = [
  ...['/run/current-system/sw/bin', '/run/current-system/profile/bin', '/run/current-system/profile/sbin'],
  '/nix/var/nix/profiles/default/bin',
]

/** The PATH of a sandbox that shows programs of this host, and the one on which they are looked for: {@link usualPath}, and {@link STORES}. */
export const hostPath = (): string => [usualPath, ...STORES.filter((one) => fs.existsSync(one))].join(':')

/** `target` is where a shim leads. */
export interface Located {
  file: string
  target?: string
}

/**
 * Finds a program as execvp(3) does: a name with a slash is a path, any other is looked for in the directories of `search`.
 * A shim of a version manager that has no version to lead to is passed over.
 */
export function findProgram(name: string, search = hostPath()): string | undefined {
  return locate(name, search)?.file
}

/** As {@link findProgram}, and where the shim leads if it is one. */
export function locate(name: string, search: string): Located | undefined {
  const files = name.includes('/')
    ? [path.resolve(name)]
    : search.split(':').flatMap((one) => (one.startsWith('/') ? [path.join(one, name)] : []))
  for (const file of name === '' ? [] : files) {
    if (!executable(file)) continue
    const shim = shims.map((one) => one(file)).find((one) => one !== undefined)
    if (shim === undefined) return { file }
    const target = shim.find(executable)
    if (target !== undefined) return { file, target }
  }
  return undefined
}

export function executable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK)
    return fs.statSync(file).isFile()
  } catch {
    return false
  }
}

/** Of a shim, the programs that it would execute, the first one that exists; of any other file, undefined. */
type Shim = (file: string) => readonly string[] | undefined

const shims: readonly Shim[] = [ofVersions, ofRustup]

/** pyenv, rbenv, nodenv and plenv keep `versions` beside their `shims`; asdf and mise keep `installs`. */
function ofVersions(file: string): readonly string[] | undefined {
  const directory = path.dirname(file)
  if (path.basename(directory) !== 'shims') return undefined
  const root = path.dirname(directory)
  if (!fs.existsSync(path.join(root, 'versions'))) return fs.existsSync(path.join(root, 'installs')) ? [] : undefined
  const chosen = (readRegular(path.join(root, 'version')) ?? '').split(/\s+/)
  return chosen.flatMap((one) => (one === '' ? [] : [path.join(root, 'versions', one, 'bin', path.basename(file))]))
}

/**
 * rustup is one program under the names of all the tools, as links or as hard links beside it. It executes the one of the
 * default toolchain, whose name in settings.toml may lack the machine.
 */
function ofRustup(file: string): readonly string[] | undefined {
  const directory = path.dirname(file)
  const name = path.basename(file)
  if (name === 'rustup' || !isSame(file, path.join(directory, 'rustup'))) return undefined
  const above = path.dirname(path.dirname(directory))
  const homes = [fs.variable('RUSTUP_HOME') ?? '', path.join(above, '.rustup'), path.join(above, 'rustup')]
  return homes.flatMap((home) => {
    const settings = home.startsWith('/') ? readRegular(path.join(home, 'settings.toml')) : undefined
    const chosen = /^default_toolchain\s*=\s*"([^"/]+)"/m.exec(settings ?? '')?.[1]
    if (chosen === undefined) return []
    const toolchains = path.join(home, 'toolchains')
    const full = list(toolchains).filter((one) => one.startsWith(`${chosen}-`))
    return [chosen, ...full].map((one) => path.join(toolchains, one, 'bin', name))
  })
}

function isSame(one: string, other: string): boolean {
  try {
    const [a, b] = [fs.statSync(one), fs.statSync(other)]
    return a.dev === b.dev && a.ino === b.ino
  } catch {
    return false
  }
}

function list(directory: string): string[] {
  try {
    return fs.readdirSync(directory).sort()
  } catch {
    return []
  }
}
