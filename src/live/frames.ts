/** Node's side of the frames that it exchanges with a gate: launcher/frame.ts. */
import { frame, frameType, most, run } from '../launcher/frame.js'
import { Pieces } from './pieces.js'

/** A frame that came. `body` is good until the reader has returned. */
export interface Frame {
  readonly type: number
  readonly id: number
  readonly stream: number
  readonly body: Buffer
}

/** Takes the frames of a gate. */
export class FrameReader extends Pieces {
  constructor(take: (frame: Frame) => void) {
    super({ ...frame, most: most.body }, (head, body) => {
      const [type, id, stream] = [frame.type, frame.id, frame.stream].map((word) => head.readUInt32LE(word))
      take({ type: type!, id: id!, stream: stream!, body })
    })
  }
}

export interface Words {
  readonly cwd: string
  readonly args: readonly string[]
  readonly variables: readonly string[]
  /** Undefined: /dev/null. */
  readonly input: string | Uint8Array | undefined
}

/** A frame that asks for a command; undefined: it is more than a gate takes. */
export function runFrame(id: number, { cwd, args, variables, input }: Words): Buffer | undefined {
  if (args.length > most.words || variables.length > most.words) return undefined
  const given = typeof input === 'string' ? Buffer.from(input) : (input ?? Buffer.alloc(0))
  if (given.length > most.input) return undefined
  const texts = Buffer.from(`${[cwd, ...args, ...variables].join('\0')}\0`)
  const length = run.size + texts.length + given.length
  if (length > most.body) return undefined
  const bytes = Buffer.alloc(frame.size + run.size)
  const body = bytes.subarray(frame.size)
  head(bytes, frameType.run, id, length)
  body.writeUInt32LE(args.length, run.args)
  body.writeUInt32LE(variables.length, run.variables)
  body.writeUInt32LE(given.length, run.input)
  body.writeUInt32LE(input === undefined ? 0 : 1, run.pipesInput)
  return Buffer.concat([bytes, texts, given])
}

/** A frame that ends a command. */
export function endFrame(id: number): Buffer {
  const bytes = Buffer.alloc(frame.size)
  head(bytes, frameType.end, id, 0)
  return bytes
}

function head(bytes: Buffer, type: number, id: number, length: number): void {
  bytes.writeUInt32LE(length, frame.length)
  bytes.writeUInt32LE(type, frame.type)
  bytes.writeUInt32LE(id, frame.id)
}
