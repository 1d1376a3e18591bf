/** What a fill depends on is all noted: a file that is looked at past these functions could change unnoticed. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import * as look from '../../src/fill/look.js'

/** These list what `system`, a root and the network show, which is in the key itself. */
const keyed = ['look.ts', 'hostNames.ts', 'heldBy.ts', 'system.ts']

test('no other file of fill reads the host by itself', () => {
  const directory = resolve(fileURLToPath(import.meta.url), '../../../../src/fill')
  for (const name of readdirSync(directory).filter((one) => !keyed.includes(one))) {
    const text = readFileSync(join(directory, name), 'utf8')
    assert.doesNotMatch(text, /from 'node:(?:fs|os|child_process|process)|process\.(?:env|cwd|get)/, name)
  }
})

const changes: Readonly<Record<string, (at: string) => void>> = {
  'a file is written': (at) => writeFileSync(join(at, 'real/file'), 'two and more'),
  'a file is written, of the same size, and its times are set back': (at) => {
    const { atime, mtime } = statSync(join(at, 'real/file'))
    writeFileSync(join(at, 'real/file'), 'two')
    utimesSync(join(at, 'real/file'), atime, mtime)
  },
  'a file has another mode': (at) => chmodSync(join(at, 'real/file'), 0o600),
  'a directory on the way has another mode': (at) => chmodSync(join(at, 'real'), 0o700),
  'a directory on the way has another owner': (at) => {
    if (process.getuid!() === 0) chownSync(join(at, 'real'), 1, 1)
    else chmodSync(join(at, 'real'), 0o750)
  },
  'a file is removed': (at) => rmSync(join(at, 'real/file')),
  'a file is a link': (at) => {
    renameSync(join(at, 'real/file'), join(at, 'real/moved'))
    symlinkSync('moved', join(at, 'real/file'))
  },
  'a link that led nowhere leads somewhere': (at) => writeFileSync(join(at, 'later'), ''),
  'a directory that was not there is, with what was looked for in it': (at) => {
    mkdirSync(join(at, 'no'))
    writeFileSync(join(at, 'no/file'), '')
  },
  'a variable is set': () => {
    process.env.VIAL_LOOK_ONE = ''
  },
  'a variable has another value': () => {
    process.env.VIAL_LOOK_TWO = 'other'
  },
  'a file is exchanged': (at) => renameSync(join(at, 'real/other'), join(at, 'real/file')),
  'a link leads elsewhere': (at) => {
    symlinkSync('elsewhere', join(at, 'new'))
    renameSync(join(at, 'new'), join(at, 'link'))
  },
  'a directory on the way is another': (at) => {
    renameSync(join(at, 'real'), join(at, 'gone'))
    mkdirSync(join(at, 'real'))
  },
  'what was not there is': (at) => writeFileSync(join(at, 'absent'), ''),
  'a name is new in a directory that was listed': (at) => writeFileSync(join(at, 'listed/new'), ''),
  'a name is gone from a directory that was listed': (at) => rmSync(join(at, 'listed/one')),
}

for (const [what, change] of Object.entries(changes))
  test(`noticed: ${what}`, () => {
    const at = mkdtempSync(join(tmpdir(), 'vial-look-'))
    try {
      for (const name of ['real', 'elsewhere', 'listed', 'beside']) mkdirSync(join(at, name))
      for (const name of ['real/file', 'real/other', 'elsewhere/file']) writeFileSync(join(at, name), 'one')
      writeFileSync(join(at, 'listed/one'), '')
      symlinkSync('real', join(at, 'link'))
      symlinkSync('later', join(at, 'dangling'))
      delete process.env.VIAL_LOOK_ONE
      process.env.VIAL_LOOK_TWO = 'one'
      const looks = new look.Looks(Number.POSITIVE_INFINITY)
      look.noting(looks, () => {
        look.statSync(join(at, 'link/file'))
        assert.throws(() => look.lstatSync(join(at, 'absent')))
        assert.throws(() => look.statSync(join(at, 'dangling')))
        assert.equal(look.existsSync(join(at, 'no/file')), false)
        look.readdirSync(join(at, 'listed'))
        assert.equal(look.variable('VIAL_LOOK_ONE'), undefined)
        assert.equal(look.variable('VIAL_LOOK_TWO'), 'one')
      })
      const seen = looks.written()!
      assert.equal(look.isAsSeen(seen), true)
      // Beside what was looked at.
      writeFileSync(join(at, 'beside/other'), '')
      writeFileSync(join(at, 'elsewhere/other'), '')
      assert.equal(look.isAsSeen(seen), true)
      change(at)
      assert.equal(look.isAsSeen(seen), false)
    } finally {
      rmSync(at, { recursive: true })
    }
  })

test('what changed just before is not written down', () => {
  const at = mkdtempSync(join(tmpdir(), 'vial-look-'))
  try {
    writeFileSync(join(at, 'file'), 'one')
    const looks = new look.Looks()
    look.noting(looks, () => look.statSync(join(at, 'file')))
    assert.equal(looks.written(), undefined)
  } finally {
    rmSync(at, { recursive: true })
  }
})
