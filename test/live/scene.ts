/** A directory for named sandboxes of a test's own, and what a starter and a monitor leave there. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { record } from '../../src/launcher/record.js'
import { identityOfChild } from '../../src/live/processes.js'
import type { NewRecord, Reservation } from '../../src/live/records.js'

/** This process finds its sandboxes there until the test is over. */
export function ownHome(t: TestContext): string {
  const runtime = realpathSync(mkdtempSync(join(tmpdir(), 'vial-live-')))
  const before = process.env.XDG_RUNTIME_DIR
  process.env.XDG_RUNTIME_DIR = runtime
  t.after(() => {
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR
    else process.env.XDG_RUNTIME_DIR = before
    rmSync(runtime, { recursive: true })
  })
  const home = join(runtime, 'vial')
  mkdirSync(home, { mode: 0o700 })
  return home
}

/** A process that stands for a monitor. */
export function standIn(t: TestContext): ChildProcess & { readonly pid: number } {
  const child = spawn('sleep', ['600'])
  t.after(() => child.kill('SIGKILL'))
  return child as ChildProcess & { readonly pid: number }
}

export const about = (monitor: number): NewRecord => ({
  monitor: identityOfChild(monitor),
  init: monitor,
  namespaces: { pid: 4026532000 },
  policy: { preset: 'system' },
  base: '/',
  command: ['sleep', '600'],
})

/** As a starter does when its start is over. */
export function close({ status, directory }: Reservation): void {
  closeSync(status)
  closeSync(directory)
}

/** What a monitor writes last: that init ended with this wait status. */
export function endedRecord(status: number): Buffer {
  const bytes = Buffer.alloc(record.size)
  bytes.writeBigUInt64LE(BigInt(record.ended))
  bytes.writeBigUInt64LE(BigInt(status), 8)
  return bytes
}

/** Changes what a record says. */
export function edit(directory: string, change: (record: Record<string, unknown>) => object): void {
  const path = join(directory, 'record.json')
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8')))))
}
