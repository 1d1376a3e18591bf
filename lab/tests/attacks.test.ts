/**
 * Attacks that change the machine itself when they succeed: against the default policy, by root without a user
 * namespace, each is refused; against one that was weakened in that place, and in a guest that is thrown away, each succeeds.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Policy, sandbox } from '../../src/index.js'
import { root, workDirectory } from '../../test/support/user.js'

const source = resolve(fileURLToPath(import.meta.url), '../../../../lab/tests/attacks.c')
const program = join(workDirectory(root, 'attacks'), 'attack')

type Weak = Pick<Policy, 'capabilities' | 'filesystem' | 'namespaces'>
type Names = NonNullable<Policy['capabilities']>
const holding = (...capabilities: Names): Weak => ({ capabilities })
const uncovered: Weak = { filesystem: [{ proc: '/proc', masked: false }] }

interface Attack {
  readonly name: string
  readonly weak: Weak
  /** Only machines of this architecture have it. */
  readonly only?: NodeJS.Architecture
  /** What this kernel answers without any sandbox, where Debian builds it without the feature. */
  readonly lacking?: readonly string[]
}

const attacks: readonly Attack[] = [
  // First: another of them changes core_pattern.
  { name: 'crash-handler', weak: {} },
  { name: 'clock', weak: holding('CAP_SYS_TIME') },
  { name: 'module', weak: holding('CAP_SYS_MODULE') },
  { name: 'swap', weak: { ...holding('CAP_SYS_ADMIN'), ...uncovered } },
  { name: 'kexec', weak: holding('CAP_SYS_BOOT') },
  { name: 'accounting', weak: holding('CAP_SYS_PACCT') },
  { name: 'core-pattern', weak: uncovered },
  { name: 'sysrq', weak: uncovered },
  { name: 'sysctl', weak: uncovered },
  { name: 'ctrl-alt-del', weak: { ...holding('CAP_SYS_BOOT'), namespaces: { pid: 'host' } } },
  { name: 'binfmt', weak: { ...holding('CAP_SYS_ADMIN'), ...uncovered } },
  { name: 'disk', weak: { ...holding('CAP_MKNOD'), filesystem: [{ bind: '/tmp', writable: true, devices: true }] } },
  { name: 'hostname', weak: { ...holding('CAP_SYS_ADMIN'), namespaces: { uts: 'host' }, ...uncovered } },
  { name: 'iopl', weak: holding('CAP_SYS_RAWIO'), only: 'x64' },
  { name: 'int80', weak: {}, only: 'x64' },
  { name: 'x32', weak: {}, only: 'x64', lacking: ['ENOSYS'] },
]

function prepare(): void {
  execFileSync('gcc', ['-static', '-O1', '-o', program, source])
  execFileSync('sh', [
    '-c',
    'dd if=/dev/zero of=/lab/swap bs=1M count=4 2>&1 && mkswap /lab/swap && chmod 600 /lab/swap && : > /lab/account',
  ])
  writeFileSync('/lab/handler', '#!/bin/sh\ncat > /dev/null\n: > /lab/dumped\n', { mode: 0o755 })
  writeFileSync('/proc/sys/kernel/core_pattern', '|/lab/handler %p')
}

// Never on a machine that is needed: only a guest of the lab has this.
describe('attacks that only a guest may let succeed', {
  skip: existsSync('/lab/dummy.ko') ? false : 'not in a guest of the lab',
}, () => {
  const shown: Policy['filesystem'] = [
    { bind: '/attack', from: program },
    { bind: '/lab', writable: true },
    { tmpfs: '/tmp' },
  ]
  // Its files are root's own: only the sandbox's walls refuse it, not their modes.
  const identity = { uid: 0, gid: 0 }
  const strong: Policy = { preset: 'system', namespaces: { user: 'host' }, identity, filesystem: shown }
  const answer = async (policy: Policy, name: string) => {
    const { stdout, signal, stderr } = await sandbox(policy as never).run('/attack', [name])
    return signal ?? (stdout.trim() || stderr)
  }
  let prepared = false

  for (const { name, weak, only, lacking = [] } of attacks)
    test(name, { skip: only !== undefined && only !== process.arch ? `only on ${only}` : false }, async () => {
      if (!prepared) prepare()
      prepared = true
      assert.match(await answer(strong, name), /^(E[A-Z]+|SIG[A-Z]+)$/, 'against the default policy')
      const weakened: Policy = {
        ...strong,
        seccomp: 'none',
        landlock: 'off',
        ...weak,
        namespaces: { ...strong.namespaces, ...weak.namespaces },
        filesystem: [...shown, ...(weak.filesystem ?? [])],
      }
      const got = await answer(weakened, name)
      assert.ok(got === 'succeeded' || lacking.includes(got), `against the weakened policy: ${got}`)
    })
})
