/**
 * Writes `vial-bwrap`, the package's command: npm runs this when the package was built or installed. The executable replaces
 * the script of the same name, so that what npm links stays right. Wherever that cannot be, the script stays. And writes the
 * code caches that let Node start faster.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { frontPath, writeFront, writeScript } from '../bwrap/frontFile.js'
import { write } from '../text/write.js'
import { removeCodeCaches, writeCodeCaches } from './warm.js'

const { npm_command, npm_config_user_agent, npm_lifecycle_event } = process.env
/** What is packed is for every machine. */
const packing = (npm_command === 'pack' || npm_command === 'publish') && npm_lifecycle_event !== 'postpack'
/** Others than npm call a package's command through `node`, which takes no executable. */
const linked = npm_config_user_agent === undefined || npm_config_user_agent.startsWith('npm/')

function prepareScript(): void {
  mkdirSync(dirname(frontPath), { recursive: true })
  writeFileSync(join(dirname(frontPath), 'package.json'), '{ "type": "commonjs" }\n')
  writeScript()
}

try {
  if (packing || !existsSync(frontPath)) prepareScript()
  if (!packing && linked) writeFront()
} catch (error) {
  write(2, `vial: vial-bwrap stays a script: ${(error as Error).message}\n`)
}

try {
  if (packing) removeCodeCaches()
  else writeCodeCaches()
} catch (error) {
  write(2, `vial: it starts more slowly than it could: ${(error as Error).message}\n`)
}
