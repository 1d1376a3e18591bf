/** The executable itself: the same bytes each time, for both machines, and no page that is both written and executed. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { compile, type Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { user, vial, workDirectory } from '../support/user.js'

const policies: readonly Policy[] = [
  {},
  { preset: 'system', env: { inherit: ['A*'] }, rlimits: { nofile: 9 }, namespaces: { time: { boottime: 3 } } },
  {
    identity: { ranges: { uids: [], gids: [] } },
    filesystem: [{ bind: '/usr' }, { overlay: '/o', lower: ['/usr'], upper: 'tmpfs' }],
  },
]
const caller = user

describe('a vial as a file', () => {
  test('has the same bytes in two processes, and other ones for another policy', async () => {
    const hashes = () =>
      evaluate(
        caller,
        ({ compile }, policies) =>
          policies.flatMap((policy) =>
            (['x64', 'arm64'] as const).map((architecture) =>
              Buffer.from(compile(policy, { architecture, base: '/' }).bytes).toString('base64'),
            ),
          ),
        [...policies],
      )
    const [one, other] = [await hashes(), await hashes()]
    const short = (all: string[]) => all.map((bytes) => createHash('sha256').update(bytes).digest('hex'))
    assert.deepEqual(short(one), short(other))
    assert.equal(new Set(one).size, 2 * policies.length)
  })

  test('has no segment that is both written and executed, and no executable stack', {
    skip: notInstalled('readelf'),
  }, () => {
    const file = join(workDirectory(caller, 'bytes'), 'vial')
    for (const policy of policies) {
      for (const architecture of ['x64', 'arm64'] as const) {
        writeFileSync(file, compile(policy, { architecture }).bytes)
        const { stdout, stderr } = spawnSync('readelf', ['-lnhW', file], { encoding: 'utf8' })
        assert.equal(stderr, '')
        assert.match(stdout, architecture === 'x64' ? /Machine: +Advanced Micro Devices X86-64/ : /Machine: +AArch64/)
        const flags = [...stdout.matchAll(/^ +(LOAD|GNU_STACK) +(?:0x\S+ +){5}(\S+ \S*|\S+) +0x/gm)].map(
          ([, type, flag]) => `${type} ${flag!.replaceAll(' ', '')}`,
        )
        assert.deepEqual(flags.toSorted(), ['GNU_STACK RW', 'LOAD RE', 'LOAD RW'], stdout)
        assert.match(stdout, /Build ID: [0-9a-f]{40}/)
        assert.doesNotMatch(stdout, /INTERP|DYNAMIC/)
      }
    }
  })

  test('for another machine starts there', {
    skip: existsSync('/usr/bin/qemu-aarch64-static') ? false : 'qemu-aarch64-static is not installed',
  }, () => {
    const directory = workDirectory(caller, 'arm64')
    writeFileSync(
      join(directory, 'policy.json'),
      JSON.stringify({ preset: 'system', filesystem: [{ bind: '/x', from: './absent' }] }),
    )
    const { stderr, status } = vial(caller, ['compile', 'policy.json', '-o', 'vial', '--arch', 'arm64'], {
      cwd: directory,
    })
    assert.equal(status, 0, stderr)
    assert.equal(readFileSync(join(directory, 'vial')).readUInt16LE(18), 183)
    const started = spawnSync('qemu-aarch64-static', ['./vial'], { cwd: directory, encoding: 'utf8' })
    assert.deepEqual(
      [started.status, started.stderr],
      [125, 'vial: no command was given\n      usage: VIAL COMMAND [ARGUMENT…]\n'],
    )
  })

  test('is written whole or not at all', () => {
    const directory = workDirectory(caller, 'written')
    writeFileSync(join(directory, 'policy.json'), '{}')
    const fails = (output: string) => vial(caller, ['compile', 'policy.json', '-o', output], { cwd: directory })
    for (const output of ['absent/vial', '.', 'policy.json/vial']) {
      const { status, stderr } = fails(output)
      assert.equal(status, 125, output)
      assert.match(stderr, /^vial: --output .*(does not exist|is a |is not |E(?:ISDIR|EXIST|BUSY|NOTEMPTY))/)
    }
    assert.deepEqual(spawnSync('ls', ['-A', directory], { encoding: 'utf8' }).stdout, 'policy.json\n')
  })
})
