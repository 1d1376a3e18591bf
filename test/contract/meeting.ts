/** Two programs of our own, which need nothing of a sandbox: one listens on an abstract socket, one connects to it; and who tries what. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Assembler } from '../../src/assembly/assembler.js'
import { decimal } from '../../src/assembly/text.js'
import { hostArchitecture } from '../../src/host/thisHost.js'
import { Sandbox } from '../../src/index.js'
import { AF, SOCK } from '../../src/kernel/flags.js'
import { findSandbox } from '../../src/live/findSandbox.js'
import { existingHome } from '../../src/live/home.js'
import { removeSandbox } from '../../src/live/removeSandbox.js'
import { readLog } from '../../src/live/sandboxLog.js'
import { startSandbox } from '../../src/live/startSandbox.js'
import { assemble } from '../../src/machine/assemble.js'
import { acceptPolicy } from '../../src/policy/check.js'
import type { StrictPolicy } from '../../src/policy/schema.js'

function withSocket(name: string, then: (c: Assembler, ...socket: Parameters<Assembler['attempt']>[1][]) => void) {
  const c = new Assembler(hostArchitecture())
  const { b } = c
  const fd = b.temporary()
  b.entry(c.stack)
  // unix(7): a name that begins with NUL is abstract, and as long as its address says.
  const address = Buffer.concat([Buffer.from(new Uint16Array([AF.UNIX]).buffer), Buffer.from(`\0${name}`)])
  b.move(fd, c.attempt('socket', AF.UNIX, SOCK.STREAM, 0))
  then(c, fd, b.bytes(address, 8), address.length)
  return assemble(b.finish(), hostArchitecture())
}

/** Says its pid when it listens, and then waits. */
const listener = (name: string) =>
  withSocket(name, (c, fd, address, length) => {
    const { b } = c
    const [cursor, size] = b.temporaries(2)
    const text = b.reserve(32)
    c.attempt('bind', fd!, address!, length!)
    c.attempt('listen', fd!, 8)
    b.move(cursor, text)
    decimal(b, cursor, c.attempt('getpid'))
    b.store(8, cursor, 0, 10)
    b.compute(size, cursor, 'sub', text)
    b.compute(size, size, 'add', 1)
    c.attempt('write', 1, text, size)
    b.loop(() => c.attempt('ppoll', 0, 0, 0, 0, 0))
  })

/** Exits with the errno, or 0. */
const connector = (name: string) =>
  withSocket(name, (c, fd, address, length) => {
    c.attempt('connect', fd!, address!, length!)
    c.b.compute(c.result, 0, 'sub', c.result)
    c.exit(c.result)
  })

export const programs: Readonly<Record<string, Uint8Array>> = {
  'listen-first': listener('first'),
  'connect-first': connector('first'),
  'listen-second': listener('second'),
  'connect-second': connector('second'),
}

/** What each came to: 0, or as the errno of connect(2), or the status of kill(1). */
export interface Met {
  readonly joined: { readonly connects: number | null; readonly signals: number | null }
  readonly init: string
}

/**
 * A command of init listens, and so does one that joined; another that joined tries to reach the first, and the first the second.
 * @param directory of the caller's own
 */
export async function meet(given: StrictPolicy, directory: string): Promise<Met> {
  const name = 'meeting'
  const binds = Object.entries(programs).map(([program, bytes]) => {
    const from = join(directory, program)
    writeFileSync(from, bytes, { mode: 0o755 })
    return { bind: `/${program}`, from }
  })
  const policy: StrictPolicy = { preset: 'system', ...given, filesystem: binds }
  // It hears by a file when there is something to be reached.
  const script = `/listen-first & read pid < /tmp/pid; /connect-second; echo connects $?; kill -USR1 $pid 2>&-; echo signals $?; wait`
  const command = ['sh', '-c', `mkfifo /tmp/pid; ${script}`] as const
  await startSandbox({ name, policy: acceptPolicy(policy), base: '/', command })
  const box = await Sandbox.attach(name)
  const home = existingHome()!
  const said = async (pattern: RegExp) => {
    for (;;) {
      const found = pattern.exec(readLog(join(home, name)).toString())
      if (found !== null) return found
      if (findSandbox(home, name)?.state !== 'running') throw new Error(readLog(join(home, name)).toString())
      await sleep(5)
    }
  }
  try {
    const [, first] = await said(/^(\d+)\n/m)
    const connects = (await box.run('/connect-first')).exitCode
    const signals = (await box.run('sh', ['-c', `kill -0 ${first}`])).exitCode
    const second = box.spawn('/listen-second')
    const [pid] = await new Promise<RegExpMatchArray>((resolve) =>
      second.stdout!.on('data', (bytes: Buffer) => resolve(/\d+/.exec(bytes.toString())!)),
    )
    await box.run('sh', ['-c', `echo ${pid} > /tmp/pid`])
    const [init] = await said(/connects \d+\nsignals \d+/)
    second.kill('SIGKILL')
    await second.result
    return { joined: { connects, signals }, init }
  } finally {
    await box.close()
    removeSandbox(home, findSandbox(home, name)!)
  }
}
