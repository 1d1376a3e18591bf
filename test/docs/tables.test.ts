/** The tables of the documents have a row for each row of the tables in the code, and no other. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { optionNames } from '../../src/bwrap/bwrapOptions.js'
import { commands } from '../../src/cli/commands.js'
import { namespaceNames } from '../../src/kernel/namespaces.js'
import { rlimits } from '../../src/kernel/rlimits.js'
import { limitNames } from '../../src/policy/limits.js'
import { entrySchemas, policySchema } from '../../src/policy/schema.js'
import { top } from '../support/declarations.js'

const page = (name: string) => readFileSync(join(top, 'docs', name), 'utf8')
/** The part below a heading, to the next one of its level. */
function section(name: string, heading: string): string {
  const found = page(name).split(`\n## ${heading}\n`)[1]
  assert.ok(found, `docs/${name} has no section ${heading}`)
  return found.split('\n## ')[0]!
}
/** The cells of all rows of its tables. */
const rowsOf = (text: string) =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) =>
      line
        .slice(2, -2)
        .split(/ \| /)
        .map((cell) => cell.replaceAll('\\|', '|')),
    )
const codes = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code!)
const firsts = (text: string) => rowsOf(text).flatMap(([first]) => codes(first))
const missing = (wanted: readonly string[], there: readonly string[]) => wanted.filter((one) => !there.includes(one))

describe('docs/cli.md', () => {
  const spelled = ({ name, value }: { readonly name: string; readonly value?: string }) =>
    value === undefined ? `--${name}` : `--${name} ${value}`
  const run = commands.find(({ name }) => name === 'run')!

  test('has a row for each flag of vial run, as its help spells it', () => {
    const there = firsts(section('cli.md', '`vial run`')).filter((one) => one.startsWith('--'))
    const wanted = run.options.map(spelled)
    assert.deepEqual(missing(wanted, there), [], 'to be written into the table of docs/cli.md')
    // Besides, one row tells of some flags together.
    const names = run.options.map(({ name }) => `--${name}`)
    assert.deepEqual(missing(there, [...wanted, ...names]), [], 'no such flag')
  })

  test('tells of each command, and of its own flags', () => {
    const text = page('cli.md')
    for (const { name, options } of commands) {
      assert.ok(text.includes(`\n## \`vial ${name}\`\n`), `vial ${name}`)
      for (const option of options) assert.ok(text.includes(`--${option.name}`), `vial ${name} --${option.name}`)
    }
  })
})

describe('docs/policy.md', () => {
  test('has a row for each kind of entry, with its keys', () => {
    const rows = rowsOf(section('policy.md', '`filesystem`'))
    for (const [kind, { entries }] of Object.entries(entrySchemas)) {
      const row = rows.find(([first]) => first === `\`${kind}\``)
      assert.ok(row, `no row for ${kind}`)
      assert.deepEqual(codes(row[1]).sort(), missing(Object.keys(entries), [kind]).sort(), kind)
    }
    assert.deepEqual(
      missing(
        rows.flatMap(([first]) => codes(first)),
        Object.keys(entrySchemas),
      ),
      [],
    )
  })

  test('tells of each key, each namespace and each resource', () => {
    const text = page('policy.md')
    for (const key of Object.keys(policySchema.entries))
      assert.match(text, new RegExp(`^(## .*|\\| )\`${key}[.\`]`, 'm'), key)
    assert.deepEqual(missing(namespaceNames, codes(section('policy.md', '`namespaces`'))), [])
    assert.deepEqual(missing(Object.keys(rlimits), codes(section('policy.md', '`rlimits`'))), [])
  })
})

test('docs/limits.md has a row for each limit', () => {
  const there = firsts(section('limits.md', 'What each limit is'))
  assert.deepEqual(missing(limitNames, there), [], 'to be written into the table of docs/limits.md')
  assert.deepEqual(missing(there, limitNames), [], 'no such limit')
})

test('docs/bwrap.md tells of no option that is none', () => {
  const named = [...page('bwrap.md').matchAll(/`(--[a-z][\w-]*)/g)].map(([, name]) => name!)
  const others = commands.flatMap(({ options }) => options.map(({ name }) => `--${name}`))
  assert.deepEqual(missing(named, [...optionNames, ...others, '--to-policy']), [])
})
