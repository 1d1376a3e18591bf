/**
 * Payloads against what is mounted into their sandbox while it runs: they exchange the place, or what is mounted, for a link; and they try to
 * take a mount away, or to write to it.
 *
 * The walls are openat2(2) without links, and that a policy with CAP_SYS_ADMIN takes no mounts. Weakened, the links are followed,
 * and the mount is made nevertheless: then they succeed.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { hostArchitecture } from '../../src/host/thisHost.js'
import { openFlags } from '../../src/kernel/flags.js'
import { structs } from '../../src/kernel/structs.js'
import { type MountCall, mountAnswer, mountCall, stageOf } from '../../src/launcher/mountCall.js'
import { mounter } from '../../src/launcher/mounter.js'
import { mountTable } from '../../src/live/mountTable.js'
import { assemble } from '../../src/machine/assemble.js'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { as, type LivingSandbox, living } from '../support/living.js'
import { notInstalled } from '../support/needs.js'
import { childrenOf } from '../support/processes.js'
import { type Caller, callers, workDirectory } from '../support/user.js'

/** How often a payload exchanges the two names at least, and how many mounts are tried meanwhile. */
const [exchanges, tries] = [10_000, 100]

/** Exchanges `x` and `y` in the directory that it is given, and says once how often it is to be: renameat2(2), RENAME_EXCHANGE. */
const exchange = `import ctypes, os, sys
os.chdir(sys.argv[1]); libc = ctypes.CDLL(None); done = 0
print('ready', flush=True)
while True:
    done += libc.renameat2(-100, b'x', -100, b'y', 2) == 0
    if done == ${exchanges}: print('enough', flush=True)`

/** The program that mounts; `links`: it follows them. */
function mounterAt(directory: string, links: 'refused' | 'followed'): string {
  const program = mounter(hostArchitecture())
  if (links === 'followed') {
    const view = Buffer.from(program.constants.buffer, program.constants.byteOffset, program.constants.length)
    const { flags, resolve } = structs.open_how.fields
    const { PATH, CLOEXEC } = openFlags(hostArchitecture())
    let changed = 0
    for (let at = 0; at + structs.open_how.size <= view.length; at += 8)
      if (view.readBigUInt64LE(at + flags.offset) === BigInt(PATH | CLOEXEC)) {
        view.writeBigUInt64LE(0n, at + resolve.offset)
        changed++
      }
    // Of the source, of the place, and of the place of what is taken away.
    assert.equal(changed, 3)
  }
  const path = join(directory, `mounter-${links}`)
  writeFileSync(path, assemble(program, hostArchitecture()), { mode: 0o755 })
  return path
}

interface Answer {
  readonly mount: number
  readonly failed: string | undefined
}

/** Calls it as box.mount does. */
function call(
  program: string,
  caller: Caller,
  { target }: LivingSandbox,
  switches: readonly MountCall[],
  words: readonly string[],
): Answer {
  const digits = mountCall.order.map((one) => (one === 'ownUser' || switches.includes(one) ? '1' : '0')).join('')
  const { stdout } = spawnSync(program, [...target, digits, ...words], { env: {}, ...as(caller) })
  const answer: { mount: number; failed: string | undefined } = { mount: 0, failed: undefined }
  for (let at = 0; at < stdout.length; at += mountAnswer.size) {
    const [kind, value] = [Number(stdout.readBigUInt64LE(at)), Number(stdout.readBigUInt64LE(at + 8))]
    if (kind === mountAnswer.mount) answer.mount = value
    const stage = stageOf(kind)
    if (stage !== undefined) answer.failed = `${stage} ${value}`
  }
  return answer
}

/** The mounts of the sandbox. */
const inside = ({ monitor }: LivingSandbox) => {
  const [init] = childrenOf(monitor.pid!)
  return mountTable(readFileSync(`/proc/${init}/mountinfo`, 'latin1'))
}

/** A command that enters and goes on until the test is over, once it has said that it is ready. */
async function entered(t: TestContext, caller: Caller, { entrant, target }: LivingSandbox, words: readonly string[]) {
  const child = spawn(entrant, [...target, '/', ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {},
    ...as(caller),
  })
  t.after(() => child.kill('SIGKILL'))
  let said = ''
  child.stdout!.setEncoding('utf8').on('data', (text) => {
    said += text
  })
  while (!said.includes('ready')) await once(child.stdout!, 'data')
  return { child, said: () => said }
}

const skip = notInstalled('python3', 'unshare', 'mount')

