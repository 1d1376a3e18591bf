/** Node's side of the frames that it exchanges with a gate: launcher/frame.ts. */
import { pack, structs } from '../kernel/structs.js'
import { file, frame, frameType, most, run, stdin } from '../launcher/frame.js'
import { Pieces } from './pieces.js'

/** A frame that came. `body` is good until the reader has returned. */
export interface Frame {
  readonly type: number
  readonly id: number
  readonly detail: number
  readonly body: Buffer
}

/** Takes the frames of a gate. */
export class FrameReader extends Pieces {
  constructor(take: (frame: Frame) => void) {
    super({ ...frame, most: most.body }, (head, body) => {
      const [type, id, detail] = [frame.type, frame.id, frame.detail].map((word) => head.readUInt32LE(word))
      take({ type: type!, id: id!, detail: detail!, body })
    })
  }
}

export interface Words {
  readonly cwd: string
  readonly args: readonly string[]
  readonly variables: readonly string[]
  readonly stdin: keyof typeof stdin
  /** All that there is, or the begin of it. */
  readonly input: string | Uint8Array
}

/** A frame that asks for a command; undefined: it is more than a gate takes. */
export function runFrame(id: number, { cwd, args, variables, stdin: kind, input }: Words): Buffer | undefined {
  if (args.length > most.words || variables.length > most.words) return undefined
  const given = typeof input === 'string' ? Buffer.from(input) : input
  if (given.length > most.input) return undefined
  const texts = Buffer.from(`${[cwd, ...args, ...variables].join('\0')}\0`)
  const length = run.size + texts.length + given.length
  if (length > most.body) return undefined
  const bytes = Buffer.alloc(frame.size + run.size)
  const body = bytes.subarray(frame.size)
  head(bytes, 'run', id, length)
  body.writeUInt32LE(args.length, run.args)
  body.writeUInt32LE(variables.length, run.variables)
  body.writeUInt32LE(given.length, run.input)
  body.writeUInt32LE(stdin[kind], run.stdin)
  return Buffer.concat([bytes, texts, given])
}

/** A frame about a command that runs. */
export function frameAbout(id: number, type: keyof typeof frameType, detail = 0): Buffer {
  const bytes = Buffer.alloc(frame.size)
  head(bytes, type, id, 0)
  bytes.writeUInt32LE(detail, frame.detail)
  return bytes
}

/** A frame with what a command is to read, of at most `most.piece` bytes. */
export function inputFrame(id: number, piece: Buffer): Buffer {
  const bytes = Buffer.alloc(frame.size)
  head(bytes, 'input', id, piece.length)
  return Buffer.concat([bytes, piece])
}

/** Frames with a file that a slot is to write. */
export function fileFrames(id: number, path: string, content: Buffer, mode: number): Buffer[] {
  const place = Buffer.alloc(file.size + Buffer.byteLength(path) + 1)
  place.writeUInt32LE(mode)
  place.write(path, file.size)
  const pieces = Math.max(1, Math.ceil(content.length / most.piece))
  return Array.from({ length: pieces }, (_, index) => {
    const piece = content.subarray(index * most.piece, (index + 1) * most.piece)
    const bytes = Buffer.alloc(frame.size)
    head(bytes, 'file', id, place.length + piece.length)
    bytes.writeUInt32LE(index === 0 ? 0 : 1, frame.detail)
    return Buffer.concat([bytes, place, piece])
  })
}

/** A frame with a limit of a slot's command: of prlimit(2). */
export function limitFrame(id: number, which: number, soft: bigint, hard: bigint): Buffer {
  const body = pack(structs.rlimit64, { rlim_cur: soft, rlim_max: hard })
  const bytes = Buffer.alloc(frame.size)
  head(bytes, 'limit', id, body.length)
  bytes.writeUInt32LE(which, frame.detail)
  return Buffer.concat([bytes, body])
}

function head(bytes: Buffer, type: keyof typeof frameType, id: number, length: number): void {
  bytes.writeUInt32LE(length, frame.length)
  bytes.writeUInt32LE(frameType[type], frame.type)
  bytes.writeUInt32LE(id, frame.id)
}
