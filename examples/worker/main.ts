/**
 * A worker that runs Python for others, behind HTTP on this machine. Run it with: node dist/examples/worker/main.js [PORT]
 *
 * Each request gets a sandbox of its own, which was built before it came: POST / with the program as its body, and the answer is JSON.
 * Without a port it asks itself once, prints the answers, and ends. Look at how the second program finds nothing of the first.
 */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sandbox } from 'vial'

const longest = 64 * 1024
const pool = await sandbox({
  fill: { program: 'python3' },
  filesystem: [{ tmpfs: '/tmp', size: '16M' }],
  rlimits: { fsize: '16M' },
}).pool({ size: 2, max: 4 })

async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request) {
    length += part.length
    if (length <= longest) parts.push(part)
  }
  return length <= longest ? Buffer.concat(parts).toString() : undefined
}

const server = createServer(async (request, response) => {
  const answer = (status: number, value: unknown) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(value)}\n`)
  // Who goes away takes no sandbox any longer.
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  try {
    if (request.method !== 'POST') return answer(405, { error: 'POST a program' })
    const program = await bodyOf(request)
    if (program === undefined) return answer(413, { error: `a program has at most ${longest} bytes` })
    const options = { input: program, timeout: 5000, maxBuffer: 2 ** 20, signal: gone.signal }
    const { exitCode, signal, verdict, stdout, stderr, durationMs } = await pool.run('python3', ['-'], options)
    answer(200, { exitCode, signal, verdict, stdout, stderr, ms: Math.round(durationMs) })
  } catch (error) {
    answer(500, { error: (error as Error).message })
  }
})

const [port] = process.argv.slice(2)
server.listen(Number(port ?? 0), '127.0.0.1', async () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  if (port !== undefined) return console.log(`${url}: POST a program of Python`)
  const ask = async (body: string) =>
    (await fetch(url, { method: 'POST', body })).json() as Promise<Record<string, string>>
  const leaves = "open('/tmp/left', 'w').write('secret'); print(6 * 7)"
  const looks = "import os; print(os.listdir('/tmp'), os.path.exists('/root'))"
  for (const program of [leaves, looks, 'while True: print("flood")', '1 / 0'])
    console.log(
      Object.entries(await ask(program))
        .flatMap(([name, value]) => (name === 'ms' ? [] : [`${name}: ${JSON.stringify(value).slice(0, 60)}`]))
        .join(', '),
    )
  server.close()
  await pool.close()
})
