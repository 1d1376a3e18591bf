/** External programs that the tests compare with, and a work directory. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Architecture } from '../../src/kernel/architecture.js'

const triples: Record<Architecture, string> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }

const exists = (tool: string): boolean => spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0

/** A binutils program for the architecture, or undefined. */
export const binutils = (architecture: Architecture, name: string): string | undefined => {
  const candidates = [`${triples[architecture]}-${name}`, ...(process.arch === architecture ? [name] : [])]
  return candidates.find(exists)
}

/** The command that runs an executable of the architecture, or undefined. */
export const runner = (architecture: Architecture): readonly string[] | undefined => {
  if (process.arch === architecture) return []
  const names = { x64: ['qemu-x86_64-static', 'qemu-x86_64'], arm64: ['qemu-aarch64-static', 'qemu-aarch64'] }
  const qemu = names[architecture].find(exists)
  return qemu === undefined ? undefined : [qemu]
}

export const run = (tool: string, args: readonly string[]): string => {
  const { status, stdout, stderr, error } = spawnSync(tool, args, { encoding: 'utf8', maxBuffer: 2 ** 28 })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${tool} ${args.join(' ')}: ${stderr}`)
  return stdout
}

export const withDirectory = <T>(use: (directory: string) => T): T => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'vial-machine-'))
  try {
    return use(directory)
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}

export interface Outcome {
  readonly status: number | null
  readonly signal: string | null
  readonly output: string
}

/** Runs an executable; its output in hexadecimal. */
export const execute = (elf: Uint8Array, command: readonly string[], args: readonly string[] = []): Outcome =>
  withDirectory((directory) => {
    const file = path.join(directory, 'program')
    fs.writeFileSync(file, elf, { mode: 0o755 })
    const [tool, ...rest] = [...command, file, ...args]
    const { status, signal, stdout, error } = spawnSync(tool!, rest, { timeout: 20_000, maxBuffer: 2 ** 24 })
    if (error !== undefined) throw error
    return { status, signal, output: stdout.toString('hex') }
  })
