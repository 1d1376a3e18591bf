/** Plans, and the system calls that they become, are what golden/ says; each call that fails is told in its step's words. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { record } from '../../src/launcher/record.js'
import { FrameReader } from '../../src/live/frames.js'
import { type Case, cases, failures, fileOf, directory, kept, runCase, runnable, textOf } from './golden.js'
import type { Call, Run } from './kernel.js'

describe('golden plans (if a change is meant: node dist/test/script/golden.js, and read the diff)', () => {
  for (const one of cases) test(one.name, () => assert.equal(textOf(one), kept(one.name)))

  test('no file is left over', () =>
    assert.deepEqual(
      readdirSync(directory)
        .map((name) => join(directory, name))
        .sort(),
      cases.map(({ name }) => fileOf(name)).sort(),
    ))
})

/** All but those of a sandbox that is held open. */
const commands = runnable.filter(({ plan }) => !plan.start.living?.holds)

describe('each plan executes its command, and leaves no process', () => {
  for (const one of commands)
    test(one.name, () => {
      const { executed, left, said } = runCase(one)
      assert.deepEqual({ argv: executed?.argv.slice(-1), left, said }, { argv: ['argument'], left: [], said: '' })
    })
})

test('one that is held open executes nothing, and ends at SIGTERM', () => {
  for (const one of runnable.filter((one) => !commands.includes(one))) {
    const { executed, left, said, status } = runCase(one)
    assert.deepEqual({ executed, left, said, status }, { executed: undefined, left: [], said: '', status: 0 })
  }
})

/** The steps' own words, of any of them that can fail. */
function sentences({ launch: { steps } }: Case): Set<string> {
  return new Set(steps.flatMap(({ what, complaint }) => [what, ...[complaint ?? []].flat().flatMap(words)]))
}
const words = (complaint: string | object) => (typeof complaint === 'string' ? [complaint] : [])

/** The words of each step that a status record says has failed; of a gate's commands they come in frames. */
function recorded({ plan, launch: { steps } }: Case, { written }: Run): string[] {
  const { statusFd, serves } = plan.start
  const parts = [Buffer.from(written[statusFd!] ?? '', 'hex')]
  const reader = new FrameReader(({ body }) => parts.push(Buffer.from(body)))
  if (serves !== undefined) reader.read(Buffer.from(written[serves.control] ?? '', 'hex'))
  const records = Buffer.concat(parts)
  return Array.from({ length: records.length / record.size }, (_, index) => record.size * index)
    .filter((at) => records.readBigUInt64LE(at) === BigInt(record.failed))
    .map((at) => steps[Number(records.readBigUInt64LE(at + 8))]!.what)
}

/** What a run says about the step that failed, without prefix and error. */
function told(one: Case, run: Run): string[] {
  const { statusFd, manner } = one.plan.start
  if (statusFd !== undefined) return recorded(one, run)
  if (run.said === '') return []
  assert.ok(run.said.startsWith(manner.prefix), run.said)
  return [run.said.slice(manner.prefix.length).split(/: Input\/output error|\n/)[0]!]
}

const endsGate = new Set<Call['name']>(['ppoll', 'recvfrom'])

/** Calls that may fail on the way to the command, and no more is said about it; all others end the run. */
const unsaid: { readonly [Name in Call['name']]?: string } = {
  chdir: 'of the caller’s directory: HOME or the root is next',
  clone: 'one namespace less, where that was asked for: the next clone is tried',
  close: 'what is left open is closed before the command is executed',
  fcntl: 'a look: a standard stream is closed, or what is executed is not sealed',
  getcwd: 'a directory that was removed has no name',
  getpgid: 'a look, of a session that is shared',
  ioctl: 'a look: is it a terminal, and who is in its foreground',
  landlock_create_ruleset: 'a look at what this kernel has of it',
  openat: 'a look for the terminal; and id maps, which newuidmap(1) writes instead',
  ppoll: 'a look whether the monitor is alive, beside its signal',
  pread64: 'a look who the caller is',
  read: 'waits for a byte or the end',
  rt_sigtimedwait: 'the caller has no ends of the pipes yet: waits again',
  sendto: 'of addresses of IPv6, which a kernel may not have',
  setpgid: 'who leads a group is in it',
  statx: 'a look: a standard stream that is closed is no directory',
  unshare: 'it has to fail: no user namespace can be made any more',
  write: 'of id maps, which newuidmap(1) writes instead',
}

describe('a call that fails unexpectedly ends the run in the words of a step, or changes nothing', () => {
  const seen = new Set<string>()
  for (const one of commands)
    test(one.name, () => {
      const known = sentences(one)
      const fine = runCase(one)
      const command = (run: Run['executed']) => ({ ...run, env: run?.env.filter((text) => !text.startsWith('PWD=')) })
      for (const { call, late, run } of failures(one, fine)) {
        const about = `${call.by} ${call.name}(${call.args.join(', ')}) fails: ${run.said}`
        assert.deepEqual(run.left, [], about)
        const sentences = told(one, run)
        for (const sentence of sentences) assert.ok(known.has(sentence), about)
        assert.ok(sentences.length < 2, about)
        // Either nothing was executed, and it is told why; or the command was, or the vial itself in sealed memory.
        if (run.executed === undefined) {
          const { serves } = one.plan.start
          if (serves !== undefined && call.by !== 'monitor') {
            // A gate goes on behind a command that cannot be started, or it ends, which its caller sees.
            assert.equal(sentences.length, endsGate.has(call.name) ? 0 : 1, about)
            continue
          }
          assert.deepEqual([sentences.length, run.status === 0], [1, false], about)
          continue
        }
        if (run.executed.argv[0] !== 'vial') assert.deepEqual(command(run.executed), command(fine.executed), about)
        if (late) continue
        assert.ok(call.name in unsaid, about)
        seen.add(call.name)
      }
    })

  test('each of those that may fail has done so', () => assert.deepEqual([...seen].sort(), Object.keys(unsaid)))
})
