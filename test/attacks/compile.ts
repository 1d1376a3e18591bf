/** Builds the attacks into a directory, to take them into a guest: `npm run attacks:programs DIRECTORY`. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { compileTo } from './attack.js'

const directory = process.argv[2]
if (directory === undefined) throw new Error('usage: npm run attacks:programs DIRECTORY')
mkdirSync(directory, { recursive: true })
compileTo(join(directory, 'attack'))
