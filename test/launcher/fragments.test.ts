/** Packed texts: what a vial prints of them is what was packed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { errno, errnoMessage } from '../../src/kernel/errno.js'
import { firstToken, literal, pack, pairs } from '../../src/launcher/fragments.js'
import { Messages } from '../../src/launcher/messages.js'
import { Builder } from '../../src/machine/builder.js'
import { hints } from '../../src/plan/hints.js'
import type { Hints } from '../../src/plan/step.js'
import type { Said } from '../../src/text/words.js'
import { interpret } from '../machine/interpreter.js'

const unpack = (bytes: readonly number[]): number[] => {
  const [first, ...rest] = bytes
  if (first === undefined || first === 0) return []
  if (first === literal) return [rest[0]!, ...unpack(rest.slice(1))]
  if (first < firstToken) return [first, ...unpack(rest)]
  const at = 2 * (first - firstToken)
  return unpack([pairs[at]!, pairs[at + 1]!, ...rest])
}
const texts = Object.values(hints).flatMap((one) => Object.values<Said>(one).map(String))

test('any text comes out as it went in', () => {
  const check = (text: string) => assert.equal(Buffer.from(unpack([...pack(text)])).toString(), text)
  texts.forEach(check)
  const any = fc.string({ unit: 'binary', maxLength: 60 }).filter((text) => !text.includes('\0'))
  fc.assert(fc.property(any, check))
  assert.throws(() => pack('a\0b'), /NUL/)
})

test('our own sentences take little more than half their length', () => {
  const [before, after] = [texts, texts.map(pack)].map((all) => all.reduce((sum, { length }) => sum + length, 0))
  assert.ok(after! < 0.6 * before!, `${after} of ${before}`)
})

/** As second lines, instead of the sentence, or in one of each. */
type How = 'hints' | 'instead' | 'mixed'

/** Prints message `chosen` of many for an error. */
function printing(count: number, chosen: number, error: number, how: How) {
  const b = new Builder()
  const messages = new Messages(b)
  const [message, failed, path, detail, command, stack] = b.temporaries(6)
  b.entry(stack)
  const numbers = Array.from({ length: count }, (_, index) => {
    const own: Hints = { ENOENT: `hint ${index} é\u0001`, EPERM: 'not allowed' }
    const about = how === 'mixed' ? { hints: own, instead: { EIO: `else ${index}` } } : { [how]: own }
    return messages.add(`bind /some/path of ${index}`, about, [[path, '/some/path']])
  })
  b.move(path, b.text('/some/path'))
  b.move(message, numbers[chosen]!)
  b.move(failed, error)
  messages.print({
    message: message,
    error: failed,
    buffer: b.reserve(1024),
    prefix: 'cannot ',
    detail: detail,
    naming: -1,
    command: command,
  })
  b.syscall(stack, 'exit_group', 0)
  return b.finish()
}

const cases: [number, number, number, How, string][] = [
  [1, 0, errno.EPERM, 'hints', `cannot bind /some/path of 0: ${errnoMessage(errno.EPERM)}\n      not allowed\n`],
  [
    600,
    599,
    errno.ENOENT,
    'hints',
    'cannot bind /some/path of 599: No such file or directory\n      hint 599 é\u0001\n',
  ],
  [300, 254, errno.ENOENT, 'instead', 'cannot hint 254 é\u0001\n'],
  [300, 255, errno.EDQUOT, 'instead', 'cannot bind /some/path of 255: Disk quota exceeded\n'],
  [2, 1, 3000, 'hints', 'cannot bind /some/path of 1: error 3000\n'],
  [300, 280, errno.EIO, 'mixed', 'cannot else 280\n'],
  [
    300,
    280,
    errno.ENOENT,
    'mixed',
    'cannot bind /some/path of 280: No such file or directory\n      hint 280 é\u0001\n',
  ],
  [300, 280, errno.EPERM, 'mixed', `cannot bind /some/path of 280: ${errnoMessage(errno.EPERM)}\n      not allowed\n`],
]
for (const [count, chosen, error, how, expected] of cases)
  test(`message ${chosen} of ${count}, error ${error}, ${how}`, () => {
    const program = printing(count, chosen, error, how)
    const output = Buffer.from(expected).toString('hex')
    assert.equal(interpret(program).output, output)
  })
