/** Where the package is. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The compiled sources: `dist/src`. */
export const sources = fileURLToPath(new URL('..', import.meta.url))
export const packageFile = join(sources, '../../package.json')
