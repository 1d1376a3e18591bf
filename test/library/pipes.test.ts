/** A vial that does not come to its pipes keeps Node waiting for so long only, for Node does nothing else meanwhile. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { takePipes } from '../../src/run/pipes.js'
import { HostError } from '../../src/text/error.js'

const pipes = [{ fd: 1, payload: 'writes' }] as const

/** Calls `action` with a child that makes no pipes, and an empty status file. */
async function silent(action: (pid: number, status: number) => void): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'vial-pipes-'))
  writeFileSync(join(directory, 'status'), Buffer.alloc(4096))
  const status = openSync(join(directory, 'status'), 'r')
  const child = spawn('sleep', ['1000'])
  try {
    action(child.pid!, status)
  } finally {
    child.kill('SIGKILL')
    closeSync(status)
    rmSync(directory, { recursive: true })
  }
  await once(child, 'exit')
}

test('one that is stopped, or waits for something, is an error', () =>
  silent((pid, status) => {
    process.kill(pid, 'SIGSTOP')
    assert.throws(
      () => takePipes(pid, pipes, status, 20),
      (error) => error instanceof HostError && error.code === 'ETIMEDOUT' && /was stopped/.test(error.message),
    )
  }))

test('one that is killed has none', () =>
  silent((pid, status) => {
    process.kill(pid, 'SIGKILL')
    assert.deepEqual(takePipes(pid, pipes, status, 20), [])
  }))

test('one that another part of the program has waited for has none', async () => {
  let gone = 0
  await silent((pid) => {
    gone = pid
  })
  await silent((_, status) => assert.deepEqual(takePipes(gone, pipes, status, 20), []))
})