for (const caller of callers)
  describe(`mounts of a sandbox that runs, under attack, by ${caller.name}`, { skip }, () => {
    const directory = workDirectory(caller, 'mounts-attacked')
    const make = (path: string, content?: string) => {
      const whole = join(directory, path)
      if (content === undefined) mkdirSync(whole, { recursive: true })
      else writeFileSync(whole, content)
      if (process.getuid?.() === 0) chownSync(whole, caller.uid, caller.gid)
      return whole
    }
    const shown = make('shown')
    make('shown/word', 'shown')
    make('secret')
    make('secret/word', 'secret')

    /** Where each of the mounts came to lie, or why there is none; how often each. */
    async function outcomes(t: TestContext, links: 'refused' | 'followed') {
      const sandbox = await living(t, caller, `place-${links}`, { preset: 'system', filesystem: [{ tmpfs: '/tmp' }] })
      const [program, remover] = [mounterAt(directory, links), mounterAt(directory, 'refused')]
      const racer = await entered(t, caller, sandbox, [
        'sh',
        '-c',
        `mkdir /tmp/x /tmp/elsewhere && ln -s elsewhere /tmp/y && exec python3 -c "$1" /tmp`,
        'sh',
        exchange,
      ])
      const counts: Record<string, number> = {}
      for (let round = 0; round < tries || (!racer.said().includes('enough') && links === 'refused'); round++) {
        const { mount, failed } = call(program, caller, sandbox, [], [shown, 'tmp', 'x'])
        const place = inside(sandbox).find(({ id }) => id === mount)?.path
        const outcome = place === undefined ? `none: ${failed}` : place.replace(/^\/tmp\/[xy]$/, 'the place')
        counts[outcome] = (counts[outcome] ?? 0) + 1
        if (place !== undefined) {
          call(remover, caller, sandbox, ['removes'], [String(mount), ...place.split('/').slice(1)])
          // A place that something is mounted on is not exchanged: rename(2), EBUSY.
          assert.ok(!inside(sandbox).some(({ id }) => id === mount), place)
        }
        await new Promise(setImmediate)
        if (links === 'followed' && counts['/tmp/elsewhere']) break
      }
      return counts
    }

    test('a place that is exchanged for a link 10,000 times: on the place, or nowhere', async (t) => {
      const counts = await outcomes(t, 'refused')
      t.diagnostic(JSON.stringify(counts))
      const { 'the place': placed = 0, ...others } = counts
      assert.ok(placed > 0, JSON.stringify(counts))
      assert.deepEqual(
        Object.keys(others).filter((one) => !/^none: walk 40$/.test(one)),
        [],
      )
      assert.ok((await outcomes(t, 'followed'))['/tmp/elsewhere'] === 1, 'it can be made to lie elsewhere')
    })

    test('what is mounted is exchanged for a link to what the payload may not see: it, or nothing', async (t) => {
      const shared = make('shared')
      make('shared/x')
      make('shared/x/word', 'shared')
      symlinkSync('../secret', join(shared, 'y'))
      const seen = async (links: 'refused' | 'followed') => {
        const filesystem = [{ tmpfs: '/tmp' }, { bind: '/shared', from: shared, writable: true }] as const
        const sandbox = await living(t, caller, `source-${links}`, { preset: 'system', filesystem: [...filesystem] })
        const [program, remover] = [mounterAt(directory, links), mounterAt(directory, 'refused')]
        const racer = await entered(t, caller, sandbox, ['python3', '-c', exchange, '/shared'])
        const counts: Record<string, number> = {}
        for (let round = 0; round < tries || (!racer.said().includes('enough') && links === 'refused'); round++) {
          const { mount, failed } = call(program, caller, sandbox, [], [join(shared, 'x'), 'tmp', 'place'])
          const root = inside(sandbox).find(({ id }) => id === mount)?.root
          const outcome = root === undefined ? `none: ${failed}` : root.replace(/^.*\//, '').replace('y', 'x')
          counts[outcome] = (counts[outcome] ?? 0) + 1
          if (root !== undefined) call(remover, caller, sandbox, ['removes'], [String(mount), 'tmp', 'place'])
          await new Promise(setImmediate)
          if (links === 'followed' && counts.secret) break
        }
        racer.child.kill('SIGKILL')
        return counts
      }
      const counts = await seen('refused')
      t.diagnostic(JSON.stringify(counts))
      const { x = 0, ...others } = counts
      assert.ok(x > 0, JSON.stringify(counts))
      // ESTALE: it was another directory when it was looked up with the rights of the sandbox.
      assert.deepEqual(
        Object.keys(others).filter((one) => !/^none: (source 40|clone 40|clone 116)$/.test(one)),
        [],
      )
      assert.equal((await seen('followed')).secret, 1, 'it can be made to show the secret')
    })

    test('what is mounted, and what lies on it, stays and stays read-only, also in namespaces that the payload makes', async (t) => {
      const strip = [
        'mount -o remount,bind,rw /mnt && echo writable',
        'umount -l /mnt/pts && echo bared',
        'umount -l /mnt && echo removed',
      ].join('; ')
      const script = `exec 2>/dev/null; ${strip}; grep -c ' /mnt.* ro,' /proc/self/mountinfo`
      // Root's is covered else, or a payload could write the host's settings there.
      const filesystem = [{ proc: '/proc' as const, masked: false }]
      const said = async (name: string, policy: StrictPolicy, words: readonly string[]) => {
        const sandbox = await living(t, caller, name, { preset: 'system', seccomp: 'nested', filesystem, ...policy })
        const { failed } = call(mounterAt(directory, 'refused'), caller, sandbox, ['ownRoot'], ['/dev', 'mnt'])
        assert.equal(failed, undefined)
        const { stdout } = spawnSync(sandbox.entrant, [...sandbox.target, '/', ...words], {
          encoding: 'utf8',
          env: {},
          ...as(caller),
        })
        return stdout.trim().split('\n')
      }
      const [count, ...none] = await said('stripped', {}, ['unshare', '-rm', 'sh', '-c', script])
      assert.deepEqual(none, [])
      assert.ok(Number(count) > 0)
      const weakened = await said(
        'weakened',
        {
          capabilities: ['CAP_SYS_ADMIN'],
          identity: { uid: 0, gid: 0 },
          filesystem: [{ proc: '/proc', masked: false }],
        },
        ['sh', '-c', script],
      )
      assert.ok(weakened.includes('writable') && weakened.includes('removed'), weakened.join())
    })
  })
