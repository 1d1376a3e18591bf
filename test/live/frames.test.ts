/** The frames of a gate: put together from any pieces; and one that is wrong ends the gate with all that it runs, and nothing else. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { sandbox } from '../../src/index.js'
import { frame, frameType, most, run } from '../../src/launcher/frame.js'
import { targetOf } from '../../src/live/enterSandbox.js'
import { type Frame, FrameReader, frameAbout, inputFrame, runFrame, type Words } from '../../src/live/frames.js'
import { compileGate, type GateOptions, startGate } from '../../src/live/openGate.js'
import { identityOf } from '../../src/live/processes.js'
import { acceptedLater } from '../../src/policy/check.js'
import { HostError } from '../../src/text/error.js'

const words: Words = { cwd: '/', args: ['true'], variables: ['A=b'], stdin: 'none', input: '' }
const given = (changes: Partial<Words> = {}) => runFrame(1, { ...words, ...changes })

function frameOf(type: number, id: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(frame.size)
  head.writeUInt32LE(body.length, frame.length)
  head.writeUInt32LE(type, frame.type)
  head.writeUInt32LE(id, frame.id)
  return Buffer.concat([head, body])
}

test('frames come out as they were sent, in whatever pieces they come', () => {
  const number = fc.nat(2 ** 32 - 1)
  const frames = fc.array(fc.tuple(number, number, fc.uint8Array({ maxLength: 300 })), { maxLength: 8 })
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 400 })), (sent, sizes) => {
      const bytes = Buffer.concat(sent.map(([type, id, body]) => frameOf(type, id, body)))
      const came: [number, number, Uint8Array][] = []
      const reader = new FrameReader(({ type, id, body }: Frame) => came.push([type, id, Uint8Array.from(body)]))
      let at = 0
      for (const size of [...sizes, bytes.length]) {
        if (at < bytes.length) reader.read(bytes.subarray(at, at + size))
        at += size
      }
      assert.deepEqual(
        came,
        sent.map(([type, id, body]) => [type, id, Uint8Array.from(body)]),
      )
    }),
  )
})

test('whatever comes, it is read or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        new FrameReader(() => {}).read(Buffer.from(bytes))
      } catch (error) {
        assert.ok(error instanceof HostError)
      }
    }),
  )
  assert.throws(() => new FrameReader(() => {}).read(frameOf(1, 1, Buffer.alloc(most.body + 1))), HostError)
})

test('a command that is more than a gate takes has no frame', () => {
  assert.ok(given())
  assert.ok(given({ input: Buffer.alloc(most.input) }))
  assert.ok(given({ args: Array(most.words).fill('a') }))
  assert.equal(given({ input: Buffer.alloc(most.input + 1) }), undefined)
  assert.equal(given({ args: Array(most.words + 1).fill('a') }), undefined)
  assert.equal(given({ variables: Array(most.words + 1).fill('a') }), undefined)
  assert.equal(given({ args: ['a'.repeat(most.body)] }), undefined)
})

/** A frame whose body differs in one word, or in its end. */
function changed(change: (body: Buffer) => Buffer | undefined): Buffer {
  const body = Buffer.from(given({ stdin: 'whole', input: 'in' })!.subarray(frame.size))
  return frameOf(frameType.run, 1, change(body) ?? body)
}
const with32 = (value: number, at: number) => changed((body) => void body.writeUInt32LE(value, at))

