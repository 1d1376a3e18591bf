/** Runs a function in a Node process of a caller's own, as a browser's test driver runs one in a page. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type * as Vial from '../../src/index.js'
import { type Caller, workDirectory } from './user.js'

/** Sees only its two arguments, globals, and what it imports itself; `data` and the value travel as JSON. */
export type Body<Data, Value> = (vial: typeof Vial, data: Data) => Value | Promise<Value>

export interface EvaluateOptions {
  readonly env?: Record<string, string | undefined>
  readonly cwd?: string
  /** Words before `node`, such as `unshare -m`, that run as root; `caller` then has to be taken on by them. */
  readonly wrapper?: readonly string[]
  readonly stdin?: 'ignore' | number
}

const script = fileURLToPath(new URL('inside.js', import.meta.url))

/** Starts the function; what it returns comes on descriptor 3. */
export function start<Data, Value>(
  caller: Caller,
  body: Body<Data, Value>,
  data: Data,
  options: EvaluateOptions = {},
): ChildProcess {
  const home = workDirectory(caller, 'home')
  const words = [...(options.wrapper ?? []), process.execPath, script, JSON.stringify({ body: body.toString(), data })]
  return spawn(words[0]!, words.slice(1), {
    cwd: options.cwd ?? home,
    env: { PATH: process.env.PATH, HOME: home, ...options.env },
    stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe', 'pipe'] as StdioOptions,
    ...(process.getuid?.() === 0 && options.wrapper === undefined ? { uid: caller.uid, gid: caller.gid } : {}),
  })
}

/** The function's value. */
export async function evaluate<Data, Value>(
  caller: Caller,
  body: Body<Data, Value>,
  data: Data,
  options: EvaluateOptions = {},
): Promise<Value> {
  const child = start(caller, body, data, options)
  const said = collect(child.stdout)
  const complained = collect(child.stderr)
  const answer = collect(child.stdio[3])
  const [status, signal] = await once(child, 'close')
  if (answer() === '') throw new Error(`no answer (${status ?? signal}): ${said()}${complained()}`)
  return (JSON.parse(answer()) as { value: Value }).value
}

function collect(stream: unknown): () => string {
  const chunks: Buffer[] = []
  ;(stream as NodeJS.ReadableStream).on('data', (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks).toString()
}
