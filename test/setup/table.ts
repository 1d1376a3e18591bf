/** Writes the table "Hostile set-ups" into docs/compared.md: `node dist/test/setup/table.js`, as root. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { root, workDirectory } from '../support/user.js'
import { type Case, cases, races } from './cases.js'
import { attempt, type Door, doors, type Outcome } from './doors.js'
import { race } from './race.js'

const document = 'docs/compared.md'
const [begin, end] = ['<!-- hostile set-ups: test/setup/table.ts writes what follows -->\n', '<!-- end -->\n']
const top = workDirectory(root, 'setup')
for (const path of [top, dirname(top)]) chmodSync(path, 0o755)
const shown = doors.filter(({ name, weak }) => !weak || name === 'policy, root mode, weakened')

const plants = [...new Set([...cases, ...races].map(({ plant }) => plant))]
const met = (plant: string): readonly Case[] => [...cases, ...races].filter((one) => one.plant === plant)
const kindOf = (plant: string) => (plant.endsWith('source') ? 'source' : met(plant)[0]!.kind)

async function outcomes(door: Door): Promise<Map<Case, Outcome | undefined>> {
  const raced = await race(door, races, top, 20)
  return new Map([
    ...cases.map((one) => [one, attempt(door, one, top)] as const),
    ...races.map((one, index) => [one, raced[index]] as const),
  ])
}

const columns: string[][] = []
for (const door of shown) {
  const found = await outcomes(door)
  const counted = (list: readonly Case[]) => {
    const tried = list.filter((one) => found.get(one) !== undefined)
    const reached = tried.filter((one) => found.get(one)!.reached !== undefined)
    return tried.length === 0 ? '' : `${reached.length} / ${tried.length}`
  }
  columns.push([...plants.map((plant) => counted(met(plant))), counted([...cases, ...races])])
}
const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`
const rows = [
  ...plants.map((plant) => [plant, kindOf(plant), String(met(plant).length)]),
  ['all', '', String(cases.length + races.length)],
]
const table = [
  line(['planted', 'leads to', 'operations', ...shown.map(({ name }) => name)]),
  line(['---', '---', ...['', ...shown].map(() => '---')]),
  ...rows.map((head, index) => line([...head, ...columns.map((column) => column[index]!)])),
]
const text = readFileSync(document, 'utf8')
const [from, to] = [text.indexOf(begin), text.indexOf(end)]
if (from === -1 || to === -1) throw new Error(`${document} has no place for the table`)
writeFileSync(document, text.slice(0, from + begin.length) + table.join('') + text.slice(to))
