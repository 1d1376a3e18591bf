/** What the caller's own surroundings forbid is said in one sentence, which names the cause. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { compile, type Policy, sandbox } from '../../src/index.js'
import { notInstalled } from '../support/needs.js'
import { root, user, workDirectory } from '../support/user.js'

const dist = resolve(fileURLToPath(import.meta.url), '../../..')
const caller = user
const isRoot = process.getuid?.() === 0

/** A shell of the caller's, in which `vial` is the command. */
const shell = (script: string, as = caller) => {
  const home = workDirectory(as, 'surroundings')
  const { stdout, stderr, status } = spawnSync(
    'bash',
    ['-c', `vial() { node ${dist}/src/cli/main.cjs "$@"; }; ${script}`],
    {
      encoding: 'utf8',
      cwd: home,
      env: { PATH: process.env.PATH ?? '', HOME: home },
      ...(isRoot ? { uid: as.uid, gid: as.gid } : {}),
    },
  )
  return { stdout, stderr, status }
}

describe('the current directory', () => {
  for (const command of ['run -- true', 'run --rw . -- true', 'explain', 'compile --preset empty -o x']) {
    test(`vial ${command} in one that was removed`, () => {
      const { stderr, status } = shell(`mkdir -p gone; cd gone; rmdir ../gone; vial ${command}`)
      assert.equal(
        stderr
          .split('\n')
          .filter((line) => line.startsWith('vial'))
          .join(),
        'vial: cannot tell the current directory: it has been removed; cd to another one',
      )
      assert.equal(status, 125)
    })
  }

  test('one whose path is too long', () => {
    const name = 'd'.repeat(200)
    const { stderr, status } = shell(
      `for i in $(seq 25); do mkdir -p ${name}; cd ${name} || exit; done; vial run -- true; status=$?; cd "$HOME"; rm -rf ${name}; exit $status`,
    )
    assert.match(
      stderr,
      /vial: cannot tell the current directory: its path is longer than 4095 bytes; cd to another one\n$/,
    )
    assert.equal(status, 125)
  })

  test('of a library', () => {
    const script = `import('${dist}/src/index.js').then(({ sandbox }) => sandbox({})).catch((error) => console.log(error.message))`
    const { stdout } = shell(`mkdir -p gone; cd gone; rmdir ../gone; node -e "${script}"`)
    assert.match(stdout, /^cannot tell the current directory: it has been removed/)
  })
})

test("root without CAP_SETFCAP, which maps root's id: user_namespaces(7)", {
  skip: isRoot ? notInstalled('capsh') : 'needs root',
}, () => {
  const { stderr, status } = shell(`capsh --drop=cap_setfcap -- -c 'node ${dist}/src/cli/main.cjs run -- true'`, root)
  assert.match(stderr, /cannot make a user namespace: Operation not permitted\n.*this root lacks CAP_SETFCAP/)
  assert.equal(status, 125)
})

const faultOf = (policy: Policy): string => {
  try {
    compile(policy as never)
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

describe('a namespace of another user namespace', () => {
  for (const name of ['mount', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'time'] as const)
    test(`${name} is joined with that, or not at all`, () => {
      const rest: Policy = name === 'mount' ? {} : { preset: 'system' }
      const fault = `namespaces.${name}: cannot be joined from a new user namespace: join the one that owns it too (namespaces.user: {"pid":1}), or, for a caller who is root there, use namespaces.user: "host"`
      assert.equal(faultOf({ ...rest, namespaces: { [name]: { pid: 1 } } }), fault)
      assert.match(
        faultOf({ ...rest, namespaces: { [name]: { path: '/x' } } }),
        /join the one that owns it too \(namespaces\.user\), or/,
      )
      assert.equal(faultOf({ ...rest, namespaces: { user: 'host', [name]: { pid: 1 } } }), '')
      assert.equal(faultOf({ ...rest, namespaces: { user: { pid: 1 }, [name]: { pid: 1 } } }), '')
    })

  test('whose ids are others', async () => {
    const other = spawnSync('unshare', ['-Ur', 'true']).status === 0
    assert.ok(other)
    const { stdout } = shell(
      `mkfifo up; unshare -Ur sh -c 'echo up > up; exec sleep 1000' & read up < up; echo '{"preset":"system","namespaces":{"user":{"pid":'$!'}}}' > joined.json; vial run --policy joined.json -- true 2>&1; kill $!; rm up`,
    )
    assert.match(
      stdout,
      /Invalid argument\n +identity\.uid or identity\.gid has no meaning in the sandbox's user namespace/,
    )
  })
})

describe('a filter that lets nothing be started', () => {
  const refused = /^seccomp: refuses execve, .*: no command could be started on /
  for (const [name, seccomp] of [
    ['refuses all', { defaultAction: 'SCMP_ACT_ERRNO' }],
    ['kills for all', { defaultAction: 'SCMP_ACT_KILL_PROCESS', syscalls: [] }],
    [
      'refuses just that',
      { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['execve'], action: 'SCMP_ACT_ERRNO' }] },
    ],
  ] as const)
    test(name, () => assert.match(faultOf({ seccomp } as never), refused))

  test('one that allows it, for some arguments or for all', () => {
    const names = ['execve', 'exit_group', 'read']
    assert.equal(
      faultOf({
        seccomp: { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ names, action: 'SCMP_ACT_ALLOW' }] },
      } as never),
      '',
    )
    const args = [{ index: 0, value: 7, op: 'SCMP_CMP_EQ' }]
    assert.equal(
      faultOf({
        seccomp: { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names, action: 'SCMP_ACT_ERRNO', args }] },
      } as never),
      '',
    )
    for (const profile of ['default', 'strict', 'nested', 'none'] as const)
      assert.equal(faultOf({ seccomp: profile }), '')
    assert.ok(sandbox({}).explain().steps.length > 0)
  })
})
