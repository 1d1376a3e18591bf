/** What `vial explain` tells besides the steps: what is seen, what is shared, and what this host could not do. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type Explanation, type Policy, sandbox } from '../../src/index.js'
import { user, vial, workDirectory } from '../support/user.js'

const caller = user
const cwd = workDirectory(caller, 'explained')
const explain = (...args: string[]) => {
  const { stdout, stderr, status } = vial(caller, ['explain', ...args], { cwd, env: { VIAL_CGROUP: '/nonexistent' } })
  assert.deepEqual([status, stderr], [0, ''])
  return stdout
}
const paragraph = (text: string, start: RegExp) =>
  text.split('\n\n').filter((_, index, all) => start.test(all[index - 1] ?? ''))[0] ?? ''
const viewOf = (filesystem: Policy['filesystem'], rest: Policy = {}) =>
  sandbox({ ...rest, filesystem } as never)
    .explain()
    .view!.map(({ place, shows, access }) => `${place} ${access ?? '-'} ${shows}`)

describe('explain', () => {
  test('needs no cgroup for a policy with limits, and says what a run would say', () => {
    const text = explain('--memory', '64M', '--pids', '9')
    assert.match(text, /\nvial run would fail here: cannot enforce --memory, --pids: VIAL_CGROUP is \/nonexistent\n/)
    assert.match(text, /enter a cgroup|start in .*cgroup|cgroup/)
    const { limits } = JSON.parse(explain('--memory', '64M', '--json')) as Explanation
    assert.match(limits!, /^cannot enforce --memory: /)
    assert.equal(sandbox({}).explain().limits, undefined)
    assert.ok(
      vial(caller, ['explain', '--security', '--memory', '64M'], { cwd, env: { VIAL_CGROUP: '/nonexistent' } })
        .status === 0,
    )
  })

  test('takes the command of the run', () => {
    const text = explain('--preset', 'empty', '--', 'ls', '-l', 'a b')
    assert.match(text, /\n +\d+\. run ls -l 'a b' +execve/)
    writeFileSync(join(cwd, 'p.json'), '{ "hostname": "one" }')
    assert.match(explain('p.json', '--', 'ls'), /set the host name one[\s\S]*\. run ls +execve/)
    assert.match(vial(caller, ['explain', 'p.json', 'ls'], { cwd }).stderr, /"ls" is one word too many/)
  })

  test('tells what is seen, as a tree', () => {
    writeFileSync(
      join(cwd, 'q.json'),
      JSON.stringify({
        filesystem: [
          { bind: '/usr' },
          { symlink: '/bin', to: 'usr/bin' },
          { bind: '/data-1', from: '/etc' },
          { bind: '/data', from: '.', writable: true },
          { tmpfs: '/data/x', size: '1M' },
          { file: '/etc/motd', content: '' },
        ],
      }),
    )
    assert.equal(
      explain('q.json').split('The command sees:\n\n')[1]!.split('\n\n')[0],
      [
        '      /         read-only  an empty root',
        '        bin                a link to usr/bin',
        `        data    writable   ${cwd} of the host`,
        '          x     writable   a directory in memory (1M)',
        '        data-1  read-only  /etc of the host',
        '        etc',
        '          motd             a file of the policy',
        '        usr     read-only  /usr of the host',
      ].join('\n'),
    )
  })

  test('the tree has what is on top', () => {
    assert.deepEqual(viewOf([{ tmpfs: '/a' }, { bind: '/a/b', from: '/etc' }, { readonly: '/a' }, { proc: '/proc' }]), [
      '/ read-only an empty root',
      '/a read-only a directory in memory',
      '/a/b read-only /etc of the host',
      '/proc - processes, and what the kernel tells of itself',
    ])
    assert.deepEqual(viewOf([{ bind: '/', writable: true }]), ['/ writable / of the host'])
    assert.deepEqual(viewOf([{ bind: '/x', from: '/nope', optional: true }], { root: { writable: true } }), [
      '/ writable an empty root',
      '/x read-only /nope of the host, if it is there',
    ])
    assert.equal(sandbox({ namespaces: { mount: 'host' } }).explain().view, undefined)
  })

  test('tells what is shared with the host', () => {
    const shared = (policy: Policy) =>
      sandbox(policy as never)
        .explain()
        .shared.join('\n')
    const least = shared({})
    assert.match(least, /kernel/)
    assert.match(least, /standard input, output and error/)
    for (const [policy, word] of [
      [{ network: 'host' }, /network/],
      [{ namespaces: { net: 'host' } }, /network/],
      [{ namespaces: { pid: 'host' } }, /processes/],
      [{ namespaces: { ipc: 'host' } }, /message queues/],
      [{ namespaces: { uts: 'host' } }, /host name/],
      [{ namespaces: { cgroup: 'host' } }, /control group/],
      [{ namespaces: { time: 'host' } }, /uptime/],
      [{ namespaces: { mount: 'host' } }, /all files/],
      [{ namespaces: { user: 'host', net: { pid: 1 } } }, /network.*\/proc\/1\/ns/],
      [{ session: 'host' }, /terminal/],
      [{ env: { inherit: true } }, /environment/],
      [{ filesystem: [{ bind: '/data', writable: true }] }, /\/data/],
    ] as [Policy, RegExp][]) {
      assert.match(shared(policy), word)
      assert.doesNotMatch(least, word)
    }
    assert.match(paragraph(explain('--network', 'host'), /^The command shares with the host:/), /network/)
  })

  test('steps that differ in their place alone are told together', () => {
    const places = ['bin', 'lib', 'share', 'include', 'libexec', 'sbin', 'games', 'src']
    const policy: Policy = { filesystem: places.map((name) => ({ bind: `/given/${name}`, from: '/usr' })) }
    const text = explain(...places.flatMap((name) => ['--ro', `/usr:/given/${name}`]))
    const lines = text.split('\n')
    const [first, last] = [
      lines.findIndex((line) => line.includes('. bind /usr on /given/')),
      lines.findLastIndex((line) => line.includes('. bind /usr on /given/')),
    ]
    assert.equal(last - first, places.length - 1, text)
    assert.match(lines[last + 1]!, /^ +shown read-only/)
    // None is left out.
    const binds = sandbox(policy)
      .explain()
      .steps.filter(({ what }) => what.startsWith('bind /usr on '))
    assert.equal(binds.length, places.length)
    for (const { what } of binds) assert.ok(text.includes(`. ${what}`), what)
  })

  test('no step has the calls of what is done between steps', () => {
    const { steps } = sandbox({ hostname: 'elsewhere' }).explain()
    const calls = (what: RegExp) => steps.find((step) => what.test(step.what))!.syscalls
    assert.deepEqual(calls(/^tie the sandbox/), ['getppid', 'prctl', 'exit_group'])
    assert.ok(!calls(/^make the namespaces/).some((name) => ['wait4', 'rt_sigtimedwait', 'ppoll'].includes(name)))
    assert.ok(!calls(/^run/).includes('exit_group'))
    assert.ok(!calls(/^start the payload/).includes('wait4'))
    const waits = steps.filter(({ syscalls }) => syscalls.includes('wait4'))
    assert.deepEqual(
      waits.map(({ process }) => process),
      ['monitor', 'init'],
    )
    const all = new Set(steps.flatMap(({ syscalls }) => syscalls))
    for (const name of ['pidfd_open', 'rt_sigprocmask', 'clone', 'kill'] as const) assert.ok(all.has(name), name)
  })
})
