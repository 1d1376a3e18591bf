/** The policy that comes closest is a policy, and shows what the command line showed. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { optionNames } from '../../src/bwrap/bwrapOptions.js'
import { policyOf } from '../../src/bwrap/closestPolicy.js'
import { parse } from '../../src/bwrap/parseRequest.js'
import { checkPolicy } from '../../src/policy/check.js'
import { callers, runAs } from '../support/user.js'
import { programs, words } from './tools.js'

const closest = (args: readonly string[]) => {
  const parsed = parse([...args, 'true'])
  assert.equal(parsed.kind, 'run')
  return policyOf((parsed as Extract<typeof parsed, { kind: 'run' }>).request)
}

suite('--to-policy', () => {
  test('every option is a policy, or a note', () => {
    const values: Record<string, string> = {
      '--cap-add': 'CAP_KILL',
      '--cap-drop': 'ALL',
      '--hostname': 'h',
      '--unsetenv': 'A',
    }
    const skipped = ['--help', '--version', '--args', '--exec-label', '--file-label', '--perms', '--size']
    const needs: Record<string, string[]> = {
      '--userns-block-fd': words('--unshare-user --info-fd 4'),
      '--disable-userns': ['--unshare-user'],
      '--overlay': words('--overlay-src /a'),
      '--tmp-overlay': words('--overlay-src /a'),
      '--ro-overlay': words('--overlay-src /a --overlay-src /b'),
      '--hostname': ['--unshare-uts'],
      '--as-pid-1': ['--unshare-pid'],
    }
    for (const name of optionNames.filter((one) => !skipped.includes(one) && one !== '--overlay-src')) {
      for (const operands of [[], ['7'], ['0700', '/p'], ['/u', '/w', '/p']]) {
        const given = values[name] === undefined ? operands : operands.length === 1 ? [values[name]!] : operands
        let policy: ReturnType<typeof closest>['policy']
        try {
          policy = closest([...(needs[name] ?? []), name, ...given, '--']).policy
        } catch {
          continue
        }
        checkPolicy(policy)
      }
    }
  })

  test('the order is kept, and what is hidden whole is left out and named', () => {
    const { policy, notes } = closest(
      words('--ro-bind /u /a --tmpfs /a/b --ro-bind /u /c/d --dir /c --bind /v /c --ro-bind /w /c/d'),
    )
    assert.deepEqual(
      policy.filesystem?.map((entry) => Object.values(entry)[0]),
      ['/a', '/a/b', '/c', '/c', '/c/d'],
    )
    assert.ok(notes.includes('bind /c/d is hidden whole by bind /c, which comes later, and is left out'))
    assert.equal(notes.filter((note) => note.includes('hidden')).length, 1)
    checkPolicy(policy)
    const root = closest(words('--tmpfs /tmp --ro-bind / / --tmpfs /tmp'))
    assert.deepEqual(root.policy.filesystem?.length, 2)
    checkPolicy(root.policy)
  })

  test('--disable-userns is disableUserns, and leaves out the capability that would undo it', () => {
    const { policy, notes } = closest(words('--unshare-user --disable-userns --cap-add ALL'))
    assert.equal(policy.disableUserns, true)
    assert.ok(!policy.capabilities?.includes('CAP_SYS_RESOURCE') && policy.capabilities?.includes('CAP_KILL'))
    assert.ok(notes.some((note) => note.startsWith('CAP_SYS_RESOURCE is left out')))
    checkPolicy(policy)
  })

  test('notes name what is lost', () => {
    const { notes } = closest(words('--lock-file /a --sync-fd 3 --seccomp 4 --unsetenv A'))
    for (const option of ['--lock-file', '--sync-fd', '--seccomp', '--unsetenv'])
      assert.ok(
        notes.some((note) => note.startsWith(option)),
        option,
      )
  })

  for (const caller of callers)
    test(`a policy runs, as ${caller.name}`, () => {
      const { policy } = closest([
        ...programs,
        ...words(
          '--unshare-all --new-session --die-with-parent --proc /proc --dev /dev --tmpfs /tmp --dir /a/b --uid 7 --gid 8 --clearenv --setenv A 1 --setenv PATH /bin --chdir /a/b --hostname boat',
        ),
      ])
      const { stdout, exitCode } = runAs(caller, policy, 'sh', ['-c', 'id -u; id -g; pwd; echo $A; hostname; ls /'])
      assert.deepEqual(
        [exitCode, stdout.split('\n')],
        [0, ['7', '8', '/a/b', '1', 'boat', 'a', 'bin', 'dev', 'lib', 'lib64', 'proc', 'sbin', 'tmp', 'usr', '']],
      )
    })
})
