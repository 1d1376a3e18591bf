/** Builds the attacks into a directory, to take them into a guest: `npm run attacks:programs FOLDER`. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { compileTo } from './attack.js'

const folder = process.argv[2]
if (folder === undefined) throw new Error('usage: npm run attacks:programs FOLDER')
mkdirSync(folder, { recursive: true })
compileTo(join(folder, 'attack'))
