/** docs/library.md is true of the types: its tables have the members that there are, in the words of their texts. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import ts from 'typescript'
import { checker, source, top } from '../support/declarations.js'

const exported = new Map(
  checker
    .getExportsOfModule(checker.getSymbolAtLocation(source)!)
    .map((symbol) => [symbol.name, symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol]),
)

const textOf = (symbol: ts.Symbol) =>
  ts.displayPartsToString(symbol.getDocumentationComment(checker)).replaceAll(/\s+/g, ' ').trim()

/** Members of an exported type, by name. */
function membersOf(name: string): Map<string, ts.Symbol> {
  const type = checker.getDeclaredTypeOfSymbol(exported.get(name)!)
  return new Map(
    checker
      .getPropertiesOfType(type)
      .filter(
        (one) => !/^__#|#private$/.test(one.name) && !one.getJsDocTags(checker).some(({ name }) => name === 'internal'),
      )
      .map((one) => [one.name.startsWith('__@') ? `[Symbol.${one.name.split('@')[1]}]` : one.name, one]),
  )
}

/** Sections by their headings, and the rows of all tables in each. */
const sections = new Map(
  readFileSync(join(top, 'docs/library.md'), 'utf8')
    .split(/^## /m)
    .map((section) => {
      const rows = section
        .replaceAll(/^```[\s\S]*?^```/gm, '')
        .split('\n')
        .filter((line) => line.startsWith('| '))
        .map((line) => line.slice(2, -2).split(' | '))
      return [section.split('\n')[0]!, rows] as const
    }),
)
const rowsOf = (heading: string) => {
  const found = [...sections].find(([name]) => name.startsWith(heading))
  assert.ok(found, heading)
  return found[1]
}
const codes = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code!)
/** Of a first cell such as `usage.userMs`, `usage.systemMs`. */
const namesOf = (rows: readonly (readonly string[])[]) => rows.flatMap(([first]) => codes(first!))

test('.run has a row for each option and each field of its result', () => {
  const names = namesOf(rowsOf('`.run(')).filter((name) => !/Error$/.test(name))
  const usage = [...membersOf('Usage').keys()].filter((name) => names.includes(`usage.${name}`))
  const result = [...membersOf('RunResult').keys()].filter((name) => name !== 'usage')
  const expected = [...membersOf('RunOptions').keys(), ...result, ...usage.map((name) => `usage.${name}`), 'usage']
  assert.deepEqual(names.sort(), expected.sort())
})

test('.spawn has a row for each field, and the entries of stdio', () => {
  const names = namesOf(rowsOf('`.spawn(')).map((name) => name.replace(/\(.*\)$/, ''))
  const entries = ["'pipe'", "'input'", "'output'", "'ignore'", "'inherit'"]
  assert.deepEqual(names.sort(), [...membersOf('SandboxProcess').keys(), ...entries].sort())
  const own = [...membersOf('SpawnOptions').keys()]
  const text = readFileSync(join(top, 'docs/library.md'), 'utf8').split('## `.spawn(')[1]!
  for (const name of own) assert.ok(text.slice(0, text.indexOf('\n| ')).includes(`\`${name}\``), name)
})

test('units and defaults are those of the texts', () => {
  const options = membersOf('RunOptions')
  for (const [first, second = ''] of rowsOf('`.run(')) {
    for (const name of codes(first!).filter((one) => options.has(one))) {
      const text = textOf(options.get(name)!)
      // A field of the result may have the same name.
      options.delete(name)
      assert.match(text, /[Dd]efault|alike/, `${name}: ${text}`)
      const said = [...codes(second), ...(second.match(/milliseconds|bytes|\d+ MiB|none|empty/g) ?? [])]
      for (const word of said) {
        const also = word === 'none' ? /none|never|aborted/ : word === 'bytes' ? /bytes|Uint8Array|input/i : undefined
        if (text.includes('alike')) continue
        assert.ok(also?.test(text) ?? text.toLowerCase().includes(word.toLowerCase()), `${name}: ${word}: ${text}`)
      }
    }
  }
})

test('each method of a sandbox has its section', () => {
  const headings = [...sections.keys()].join('\n')
  for (const name of membersOf('Sandbox').keys()) assert.ok(headings.includes(`\`.${name}(`), name)
})

test('what is exported is listed, by the first sentence of its text', () => {
  const expected = [...exported]
    .map(([name, symbol]) => `| \`${name}\` | ${textOf(symbol).replace(/[.:](?=\s|$).*/, '')} |`)
    .sort()
  const listed = rowsOf('Everything that is exported')
    .slice(2)
    .map((cells) => `| ${cells.join(' | ')} |`)
  assert.equal(listed.join('\n'), expected.join('\n'))
})
