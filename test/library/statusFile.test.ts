/** Status files are used again and again, and do not grow for ever. */
import assert from 'node:assert/strict'
import { fstatSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { record } from '../../src/launcher/record.js'
import { borrowStatusFile, readStatus, returnStatusFile } from '../../src/run/statusFile.js'

test('each user of a status file reads its own records only', () => {
  const directory = mkdtempSync(join(tmpdir(), 'vial-status-'))
  process.env.VIAL_CACHE = directory
  try {
    let largest = 0
    let most = 0
    for (let use = 0; use < 4000; use++) {
      const fd = borrowStatusFile(0n)
      if (use % 100 === 0) most = Math.max(most, openIn(directory))
      // The room is taken before anything is written: a disk that gets full takes nothing away.
      assert.ok(fstatSync(fd).blocks * 512 >= fstatSync(fd).size)
      const records = Buffer.alloc((1 + (use % 4)) * record.size, 1 + (use % 255))
      writeSync(fd, records)
      assert.deepEqual(readStatus(fd), records)
      largest = Math.max(largest, fstatSync(fd).size)
      returnStatusFile(fd, true)
    }
    assert.equal(largest, 2 ** 16)
    assert.equal(most, 1)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

/** Descriptors of this process that are open on files of a directory, also of removed ones. */
function openIn(directory: string): number {
  const own = '/proc/self/fd'
  const paths = readdirSync(own).map((fd) => {
    try {
      return readlinkSync(`${own}/${fd}`)
    } catch {
      // The descriptor of this reading itself.
      return ''
    }
  })
  return paths.filter((path) => path.startsWith(`${directory}/`)).length
}
