/** Runs one sandbox by the library and prints the result as JSON: see runAs. */
import { createRequire } from 'node:module'
import type * as Vial from '../../src/index.js'

const { sandbox }: typeof Vial = createRequire(import.meta.url)('../../cjs/index.js')

const { policy, command, args } = JSON.parse(process.argv[2]!)
try {
  process.stdout.write(JSON.stringify(await sandbox(policy).run(command, args)))
} catch (error) {
  const { message, code } = error as Error & { code?: string }
  process.stdout.write(JSON.stringify({ error: message, code }))
}
