/** Runs the same command line by our bwrap and by Debian's, as one caller, and tells what came of it. */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compileBwrap } from '../../src/bwrap/compileRequest.js'
import { BwrapError } from '../../src/bwrap/state.js'
import { type Caller, workDirectory } from '../support/user.js'

export interface Ending {
  readonly status: number | string
  readonly stdout: string
  readonly stderr: string
  /** What came on each descriptor that was given as `out`. */
  readonly written: Readonly<Record<number, string>>
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Descriptors above 2: text to be read from it, a path to be open there, or `'out'` to be written to. */
  readonly fds?: Readonly<Record<number, { text: string | Uint8Array } | { path: string; flags?: number } | 'out'>>
}

/** Debian's, if it is installed; it is version 0.8. */
export const theirs = '/usr/bin/bwrap'
export const hasTheirs = existsSync(theirs)

let files = 0

/** Runs a program as the caller, with nothing inherited but what is named. */
export function runProgram(
  caller: Caller,
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ending> {
  const home = workDirectory(caller, 'home')
  const given = Object.entries(options.fds ?? {}).map(([fd, what]) => [Number(fd), what] as const)
  const opened: number[] = []
  const stdio: ('ignore' | 'pipe' | number)[] = ['ignore', 'pipe', 'pipe']
  for (const [fd, what] of given) {
    while (stdio.length <= fd) stdio.push('ignore')
    if (what === 'out') {
      stdio[fd] = 'pipe'
      continue
    }
    const path = 'path' in what ? what.path : join(home, `given-${files++}`)
    if ('text' in what) writeFileSync(path, what.text)
    const file = openSync(path, 'path' in what ? (what.flags ?? 'r') : 'r')
    opened.push(file)
    stdio[fd] = file
  }
  const child = spawn(program, args, {
    argv0: 'bwrap',
    cwd: options.cwd ?? home,
    env: options.env ?? { PATH: '/usr/bin:/bin', HOME: home, LANG: 'C.UTF-8' },
    stdio,
    ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
  })
  for (const file of opened) closeSync(file)
  const heard = child.stdio.map((stream) => {
    const chunks: Buffer[] = []
    stream?.on('data', (chunk: Buffer) => chunks.push(chunk))
    return () => Buffer.concat(chunks).toString()
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      const written = Object.fromEntries(given.filter(([, what]) => what === 'out').map(([fd]) => [fd, heard[fd]!()]))
      resolve({ status: code ?? signal!, stdout: heard[1]!(), stderr: heard[2]!(), written })
    })
  })
}

/** The vial of a command line, and how many of the arguments are its options. */
export function vialOf(
  caller: Caller,
  args: readonly string[],
  fds: RunOptions['fds'] = {},
): { path: string; options: number } {
  const { bytes, options } = compileBwrap(args, caller, (fd) => {
    const given = fds[fd]
    if (given === undefined) throw Object.assign(new Error('EBADF'), { code: 'EBADF' })
    return typeof given === 'object' && 'text' in given ? Buffer.from(given.text) : Buffer.alloc(0)
  })
  const path = join(workDirectory(caller, 'vials'), `vial-${files++}`)
  writeFileSync(path, bytes, { mode: 0o755 })
  return { path, options }
}

/** Ours: compiled here, so that no Node has to start; what the compiler refuses is said as the command says it. */
export async function ours(caller: Caller, args: readonly string[], options?: RunOptions): Promise<Ending> {
  try {
    const { path, options: count } = vialOf(caller, args, options?.fds)
    return await runProgram(caller, path, args.slice(count), options)
  } catch (error) {
    if (!(error instanceof BwrapError)) throw error
    return { status: 1, stdout: '', stderr: `bwrap: ${error.message}\n`, written: {} }
  }
}

export const debians = (caller: Caller, args: readonly string[], options?: RunOptions) =>
  runProgram(caller, theirs, args, options)

/** The words of a command line, by blanks; what has blanks itself comes last. */
export const words = (line: string, ...last: readonly string[]) => [...line.split(' ').filter(Boolean), ...last]

/** A root with the host's programs and nothing else. */
export const programs = words(
  '--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --symlink usr/sbin /sbin',
)
