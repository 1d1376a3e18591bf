/** Where PostgreSQL is installed. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Debian has the server's programs of each version in a directory of its own. Undefined: there are none. */
export function postgresPrograms(): string | undefined {
  const versions = '/usr/lib/postgresql'
  const all = existsSync(versions) ? readdirSync(versions).sort((one, other) => Number(other) - Number(one)) : []
  return all.map((version) => join(versions, version, 'bin')).find((directory) => existsSync(join(directory, 'initdb')))
}
