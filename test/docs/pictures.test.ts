/** The pictures of the pages are those that today's compiler draws, and can be read on a light and on a dark page. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Theme, themes } from '../../docs/pictures/draw.js'
import { drawn } from '../../docs/pictures/drawn.js'

const place = resolve(fileURLToPath(import.meta.url), '../../../../docs')
const pages = ['how-it-works.md', 'sessions.md'].map((name) => readFileSync(join(place, name), 'utf8')).join('\n')
const drawings = drawn()

describe('pictures', () => {
  for (const [name, text] of drawings)
    test(`${name} is up to date (npm run pictures), and a page shows it`, () => {
      assert.equal(readFileSync(join(place, 'pictures', name), 'utf8'), text)
      assert.ok(pages.includes(`"pictures/${name}"`))
    })

  test('there are no others', () => {
    const files = readdirSync(join(place, 'pictures')).filter((name) => name.endsWith('.svg'))
    assert.deepEqual(files.sort(), [...drawings.keys()].sort())
    assert.equal(pages.match(/\balt="[^"]{40,}"/g)?.length, drawings.size / 2)
  })
})

/** https://www.w3.org/TR/WCAG21/#dfn-relative-luminance */
function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!
}
function contrast(one: string, other: string): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (light! + 0.05) / (dark! + 0.05)
}

for (const [name, theme] of Object.entries<Theme>(themes))
  test(`text has contrast on a ${name} page`, () => {
    const { ground, fill, line: _, ...texts } = theme
    for (const [colour, value] of Object.entries(texts))
      for (const behind of [ground, fill]) assert.ok(contrast(value, behind) >= 4.5, `${colour} on ${behind}`)
  })