const wrong: Readonly<Record<string, Buffer>> = {
  'one of a kind that there is not': frameOf(77, 1, Buffer.alloc(0)),
  'one of a kind that only the gate sends': frameOf(frameType.ended, 1, Buffer.alloc(176)),
  'one that is too long': Buffer.concat([frameOf(frameType.run, 1, Buffer.alloc(most.body)), Buffer.alloc(1)]).fill(
    0xff,
    frame.length,
    frame.length + 4,
  ),
  'one that is cut in its head': given()!.subarray(0, frame.size - 1),
  'one that is cut in its body': given()!.subarray(0, -1),
  'a body that is shorter than its head': frameOf(frameType.run, 1, Buffer.alloc(run.size - 1)),
  'a command without a word': with32(0, run.args),
  'more arguments than there are': with32(2, run.args),
  'as many arguments as a number can say': with32(2 ** 32 - 1, run.args),
  'fewer variables than there are': with32(0, run.variables),
  'as many variables as a number can say': with32(2 ** 32 - 1, run.variables),
  'more input than there is': with32(2 ** 31, run.input),
  'input in place of the texts': with32(most.input, run.input),
  'input that is longer than a piece': frameOf(frameType.input, 7, Buffer.alloc(most.piece + 1)),
  'input before the last was taken': Buffer.concat([1, 2, 3].map(() => inputFrame(7, Buffer.alloc(most.piece)))),
  'a pause of what is no output': frameAbout(7, 'pause', 0),
  'the end of a descriptor that there is not': frameAbout(7, 'close', 3),
  'a text without its end': changed((body) => {
    body.writeUInt32LE(0, run.input)
    return body.subarray(0, -3)
  }),
}

async function opened(t: TestContext) {
  const policy = { preset: 'system' } as const
  const box = await sandbox(policy).open()
  t.after(() => box.close())
  const monitor = { pid: box.pid, start: identityOf(box.pid)!.start }
  const options: GateOptions = {
    policy: acceptedLater(policy),
    base: '/',
    trusted: [],
    target: targetOf(monitor),
    group: () => undefined,
  }
  const compiled = compileGate(options)
  return { box, start: () => startGate(compiled, options.target) }
}

/** One that runs a command, which has said so. */
async function busy(gate: ReturnType<typeof startGate>): Promise<string> {
  const sleeper: Words = {
    ...words,
    stdin: 'open',
    args: ['sh', '-c', 'echo $$; exec sleep 600'],
    variables: ['PATH=/usr/bin:/bin'],
  }
  gate.control.write(runFrame(7, sleeper)!)
  const [piece] = (await once(gate.control, 'data')) as [Buffer]
  return piece.subarray(frame.size).toString().trim()
}

describe('a frame that is wrong ends the gate and what it runs, and not the sandbox', () => {
  test('each of them', async (t) => {
    const { box, start } = await opened(t)
    for (const [what, bytes] of Object.entries(wrong)) {
      const gate = start()
      const pid = await busy(gate)
      gate.control.end(bytes)
      const { failure, usage } = await gate.ended
      assert.deepEqual([failure, usage === undefined], [undefined, false], what)
      const left = await box.run('sh', ['-c', `kill -0 ${pid} 2>/dev/null`])
      assert.deepEqual(left.verdict, { kind: 'exit', code: 1 }, what)
    }
  })

  test('of random bytes: the gate ends, and its monitor has seen how', async (t) => {
    const { box, start } = await opened(t)
    await fc.assert(
      fc.asyncProperty(fc.nat(12), fc.uint8Array({ minLength: 1, maxLength: 400 }), async (type, bytes) => {
        const gate = start()
        gate.control.resume()
        gate.control.write(frameOf(type, 1, bytes))
        gate.control.end(bytes)
        const { failure, usage } = await gate.ended
        assert.deepEqual([failure, usage === undefined], [undefined, false])
      }),
      { numRuns: 30 },
    )
    assert.deepEqual((await box.run('true')).verdict, { kind: 'ok' })
  })

  test('one that ends what is not there changes nothing', async (t) => {
    const { start } = await opened(t)
    const gate = start()
    for (const type of ['end', 'pause', 'resume', 'close', 'signal', 'signalGroup'] as const)
      gate.control.write(frameAbout(3, type, 1))
    gate.control.write(inputFrame(3, Buffer.from('in')))
    await busy(gate)
    gate.control.write(frameAbout(8, 'end'))
    gate.control.write(frameAbout(7, 'end'))
    const [piece] = (await once(gate.control, 'data')) as [Buffer]
    assert.deepEqual([piece.readUInt32LE(frame.type), piece.readUInt32LE(frame.id)], [frameType.ended, 7])
    gate.control.end()
    await gate.ended
  })
})
