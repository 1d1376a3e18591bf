#!/usr/bin/env node
/** `vial-bwrap`, also `vial bwrap …`: takes the arguments of bwrap(1), compiles them, and runs the vial in its place. */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openStored } from '../cache/contentVials.js'
import type { OpenVial } from '../cache/executable.js'
import { systemFault } from '../kernel/systemError.js'
import { forward } from '../run/forwardSignals.js'
import { startError, startProcess } from '../run/startProcess.js'
import { write } from '../text/write.js'
import { usage } from './bwrapOptions.js'
import { compileParsed } from './compileRequest.js'
import { inheritedFds, readInherited } from './inheritedFds.js'
import { parse } from './parseRequest.js'

/** The version of bubblewrap whose command line this is, as programs that look for a feature expect to read it. */
const version = 'bubblewrap 0.11.1'

const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

/** @param called what the usage says that this command is called */
export async function main(args: readonly string[], called: string): Promise<void> {
  if (args[0] === '--to-policy') {
    const { printPolicy } = await import('./closestPolicy.js')
    return printPolicy(args.slice(1))
  }
  const fds = inheritedFds()
  const readFd = readInherited(fds)
  let prefix = args.includes('--level-prefix') ? '<3>' : ''
  try {
    const first = parse(args, readFd)
    if (first.kind !== 'run') return show(first.kind, called)
    prefix = first.request.levelPrefix ? '<3>' : ''
    const { bytes, options, warnings } = compileParsed(first)
    for (const warning of warnings) write(2, `${prefix === '' ? '' : '<4>'}bwrap: ${warning}\n`)
    run(store(bytes), args.slice(options), fds, first.request.dieWithParent)
  } catch (error) {
    write(2, `${prefix}bwrap: ${systemFault(error)}\n`)
    process.exitCode = 1
  }
}

/** What is printed instead of a run. */
export function show(kind: 'help' | 'version' | 'usage', called: string): void {
  if (kind === 'version') write(1, `${version}\n`)
  else write(kind === 'help' ? 1 : 2, usage(called))
  process.exitCode = kind === 'usage' ? 1 : 0
}

interface Stored {
  open(): OpenVial
  remove(): void
}

/** In the cache; or where that cannot be, as for root with another's HOME, in a directory that is gone once it runs. */
function store(bytes: Uint8Array): Stored {
  const stored = (first: OpenVial, directory?: string): Stored => {
    let vial: OpenVial | undefined = first
    return {
      open() {
        const one = vial ?? openStored(bytes, directory)
        vial = undefined
        return one
      },
      remove() {
        if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
      },
    }
  }
  try {
    return stored(openStored(bytes))
  } catch (error) {
    let directory: string
    try {
      directory = mkdtempSync(join(tmpdir(), 'vial-bwrap-'))
    } catch {
      throw error
    }
    return stored(openStored(bytes, directory), directory)
  }
}

/** Node cannot replace itself by another program: it stands by, hands on signals, and ends as the vial does. */
function run({ open, remove }: Stored, command: readonly string[], fds: ReadonlySet<number>, tied: boolean): void {
  const highest = Math.max(2, ...fds)
  const stdio = Array.from({ length: highest + 1 }, (_, fd) => (fds.has(fd) ? fd : 'ignore'))
  const child = startProcess(open, command, { stdio, argv0: 'bwrap' })
  const forwarding = forward(passedOn, (signal) => child.kill(signal))
  if (tied) endWithParent(child)
  child.on('spawn', remove)
  child.on('error', (error) => {
    remove()
    write(2, `bwrap: ${(startError(error) as Error).message}\n`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    forwarding.end()
    if (signal !== null) process.kill(process.pid, signal)
    process.exitCode = code ?? 128 + constants.signals[signal!]
  })
}

/** --die-with-parent ties the vial to us; we have to notice the end of our own parent. */
function endWithParent(child: ChildProcess): void {
  const parent = process.ppid
  const watch = setInterval(() => process.ppid === parent || child.kill('SIGKILL'), 50)
  child.on('exit', () => clearInterval(watch))
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  void main(process.argv.slice(2), process.argv[1])
