/** Status files are used again and again, and do not grow for ever. */
import assert from 'node:assert/strict'
import { fstatSync, mkdtempSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { record } from '../../src/launcher/record.js'
import { borrowStatusFile, readStatus, returnStatusFile } from '../../src/run/statusFile.js'

test('each user of a status file reads its own records only', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vial-status-'))
  process.env.VIAL_CACHE = folder
  try {
    let largest = 0
    const files = new Set<number>()
    for (let use = 0; use < 4000; use++) {
      const fd = borrowStatusFile()
      files.add(fd)
      // The room is taken before anything is written: a disk that gets full takes nothing away.
      assert.ok(fstatSync(fd).blocks * 512 >= fstatSync(fd).size)
      const records = Buffer.alloc((1 + (use % 4)) * record.size, 1 + (use % 255))
      writeSync(fd, records)
      assert.deepEqual(readStatus(fd), records)
      largest = Math.max(largest, fstatSync(fd).size)
      returnStatusFile(fd, true)
    }
    assert.equal(largest, 2 ** 16)
    assert.equal(files.size, 1)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
