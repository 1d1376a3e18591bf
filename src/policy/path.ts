/** Paths of a policy. Apart from the schema, whose checker takes long to load. */
import { HostError } from '../text/error.js'

/** `/a//b/./c/` → `/a/b/c`. */
export function normal(path: string): string {
  // Most are so already, and each is asked for many times.
  if (/^(?:\/(?!\.?(?:\/|$))[^/]*)+$/.test(path)) return path
  return `/${path
    .split('/')
    .filter((name) => name !== '' && name !== '.')
    .join('/')}`
}

/** Whether a place is another or lies in it. */
export const isWithin = (place: string, above: string) =>
  place === above || place.startsWith(above === '/' ? '/' : `${above}/`)

/** The path of a key of a policy's object or list: `env.set` and `A` → `env.set.A`. */
export function below(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`
  if (!/^[\w-]+$/.test(key)) return `${path}[${JSON.stringify(key)}]`
  return path === '' ? key : `${path}.${key}`
}

/**
 * Where relative paths start.
 * @throws {HostError} where the kernel cannot tell it
 */
export function currentDirectory(): string {
  try {
    return process.cwd()
  } catch (error) {
    throw explainDirectory(error as Error)
  }
}

/** The same error, but a sentence where the current directory could not be told: Node has none. */
export function explainDirectory(error: Error): Error {
  const { syscall, code = '' } = error as NodeJS.ErrnoException
  if (syscall !== 'uv_cwd') return error
  const causes: Readonly<Record<string, string>> = {
    ENOENT: 'it has been removed',
    EACCES: 'a directory above it is closed to this user',
  }
  // Node has room for PATH_MAX bytes: getcwd(3).
  const cause = causes[code] ?? 'its path is longer than 4095 bytes'
  return new HostError(`cannot tell the current directory: ${cause}; cd to another one`, { code, cause: error })
}

/** PATH where nothing else is known of a root: those of /usr/sbin too, for a payload has no other way to find them. */
export const usualPath = '/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin'
