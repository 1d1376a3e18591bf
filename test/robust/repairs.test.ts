/** What doctor and errors tell people to type is typed here. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Finding } from '../../src/doctor/finding.js'
import { notInstalled, notRoot } from '../support/needs.js'
import { ordinary, root, user, workDirectory } from '../support/user.js'

const main = resolve(fileURLToPath(import.meta.url), '../../../src/cli/main.cjs')
const vial = `"${process.execPath}" "${main}"`
const { uid, gid } = ordinary
const drop = `setpriv --reuid ${uid} --regid ${gid} --clear-groups`
const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** Of whom the tests that need no root ask. */
const caller = user

/** A script of bash's, by this process's user unless another is named. */
function bash(script: string, { home = workDirectory(caller, 'home'), user }: { home?: string; user?: number } = {}) {
  const ids = user === undefined ? {} : { uid: user, gid: user }
  return spawnSync('bash', ['-c', script], { encoding: 'utf8', cwd: '/', env: { PATH: path, HOME: home }, ...ids })
}

/** What doctor says where it does not work, by name. */
function failures(stdout: string): Readonly<Record<string, Finding>> {
  const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] }
  return Object.fromEntries(findings.filter(({ works }) => !works).map((one) => [one.name, one]))
}

describe('a cache that is of no use', { skip: notRoot }, () => {
  const home = workDirectory(ordinary, 'home-of-no-use')
  /** As the ordinary user, whose home is a filesystem of these options, made so by root's script. */
  const there = (options: string, before: string, script: string) =>
    bash(
      `exec unshare -m bash -c 'mount -t tmpfs -o uid=${uid},gid=${gid},${options} none ${home} && ${before} ${drop} bash -c "$1"' bash '${script}'`,
      { home },
    )
  for (const [name, options, before, words] of [
    ['mounted noexec', 'noexec', '', /cannot be executed: EACCES: Permission denied$/],
    [
      'full',
      'size=64k',
      `dd if=/dev/zero of=${home}/fill bs=1k 2> /dev/null;`,
      /stored in .*: No space left on device$/,
    ],
    // All that doctor asks was stored there before.
    [
      'read-only',
      'size=9m',
      `${drop} ${vial} doctor > /dev/null; mount -o remount,ro ${home};`,
      /: Read-only file system$/,
    ],
  ] as const)
    test(`${name}: doctor says so, and its repair repairs it`, () => {
      const { stdout, stderr, status } = there(options, before, `${vial} doctor --json`)
      assert.deepEqual([stderr, status], ['', 1])
      const { detail, repair } = failures(stdout)['a cache for vials']!
      assert.match(detail!, words)
      const directory = /VIAL_CACHE=(\S+)$/.exec(repair!)![1]!
      assert.equal(existsSync(directory), false, 'doctor leaves nothing there')
      const after = there(options, before, `${repair} && ${vial} run -- echo works; rm -rf ${directory}`)
      assert.deepEqual([after.stdout, after.stderr], ['works\n', ''])
    })
})

describe('a limit of namespaces in the user namespace around', () => {
  for (const name of ['user', 'net'])
    test(`user.max_${name}_namespaces: what doctor and run say is typed`, () => {
      const within = (script: string) =>
        bash(`exec unshare -Ur bash -c 'echo 0 > /proc/sys/user/max_${name}_namespaces; ${script}'`, {
          ...(notRoot ? {} : { user: uid }),
        })
      const found = failures(within(`${vial} doctor --json`).stdout)
      const { repair } = found[`${name} namespace`]!
      assert.equal(repair, `sysctl -w user.max_${name}_namespaces=15000`)
      // What only needs it has no repair of its own.
      for (const other of ['mount API', 'pid namespace', 'a /proc of its own', 'overlay'])
        assert.equal(found[other]?.repair, undefined, other)
      if (name === 'user') assert.ok(within(`${vial} run -- true`).stderr.endsWith(`\n      ${repair}\n`))
      const after = within(`${repair} > /dev/null && ${vial} run -- echo works`)
      assert.deepEqual([after.stdout, after.stderr], ['works\n', ''])
    })
})

describe('each finding that does not work has a next step, or names the one that has it', () => {
  const repository = resolve(dirname(main), '../../..')
  // Where Node is not Debian's.
  const node = process.execPath.startsWith('/usr/') ? '' : `--ro ${resolve(process.execPath, '../..')}`
  const inVial = (...flags: readonly string[]) => `${vial} run --ro ${repository} ${node} ${flags.join(' ')} --`
  const bubblewrap = `bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --unshare-all --ro-bind ${repository} ${repository}`
  for (const [name, before, needed] of [
    ['by an ordinary user', '', ''],
    ['under no_new_privs', 'setpriv --no-new-privs', ''],
    ['in a user namespace', 'unshare -Ur', ''],
    ['in a vial', inVial(), ''],
    ['in a vial whose payload may make sandboxes', inVial('--seccomp', 'nested'), ''],
    ['in bubblewrap', bubblewrap, 'bwrap'],
  ] as const)
    test(name, { skip: needed !== '' && notInstalled(needed) }, () => {
      const { stdout, stderr } = bash(`${before} ${vial} doctor --json`, notRoot ? {} : { user: uid })
      assert.equal(stderr, '')
      const { findings, works } = JSON.parse(stdout) as { findings: readonly Finding[]; works: boolean }
      const names = findings.filter((one) => !one.works).map((one) => one.name)
      for (const { name, works, detail = '', repair } of findings) {
        const above = /^see (?:above|below): (?:the )?(.*)/.exec(detail)?.[1] ?? ''
        assert.ok(
          works ||
            repair !== undefined ||
            name === 'vial run' ||
            (above !== '' && names.some((one) => one.includes(above))),
          `${name}: ${detail}`,
        )
      }
      assert.equal(works, !names.includes('vial run'))
      // In a sandbox of vial's own nothing is told to be done with sudo.
      if (before !== '') for (const { repair = '' } of findings) assert.doesNotMatch(repair, /^sudo |^as root: /)
    })
})

