/** The builder's data: tables with pointers, and texts that share their ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { architectures } from '../../src/kernel/architecture.js'
import { assemble } from '../../src/machine/assemble.js'
import { Builder } from '../../src/machine/builder.js'
import { interpret } from './interpreter.js'
import { execute, runner } from './tools.js'

/** Walks a table of [text, length], which ends in 0, and writes each text. */
function writeTexts(texts: readonly string[]) {
  const b = new Builder()
  const [stack, row, text, length, result] = b.temporaries(5)
  b.entry(stack)
  b.move(row, b.table([...texts.flatMap((one) => [b.text(one), one.length]), 0]))
  b.loop(({ leave }) => {
    b.load(text, 32, row)
    b.when(text, 'eq', 0, leave)
    b.load(length, 32, row, 4)
    b.compute(row, row, 'add', 8)
    b.syscall(result, 'write', 1, text, length)
  })
  b.syscall(result, 'exit_group', 7)
  return b.finish()
}

const texts = ['bind /usr/lib', '/usr/lib', 'usr/lib', 'lib', '/é/x', '/x', '']
const expected = { status: 7, signal: null, output: Buffer.from(texts.slice(0, 4).join('')).toString('hex') }

test('a table of texts, interpreted', () => {
  assert.deepEqual(interpret(writeTexts(texts.slice(0, 4))), expected)
})

for (const architecture of architectures) {
  const command = runner(architecture)
  const skip = command === undefined ? `nothing here runs ${architecture} programs (qemu-user is missing)` : false
  test(`a table of texts on ${architecture}`, { skip }, () => {
    assert.deepEqual(execute(assemble(writeTexts(texts.slice(0, 4)), architecture), command!), expected)
  })
}

test('a path that another text ends in is not stored again', () => {
  const b = new Builder()
  const [name, path, whole] = ['usr/lib', '/usr/lib', 'bind /usr/lib'].map((text) => b.text(text))
  b.finish()
  assert.equal(path!.offset, whole!.offset + 5)
  assert.equal(name!.offset, whole!.offset + 6)
  const { constants } = writeTexts(texts)
  assert.equal(Buffer.from(constants).toString().split('usr/lib').length, 2)
  assert.equal(Buffer.from(constants).toString().split('/x\0').length, 3, 'offsets count bytes, not characters')
})

test('what is small lies in the first page', () => {
  const b = new Builder()
  b.reserve(100_000)
  assert.ok(b.reserve(8).offset < 2048)
  assert.ok(b.reserve(16_384).offset > 100_000)
  for (let some = 0; some < 20; some++) b.reserve(200)
  const [last, next] = [b.reserve(200), b.reserve(8)]
  assert.ok(last.offset > 100_000 + 16_384 && (next.offset >= last.offset + 200 || next.offset < 2048))
})
