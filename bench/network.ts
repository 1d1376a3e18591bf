/**
 * A network by name: one bulk stream, a connection, and a start, against the same without it, and against what others put between.
 * The gate is this process; the server is another (support/networkPeer.ts), and the programs inside are bash and dd, so that a
 * third core would be needed to give each its own.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Policy, sandbox } from '../src/index.js'
import { alone, runs, work } from './support/directory.js'
import { installed, median, raceHere, type Times } from './support/race.js'
import { note, raceTable, table } from './support/table.js'

const peerProgram = fileURLToPath(new URL('support/networkPeer.js', import.meta.url))
/** Of a megabyte, in one stream. */
const blocks = 1024
const gigabytes = (blocks * 2 ** 20) / 1e9

/** The server, a process of its own. */
class Peer {
  readonly #child = fork(peerProgram, [String(blocks)])
  ports: { readonly sink: number; readonly source: number; readonly echo: number } = { sink: 0, source: 0, echo: 0 }

  async start(): Promise<void> {
    const [{ ports }] = (await once(this.#child, 'message')) as [{ ports: number[] }]
    const [sink, source, echo] = ports as [number, number, number]
    this.ports = { sink, source, echo }
  }

  /** What the server says of the stream that ends next, in gigabytes a second. */
  async rate(): Promise<number> {
    const [{ took }] = (await once(this.#child, 'message')) as [{ took: number }]
    return (gigabytes * 1e9) / took
  }

  end(): void {
    this.#child.disconnect()
  }
}

/** Sends to a server, or takes from it, in steps of a megabyte, and ends behind the last. */
const stream = {
  out: (place: string) => `exec 3<>/dev/tcp/${place} && dd if=/dev/zero bs=1M count=${blocks} status=none >&3; cat <&3`,
  back: (place: string) => `exec 3</dev/tcp/${place} && dd of=/dev/null bs=1M status=none <&3`,
}
type Way = keyof typeof stream
const serverOf = (way: Way) => (way === 'out' ? 'sink' : 'source')

const resolve = async () => ['127.0.0.1']
const listed = (...ports: readonly number[]): Policy => ({
  preset: 'system',
  network: { allow: ports.flatMap((port) => [`a.example.com:${port}`, `127.0.0.1:${port}`]), resolve },
})
const ended = async (child: ChildProcess) => {
  const [status] = await once(child, 'close')
  if (status !== 0) throw new Error(`${child.spawnargs[0]} ended with ${status}`)
}
const shell = (script: string) => ended(spawn('bash', ['-c', script], { stdio: ['ignore', 'ignore', 'inherit'] }))

async function inSandbox(policy: Policy, script: string): Promise<void> {
  const { exitCode, stderr } = await sandbox(policy).run('bash', ['-c', script])
  if (exitCode !== 0) throw new Error(`a stream in a sandbox ended with ${exitCode}: ${stderr}`)
}

interface Bridge {
  readonly name: string
  /** Why it is not measured. */
  readonly absent?: string | false
  /** Runs a stream, which ends on its server; what is returned is awaited behind that. */
  run(way: Way, port: number): Promise<void>
}

/** A program beside that is stopped when the stream has ended. */
async function beside(command: readonly string[], ready: (child: ChildProcess) => Promise<void>): Promise<void> {
  const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] })
  try {
    await ready(child)
  } finally {
    child.kill('SIGKILL')
  }
}

/** As others bridge: one socat in the sandbox, which listens there, and one outside, with a socket of the file system between. */
const socat = (options: readonly string[]) => async (way: Way, port: number) => {
  const path = join(work, 'bridge')
  rmSync(path, { force: true })
  const outside = ['socat', ...options, `UNIX-LISTEN:${path}`, `TCP:127.0.0.1:${port}`]
  await beside(outside, async () => {
    while (!exists(path)) await pause(5)
    const inside = `socat ${options.join(' ')} TCP-LISTEN:${port},bind=127.0.0.1 UNIX-CONNECT:/bridge & `
    const hexadecimal = port.toString(16).toUpperCase().padStart(4, '0')
    const until = `until grep -q ':${hexadecimal} 00000000:0000 0A' /proc/net/tcp; do sleep 0.01; done; `
    const policy: Policy = { preset: 'system', network: 'none', filesystem: [{ bind: '/bridge', from: path }] }
    await inSandbox(policy, `${inside}${until}${stream[way](`127.0.0.1/${port}`)}`)
  })
}

const exists = (path: string) => {
  try {
    accessSync(path)
    return true
  } catch {
    return false
  }
}
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

const noDevice = (program: string): string | false => {
  if (installed(program) === undefined) return `${program} is not installed`
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK)
    return false
  } catch {
    return `${program} needs /dev/net/tun, which this user may not open (--root)`
  }
}
const isRoot = process.getuid?.() === 0

