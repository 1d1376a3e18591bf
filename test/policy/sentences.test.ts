/** A sentence is for people: what the code decides, it decides by a code or a kind. Whoever mends the English must not change an exit status. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const sources = resolve(fileURLToPath(import.meta.url), '../../../../src')

const asked = /\b(message|fault|faults|hint|detail)\b\)?[?!]*\.(startsWith|endsWith|includes|match|matchAll|search|indexOf)\(/
const matched = /\.(test|exec)\([^()]*\b(message|fault|hint|detail)\)|\b(message|fault|hint|detail) [!=]==? ['"`]/

const decides = (line: string) => asked.test(line) || matched.test(line)

test('the question itself', () => {
  for (const line of ["error.message.startsWith('x')", '/x/.test(error.message)', "message === 'x'", 'fault.includes(key)'])
    assert.ok(decides(line), line)
  for (const line of ["error.code === 'ENOENT'", 'write(2, error.message)', "name.startsWith('x')"])
    assert.ok(!decides(line), line)
})

test('nothing is decided by a sentence', () => {
  const found = (readdirSync(sources, { recursive: true }) as string[])
    .filter((name) => /\.c?ts$/.test(name))
    .flatMap((name) =>
      readFileSync(join(sources, name), 'utf8')
        .split('\n')
        .flatMap((line, at) => (decides(line) ? [`${name}:${at + 1}: ${line.trim()}`] : [])),
    )
  assert.deepEqual(found, [])
})
