/** From the lines of the guests to results, and what becomes of results of earlier runs. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { document } from '../../lab/document.js'
import { type Feature, features, jobs } from '../../lab/jobs.js'
import { kernels } from '../../lab/kernels.js'
import { type Line, parseLine } from '../../lab/report.js'
import { isGood, known, merge, readResults, resultsOf } from '../../lab/results.js'
import { cellText, columns, inOrder, markdown, notesOf, tableRows } from '../../lab/table.js'

const asked: readonly Feature[] = [
  { title: 'one, by root', job: 'one', names: /root/ },
  { title: 'one, by others', job: 'one', names: /others/ },
  { title: 'two', job: 'two' },
]
const lines: readonly Line[] = [
  { facts: { kernel: '6.0', systemd: 'not booted' } },
  { job: 'one', test: 'a, root', status: 'passed' },
  { job: 'one', test: 'b, root', status: 'failed', why: 'because' },
  { job: 'one', test: 'c, others', status: 'skipped', why: 'no such disk' },
  { job: 'one', end: 'ended', seconds: 12.4 },
  { job: 'two', test: 'd', status: 'passed' },
  { job: 'two', end: 'late', seconds: 60 },
]
const results = resultsOf([{ kernel: 'K', lines }], asked)

describe('results of the lab', () => {
  test('a feature is the tests of its job with its words in their names', () => {
    assert.deepEqual(results.K!.facts, { kernel: '6.0' })
    assert.deepEqual(results.K!.cells['one, by root'], {
      passed: 1,
      failed: { 'b, root': 'because' },
      skipped: {},
      end: 'ended',
      seconds: 12,
    })
  })

  test('cells say what ran, what passed, and why nothing did', () => {
    assert.deepEqual(tableRows(inOrder(results, ['J', 'K']), asked), [
      ['', 'K'],
      ['one, by root', '**1 of 2**'],
      ['one, by others', 'no: no such disk'],
      ['two', '**out of time after 1 passed**'],
    ])
    assert.equal(cellText(undefined), '-')
    assert.equal(cellText({ passed: 3, failed: {}, skipped: {}, end: 'ended' }), '3 of 3')
    assert.equal(cellText({ passed: 3, failed: {}, skipped: {} }), '**the guest ended after 3 passed**')
    assert.equal(cellText({ passed: 0, failed: {}, skipped: {}, end: 'ended' }), '**nothing ran**')
  })

  test('a run is good if every job ended with tests that passed', () => {
    const good = (lines: readonly Line[], ids: string[], broken: string[] = []) =>
      isGood({ kernel: 'K', lines, broken }, ids)
    const passed: Line = { job: 'one', test: 't', status: 'passed' }
    const end = { job: 'one', end: 'ended', seconds: 1 } as const
    assert.equal(good([passed, end], ['one']), true)
    assert.equal(good([passed, end], ['one', 'two']), false)
    assert.equal(good([passed, end], ['one'], ['was ended']), false)
    assert.equal(good([passed], ['one']), false)
    assert.equal(good([end], ['one']), false)
    assert.equal(good([passed, { ...end, end: 'late' }], ['one']), false)
    assert.equal(good([passed, { ...passed, status: 'failed' }, end], ['one']), false)
  })

  test('a run replaces its own cells, and all of another release of the kernel', () => {
    const now = resultsOf(
      [{ kernel: 'K', lines: [{ facts: { kernel: '6.0', systemd: '257' } }, ...lines.slice(5)] }],
      [asked[2]!],
    )
    const merged = merge({ ...results, J: { facts: {}, cells: {} } }, now)
    assert.deepEqual(Object.keys(merged), ['K', 'J'])
    assert.deepEqual(merged.K!.facts, { kernel: '6.0', systemd: '257' })
    assert.deepEqual(Object.keys(merged.K!.cells), ['one, by root', 'one, by others', 'two'])
    const newer = merge(results, { K: { ...now.K!, facts: { kernel: '6.1' } } })
    assert.deepEqual(Object.keys(newer.K!.cells), ['two'])
    assert.deepEqual(Object.keys(known(merged, asked.slice(1)).K!.cells), ['one, by others', 'two'])
  })

  test('failures and skips beside tests that ran are told with their kernels', () => {
    const both = resultsOf(
      ['K', 'L'].map((kernel) => ({ kernel, lines })),
      asked,
    )
    assert.deepEqual(notesOf(inOrder(both, ['K', 'L']), asked), [['b, root', '**failed**: because', 'K, L']])
    const skipped: Line = { job: 'two', test: 'e', status: 'skipped', why: 'only there' }
    const one = resultsOf([{ kernel: 'K', lines: [...lines, skipped] }], [asked[2]!])
    assert.deepEqual(notesOf(inOrder(one, ['K']), asked), [['e', 'only there', 'K']])
  })

  test('tables: Markdown, and columns', () => {
    const rows = [
      ['', 'K'],
      ['a `b`', '**1 of 2**'],
      ['x|y\nz', '-'],
    ]
    assert.equal(markdown(rows), '|  | K |\n| --- | --- |\n| a `b` | **1 of 2** |\n| x\\|y z | - |')
    assert.equal(columns(rows.slice(0, 2)), '     K\na b  1 of 2')
  })

  test('lines that are none are left out', () => {
    assert.equal(parseLine('[    0.000000] Linux version'), undefined)
    assert.deepEqual(parseLine('{"facts":{}}'), { facts: {} })
  })
})

test('every job with tests has a row, and every row a job', () => {
  const ids = new Set(features.map(({ job }) => job))
  assert.deepEqual(
    [...ids].sort(),
    jobs
      .filter(({ tests }) => tests.length > 0)
      .map(({ id }) => id)
      .sort(),
  )
  assert.equal(new Set(features.map(({ title }) => title)).size, features.length)
})

test('docs/lab.md is what the last runs told', () => {
  const page = resolve(fileURLToPath(import.meta.url), '../../../../docs/lab.md')
  const names = kernels.map(({ name }) => name)
  assert.equal(readFileSync(page, 'utf8'), document(readResults(), names, features))
})