/** A network namespace whose way out is slirp4netns: the host's loopback is 10.0.2.2 there. */
async function slirp(way: Way, port: number): Promise<void> {
  const script = `echo; read -r _; ${stream[way](`10.0.2.2/${port}`)}`
  const inside = spawn('unshare', [isRoot ? '-n' : '-rn', 'bash', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(inside.stdout, 'data')
  const words = ['slirp4netns', '--configure', '--mtu=65520', '--ready-fd=3', String(inside.pid), 'tap0']
  await beside(words, async ({ stdio }) => {
    await once(stdio[3] as NodeJS.ReadableStream, 'data')
    inside.stdin.end('\n')
    await ended(inside)
  })
}

/** The same by pasta, which hands a port of the namespace's loopback on to the host's without a packet (splice(2)). */
const pasta = (way: Way, port: number) =>
  ended(
    spawn(
      'pasta',
      [
        ...(isRoot ? ['--runas', '0'] : []),
        ...['-q', '--config-net', '-t', 'none', '-u', 'none', '-U', 'none', '-T', String(port)],
        ...['--', 'bash', '-c', stream[way](`127.0.0.1/${port}`)],
      ],
      // That of Debian 12 (March 2023) lets a stream stand still now and then.
      { stdio: ['ignore', 'ignore', 'ignore'], timeout: 20_000, killSignal: 'SIGKILL' },
    ),
  )

/** Five at least: a stream is over in a second, and the machine may do other things meanwhile. */
const streams = Math.max(5, Math.ceil(runs / 20))
const target = 0.8

async function throughput(peer: Peer): Promise<void> {
  const noSocat = installed('socat') === undefined && 'socat is not installed'
  const bridges: Bridge[] = [
    { name: "direct, on the host's loopback", run: (way, port) => shell(stream[way](`127.0.0.1/${port}`)) },
    {
      name: 'through the gate',
      run: (way, port) => inSandbox(listed(port), stream[way](`a.example.com/${port}`)),
    },
    { name: 'socat both ways', absent: noSocat, run: socat([]) },
    { name: 'socat -b 1 MB', absent: noSocat, run: socat(['-b', '1048576']) },
    { name: 'slirp4netns, MTU 65520', absent: noDevice('slirp4netns'), run: slirp },
    { name: 'pasta, a forwarded port', absent: noDevice('pasta'), run: pasta },
  ]
  for (const { absent } of bridges) if (absent) note(absent)
  for (const way of ['out', 'back'] as const) {
    const port = peer.ports[serverOf(way)]
    const measured = bridges
      .filter(({ absent }) => !absent)
      .map((bridge) => ({ ...bridge, rates: [] as number[], cpu: 0, isOut: false }))
    for (let round = 0; round < streams; round++)
      for (const one of measured.filter(({ isOut }) => !isOut)) {
        const before = process.cpuUsage()
        const rate = peer.rate()
        const running = one.run(way, port)
        try {
          await Promise.all([rate, running])
        } catch (error) {
          if (one === measured[0] || one === measured[1]) throw error
          note(`${one.name} is left out: ${(error as Error).message}`)
          one.isOut = true
          continue
        }
        const { user, system } = process.cpuUsage(before)
        one.rates.push(await rate)
        one.cpu += (user + system) / 1e6 / gigabytes / streams
      }
    const middle = (rates: readonly number[]) => rates.toSorted((a, b) => a - b)[Math.floor(rates.length / 2)]!
    const direct = middle(measured[0]!.rates)
    const best = Math.max(...measured[0]!.rates)
    table(
      `One stream of ${blocks} MB ${way === 'out' ? 'out of' : 'into'} a sandbox, ${streams} in turn, on ${availableParallelism()} CPUs`,
      ['', 'median, GB/s', 'best', 'to direct', 'best to best', "this process's CPU, s/GB", 'target'],
      measured
        .filter(({ isOut }) => !isOut)
        .map(({ name, rates, cpu }, index) => {
          const ratio = middle(rates) / direct
          const bestRatio = Math.max(...rates) / best
          const verdict = `>= ${target}${Math.max(ratio, bestRatio) >= target ? '' : ' MISSED'}`
          return [
            ...[name, middle(rates).toFixed(2), Math.max(...rates).toFixed(2), ratio.toFixed(2), bestRatio.toFixed(2)],
            ...[cpu.toFixed(2), index === 1 ? verdict : ''],
          ]
        }),
    )
  }
}

/** Connections one behind the other, timed by the program that makes them: nanoseconds of each, a line. */
const connections = `
import socket, sys, time
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
place = (socket.gethostbyname(host), port)
for _ in range(count):
    start = time.perf_counter_ns()
    s = socket.socket()
    s.connect(place); s.send(b'1'); s.recv(1); s.close()
    print(time.perf_counter_ns() - start)
`

async function connecting(peer: Peer): Promise<void> {
  const python = ['/usr/bin/python3', '/usr/local/bin/python3'].find(exists)
  if (python === undefined) return note('python3 is not installed: it makes the connections')
  const each = 250
  const words = (host: string) => ['-c', connections, host, String(peer.ports.echo), String(each)]
  const outputs: Record<'direct' | 'gate', number[]> = { direct: [], gate: [] }
  const box = await sandbox(listed(peer.ports.echo)).open()
  try {
    const collected = async (host: string) => {
      const child = spawn(python, words(host), { stdio: ['ignore', 'pipe', 'inherit'] })
      let text = ''
      for await (const chunk of child.stdout) text += chunk
      return text
    }
    const keep = (times: number[], text: string) => times.push(...text.trim().split('\n').map(Number))
    for (let round = 0; round < Math.ceil((20 * runs) / each); round++) {
      keep(outputs.direct, await collected('127.0.0.1'))
      keep(outputs.gate, (await box.run(python, words('a.example.com'))).stdout)
    }
  } finally {
    await box.close()
  }
  const sorted = (times: readonly number[]): Times => times.toSorted((a, b) => a - b)
  const [direct, gate] = [sorted(outputs.direct), sorted(outputs.gate)]
  raceTable(`A connection, a byte there and back, and its end, ${direct.length} of each, ${each} in turn`, [
    { name: 'direct', times: direct },
    { name: 'through the gate', times: gate, against: { name: 'direct', times: direct } },
  ])
  added(median(gate) - median(direct), 0.15e6)
}

async function starting(): Promise<void> {
  const allow = ['api.example.com:443', '*.example.org:443']
  const networks = {
    "network: 'none'": 'none',
    'network: { allow }': { allow },
    'network: { allow, inspect }': { allow, inspect: true },
    ...(installed('pasta') === undefined ? {} : { "network: 'private'": 'private' }),
  } as const
  const names = Object.keys(networks)
  const boxes = Object.values(networks).map((network) => sandbox({ preset: 'system', network } as Policy))
  const times = await raceHere(
    runs,
    boxes.map((box) => () => box.run('true')),
  )
  const [plain, listed] = times as [Times, Times]
  raceTable(
    `run('true'), ${runs} in turn`,
    names.map((name, index) => ({
      ...{ name, times: times[index]! },
      ...(index === 0 ? {} : { against: { name: 'none', times: plain } }),
    })),
  )
  added(median(listed) - median(plain), 1e6)
}

const added = (more: number, most: number) =>
  note(`added: ${(more / 1e6).toFixed(3)} ms, asked: <= ${most / 1e6} ms${more <= most ? '' : ' MISSED'}`)

export async function bench(): Promise<void> {
  const peer = new Peer()
  await peer.start()
  try {
    await throughput(peer)
    await connecting(peer)
  } finally {
    peer.end()
  }
  await starting()
}

await alone(import.meta.url, bench)
