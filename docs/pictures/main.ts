/** `npm run pictures` writes the pictures of these pages next to the sources, each for a light and for a dark page. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { drawn } from './drawn.js'

const place = fileURLToPath(new URL('../../../docs/pictures/', import.meta.url))
for (const [name, text] of drawn()) writeFileSync(`${place}${name}`, text)