describe('root of little power', { skip: notRoot }, () => {
  const home = notRoot ? '' : workDirectory(root, 'home')
  const without = (name: string, script: string) =>
    bash(`exec setpriv --bounding-set -${name} --inh-caps -${name} bash -c '${script}'`, { home })

  test('without CAP_SETFCAP: it is named, and both ways around it are typed', () => {
    const { repair, further } = failures(without('setfcap', `${vial} doctor --json`).stdout)['user namespace']!
    assert.match(repair!, /^this root lacks CAP_SETFCAP, .*, or run vial as an ordinary user$/)
    const { stderr } = without('setfcap', `${vial} run -- true`)
    assert.ok(stderr.endsWith(`\n      ${repair}\n      ${further}\n`), stderr)
    const command = /vial (run --root)$/.exec(further!)![1]
    assert.equal(without('setfcap', `${vial} ${command} -- echo works`).stdout, 'works\n')
    const user = `HOME=${workDirectory(ordinary, 'home')} ${drop} ${vial} run -- echo works`
    assert.equal(without('setfcap', user).stdout, 'works\n')
  })

  test('without CAP_SYS_ADMIN as well: root mode is not advised, and what root mode needs is said', () => {
    const { further } = failures(without('setfcap,-sys_admin', `${vial} doctor --json`).stdout)['user namespace']!
    assert.equal(further, undefined)
    assert.match(without('sys_admin', `${vial} run --root -- true`).stderr, /CAP_SYS_ADMIN/)
    assert.equal(without('sys_admin', `${vial} run -- echo works`).stdout, 'works\n')
  })

  test('in a chroot', () => {
    const top = workDirectory(root, 'chroot')
    const copy = `for d in /*; do if [ -L $d ]; then cp -P $d ${top}; elif [ -d $d ]; then mkdir ${top}$d; mount --rbind $d ${top}$d; fi; done`
    const { stdout, stderr } = bash(`exec unshare -m bash -c '${copy}; exec chroot ${top} ${vial} run -- true'`, {
      home,
    })
    assert.equal(stdout, '')
    assert.match(
      stderr,
      /^vial: cannot make a user namespace: Operation not permitted\n {6}this process is in a chroot/,
    )
  })
})

describe('who can be root', () => {
  const asked = (before: string, directories = '') =>
    Object.values(
      failures(
        bash(`PATH=${directories}$PATH; ${before} ${vial} doctor --json`, { ...(notRoot ? {} : { user: uid }) }).stdout,
      ),
    ).flatMap(({ repair }) => repair ?? [])
  // Of the ids in the ranges, which no test's user has, and of programs of other machines.
  const withRoot = /\b(?:usermod|tee -a|apt-get) /

  test('sudo is named where it is there and can work', () => {
    const directory = workDirectory(caller, 'bin')
    writeFileSync(join(directory, 'sudo'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
    const named = (repairs: readonly string[], words: RegExp) => {
      const found = repairs.filter((repair) => withRoot.test(repair))
      assert.ok(found.length > 0)
      for (const repair of found) assert.match(repair, words)
    }
    named(asked('', `${directory}:`), /\bsudo /)
    named(asked('setpriv --no-new-privs', `${directory}:`), /^as root, outside of the sandbox or container/)
    named(asked('unshare -Ur', `${directory}:`), /^as root, outside of the sandbox or container/)
    if (notInstalled('sudo')) named(asked(''), /^as root: (?!.*sudo )/)
  })

  test('a sandbox is not told to mount groups, but to have the limits around it', () => {
    const repairs = asked('unshare -Urm')
    assert.ok(
      repairs.some((repair) => repair.startsWith('set the limits on what is around this process')),
      repairs.join('\n'),
    )
  })
})

describe('no cgroup of version 1', () => {
  const own = ownGroup()
  const skip = notRoot || (own === undefined && 'the memory controller is not one of version 1')
  test('the repair is for the user, and its second half for each shell', { skip }, () => {
    const group = join(own!, `vial-test-${process.pid}`)
    mkdirSync(group)
    try {
      const home = workDirectory(ordinary, 'home')
      const run = `env HOME=${home} VIAL_CACHE=${home}/cache VIAL_CGROUP=v1 ${vial} run --memory 64M -- echo works`
      const shell = (script: string) => bash(`echo $$ > ${group}/cgroup.procs; ${script}`)
      const asUser = (script: string) => shell(`exec ${drop} bash -c '${script}'`)
      const refused = asUser(run)
      assert.equal(refused.status, 125)
      const [, once, each] =
        /repair: (?:as root: )?(for g in .*; done)\n {6}then, in each shell .*?: (for g in .*; done)\n/.exec(
          refused.stderr,
        )!
      assert.equal(shell(`sudo() { "$@"; }; ${once}`).stderr, '')
      assert.equal(asUser(`${each}; ${run}`).stdout, 'works\n')
      assert.equal(asUser(run).status, 125, 'another shell')
    } finally {
      for (const path of [join(group, `user-${uid}`), group]) if (existsSync(path)) rmdirSync(path)
    }
  })
})

/** This process's group of the memory controller of version 1. */
function ownGroup(): string | undefined {
  const path = /^\d+:memory:(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1]
  const group = path === undefined ? undefined : join('/sys/fs/cgroup/memory', path)
  return group !== undefined && existsSync(group) ? group : undefined
}
