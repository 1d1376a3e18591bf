/** Each namespace is new, shared or joined, as the policy says; and what belongs to it is the sandbox's own. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { childrenOf } from '../support/processes.js'
import { type Caller, callers, ordinary, root, vial, workDirectory } from '../support/user.js'

const system: Policy = { preset: 'system' }
const isRoot = process.getuid?.() === 0

const files = {
  user: 'user',
  mount: 'mnt',
  pid: 'pid',
  net: 'net',
  ipc: 'ipc',
  uts: 'uts',
  cgroup: 'cgroup',
  time: 'time',
}
type Name = keyof typeof files
const names = Object.keys(files) as Name[]
const listAll = `for n in ${Object.values(files).join(' ')}; do readlink /proc/self/ns/$n; done`
const ofProcess = (pid: number | 'self') => Object.values(files).map((file) => readlinkSync(`/proc/${pid}/ns/${file}`))

interface Answer {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number | null
  readonly error?: string
}

/** Runs commands of the shell in sandboxes, all of them by one Node process. */
function shells(caller: Caller, runs: readonly (readonly [Policy, string])[]): Promise<Answer[]> {
  return evaluate(
    caller,
    async ({ sandbox }, runs) => {
      const answers = []
      for (const [policy, script] of runs)
        answers.push(
          await sandbox(policy)
            .run('sh', ['-c', script])
            .catch((error) => ({ stdout: '', stderr: '', exitCode: null, error: error.message as string })),
        )
      return answers
    },
    runs as [Policy, string][],
  )
}

const lines = (text: string) => text.trim().split('\n')

const paths = new Map<string, Promise<string>>()
/** The vial of a policy, compiled once for each caller. */
function compiled(caller: Caller, policy: Policy): Promise<string> {
  const key = JSON.stringify([caller, policy])
  const path = paths.get(key) ?? evaluate(caller, ({ sandbox }, policy) => sandbox(policy).compile(), policy)
  paths.set(key, path)
  return path
}

/** A sandbox that stays until its input ends, and the host's pid of its payload. */
async function standing(caller: Caller, policy: Policy): Promise<{ child: ChildProcess; payload: number }> {
  const path = await compiled(caller, policy)
  const child = spawn(path, ['sh', '-c', 'echo up; read line'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    ...(isRoot ? { uid: caller.uid, gid: caller.gid } : {}),
  })
  await once(child.stdout!, 'data')
  return { child, payload: childrenOf(childrenOf(child.pid!)[0]!)[0]! }
}

async function end(child: ChildProcess): Promise<void> {
  child.stdin!.end()
  await once(child, 'close')
}

for (const caller of callers) {
  describe(`namespaces, by ${caller.name}`, () => {
    test('each is new, and two sandboxes share none', async () => {
      const [one, other] = [await standing(caller, system), await standing(caller, system)]
      const all = ['self', one.payload, other.payload].flatMap((pid) => ofProcess(pid as number))
      assert.equal(new Set(all).size, 3 * names.length, all.join('\n'))
      await end(one.child)
      await end(other.child)
    })

    test('each is shared alone, and the others stay new', async () => {
      const shareable = names.filter((name) => name !== 'user' && name !== 'mount')
      const answers = await shells(
        caller,
        shareable.map((name) => [{ ...system, namespaces: { [name]: 'host' } }, listAll] as const),
      )
      const host = ofProcess('self')
      answers.forEach(({ stdout, error, stderr }, index) => {
        const shared = lines(stdout).flatMap((link, at) => (link === host[at] ? [names[at]] : []))
        assert.deepEqual(shared, [shareable[index]], error ?? stderr)
      })
    })

    test('the mount namespace is shared', async () => {
      const [shared] = await shells(caller, [[{ namespaces: { mount: 'host', pid: 'host' } }, listAll]])
      const host = ofProcess('self')
      const same = lines(shared!.stdout).flatMap((link, at) => (link === host[at] ? [names[at]] : []))
      assert.deepEqual(same, ['mount', 'pid'], shared!.error ?? shared!.stderr)
    })

    test('all of a running sandbox are joined, by pid and by path', async () => {
      const { child, payload } = await standing(caller, { ...system, hostname: 'joined' })
      try {
        const its = ofProcess(payload)
        const by = (reference: (name: Name) => { pid: number } | { path: string }): Policy => ({
          namespaces: Object.fromEntries(names.map((name) => [name, reference(name)])),
          env: { set: { PATH: '/usr/bin:/bin' } },
        })
        const script = `${listAll}; uname -n; id -u; grep -c . /etc/hostname`
        const answers = await shells(caller, [
          [by(() => ({ pid: payload })), script],
          [by((name) => ({ path: `/proc/${payload}/ns/${files[name]}` })), script],
        ])
        for (const { stdout, error, stderr } of answers)
          assert.deepEqual(lines(stdout), [...its, 'joined', '1000', '1'], error ?? stderr)
      } finally {
        await end(child)
      }
    })

    test('some of a running sandbox are joined, with a root of its own', async () => {
      const { child, payload } = await standing(caller, { ...system, hostname: 'joined' })
      try {
        const its = ofProcess(payload)
        const some = ['user', 'net', 'uts', 'ipc', 'time'] as const
        const policy: Policy = {
          ...system,
          filesystem: [
            { tmpfs: '/scratch' },
            { directory: '/made' },
            { overlay: '/over', lower: ['/usr/share'], upper: 'tmpfs' },
          ],
          namespaces: Object.fromEntries(some.map((name) => [name, { pid: payload }])),
        }
        const [answer] = await shells(caller, [
          [policy, `${listAll}; uname -n; id -u; echo > /scratch/file && echo > /over/new && ls /over/new; echo $$`],
        ])
        const seen = lines(answer!.stdout)
        const same = names.filter((_, index) => seen[index] === its[index])
        assert.deepEqual(same.sort(), [...some].sort(), answer!.error ?? answer!.stderr)
        assert.deepEqual(seen.slice(names.length), ['joined', '1000', '/over/new', '2'], answer!.stderr)
      } finally {
        await end(child)
      }
    })

    test('a namespace that cannot be joined is a clear error', async () => {
      const answers = await shells(caller, [
        [{ ...system, namespaces: { user: 'host', time: 'host', net: { pid: 4_000_000 } } }, ':'],
        [{ ...system, namespaces: { user: 'host', time: 'host', ipc: { path: '/etc/hostname' } } }, ':'],
        [{ ...system, namespaces: { user: 'host', time: 'host', uts: { path: '/proc/self/ns/net' } } }, ':'],
      ])
      assert.match(
        answers[0]!.error!,
        /^cannot join the net namespace \/proc\/4000000\/ns\/net: No such file.*\n +no such/,
      )
      for (const { error } of answers.slice(1))
        assert.match(error!, /^cannot join the (ipc|uts) namespace .*: Invalid argument\n +\S/)
    })

    test('both clocks have their offsets, also negative ones', { skip: notInstalled('python3') }, async () => {
      const clocks = `import time
print(int(time.clock_gettime(time.CLOCK_BOOTTIME)), int(time.clock_gettime(time.CLOCK_MONOTONIC)), int(float(open('/proc/uptime').read().split()[0])))`
      const offsets = [{ boottime: 5_000_000, monotonic: 3_000_000 }, { boottime: 7_000_000 }, { monotonic: -5 }, {}]
      const answers = await shells(
        caller,
        offsets.map((time) => [{ ...system, namespaces: { time } }, `python3 -c "${clocks}"`] as const),
      )
      const uptime = Number(readFileSync('/proc/uptime', 'utf8').split('.')[0])
      answers.forEach(({ stdout, error, stderr }, index) => {
        const { boottime = 0, monotonic = 0 } = offsets[index] as { boottime?: number; monotonic?: number }
        const [boot, mono, shown] = stdout.split(' ').map(Number) as [number, number, number]
        // What the host's clocks say is less than an hour off, and the offsets are millions of seconds.
        for (const [seen, offset] of [
          [boot, boottime],
          [mono, monotonic],
          [shown, boottime],
        ] as const)
          assert.ok(Math.abs(seen - offset - uptime) < 3600, `${stdout}${error ?? stderr}`)
      })
      const [impossible] = await shells(caller, [
        [{ ...system, namespaces: { time: { boottime: -2_000_000_000 } } }, ':'],
      ])
      assert.match(impossible!.error!, /^cannot make a time namespace: Numerical result out of range\n +\S/)
    })

    test('host and domain name', { skip: notInstalled('python3') }, async () => {
      const domain = 'print(open("/proc/sys/kernel/domainname").read().strip())'
      const [named, unnamed] = await shells(caller, [
        [
          { ...system, hostname: 'h'.repeat(64), domainname: 'example.org' },
          `uname -n; python3 -c '${domain}'; cat /etc/hostname; tail -c 70 /etc/hosts`,
        ],
        [system, `uname -n; hostname x; uname -n`],
      ])
      assert.deepEqual(lines(named!.stdout).slice(0, 3), ['h'.repeat(64), 'example.org', 'h'.repeat(64)], named!.stderr)
      assert.deepEqual(lines(unnamed!.stdout), ['vial', 'vial'])
    })

    test('pid 1 is a reaper, or the payload', async () => {
      const script =
        'echo $$; cat /proc/1/comm 2>/dev/null | wc -l; grep -c ^PPid:.1 /proc/self/status; echo /proc/[0-9]* | wc -w'
      const [reaper, payload, shared] = await shells(caller, [
        [system, script],
        [{ ...system, init: 'payload' }, script],
        [{ ...system, namespaces: { pid: 'host' } }, 'echo $$; echo /proc/[0-9]* | wc -w'],
      ])
      assert.deepEqual(lines(reaper!.stdout).slice(0, 2), ['2', '1'])
      assert.deepEqual(lines(payload!.stdout).slice(0, 3), ['1', '1', '1'], payload!.stderr)
      const [pid, processes] = lines(shared!.stdout).map(Number)
      assert.ok(pid! > 2 && processes! > 3, shared!.stderr)
    })

    test('one id is mapped, 0 if that is asked for', async () => {
      const script =
        'id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map; cat /proc/self/setgroups; stat -c "%u %g" /etc/passwd /usr/bin/env; chown 5 /tmp || echo refused'
      const [own, zero] = await shells(caller, [
        [{ ...system, identity: { uid: 4_294_967_294, gid: 7 } }, script],
        [{ ...system, identity: { uid: 0, gid: 0 } }, script],
      ])
      const expected = (uid: number, gid: number) => [
        `${uid}`,
        `${gid}`,
        `${uid} ${caller.uid} 1`,
        `${gid} ${caller.gid} 1`,
        'deny',
        `${uid} ${gid}`,
        caller.uid === 0 ? `${uid} ${gid}` : '65534 65534',
        'refused',
      ]
      const tidy = (text: string) => lines(text).map((line) => line.trim().replace(/ +/g, ' '))
      assert.deepEqual(tidy(own!.stdout), expected(4_294_967_294, 7), own!.error ?? own!.stderr)
      assert.deepEqual(tidy(zero!.stdout), expected(0, 0), zero!.error ?? zero!.stderr)
    })

    test('the cgroup of the sandbox is the root of what it sees', async () => {
      const [fresh, shared] = await shells(caller, [
        [system, 'cat /proc/self/cgroup'],
        [{ ...system, namespaces: { cgroup: 'host' } }, 'cat /proc/self/cgroup'],
      ])
      for (const line of lines(fresh!.stdout)) assert.match(line, /:\/$/)
      assert.deepEqual(lines(shared!.stdout).sort(), lines(readFileSync('/proc/self/cgroup', 'utf8')).sort())
    })

    test("the network has a loopback only, or is the host's", async () => {
      const connect = "bash -c 'exec 3<>/dev/tcp/127.0.0.1/9' 2>&1 | grep -q refused && echo refused"
      const [none, host] = await shells(caller, [
        [system, `sed 1,2d /proc/net/dev | cut -d: -f1 | tr -d ' '; sed 1d /proc/net/route | wc -l; ${connect}`],
        [{ ...system, network: 'host' }, 'readlink /proc/self/ns/net'],
      ])
      assert.equal(none!.stdout, 'lo\n0\nrefused\n', none!.stderr)
      assert.equal(host!.stdout.trim(), readlinkSync('/proc/self/ns/net'))
    })

    test('a vial in a vial in a vial', async () => {
      const directory = workDirectory(caller, 'nested')
      const keep = async (name: string, policy: Policy) => {
        const path = await compiled(caller, policy)
        writeFileSync(join(directory, name), readFileSync(path), { mode: 0o755 })
        return { bind: `/opt/${name}`, from: join(directory, name) }
      }
      // Root's /proc is covered, and no other can then be mounted inside: it says so, and masked: false leaves it open.
      const nesting: Policy = { ...system, seccomp: 'nested', filesystem: [{ proc: '/proc', masked: false }] }
      const inner = await keep('inner', system)
      const middle = await keep('middle', { ...nesting, filesystem: [...nesting.filesystem!, { bind: '/opt/inner' }] })
      const user = 'readlink /proc/self/ns/user'
      const innermost = `${user}; echo $$; set -- /proc/[0-9]*; echo $#; exit 7`
      const [answer] = await shells(caller, [
        [
          { ...nesting, filesystem: [...nesting.filesystem!, inner, middle] },
          `${user}; /opt/middle sh -c '${user}; exec /opt/inner sh -c "${innermost.replaceAll('$', '\\$')}"'; echo $?`,
        ],
      ])
      const seen = lines(answer!.stdout)
      assert.equal(new Set(seen.slice(0, 3)).size, 3, answer!.error ?? answer!.stderr)
      assert.deepEqual(seen.slice(3), ['2', '2', '7'], answer!.stderr)
    })
  })
}

describe('ids of the host', { skip: isRoot ? false : 'needs root' }, () => {
  const ids = 'cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g; id -G; cat /proc/self/setgroups'
  const tidy = (text: string) => lines(text).map((line) => line.trim().replace(/ +/g, ' '))

  test('subordinate ids, by newuidmap(1) of an ordinary user', async () => {
    // In a mount namespace of its own, where the accounts of the host are covered.
    const directory = workDirectory(root, 'accounts')
    writeFileSync(
      join(directory, 'passwd'),
      `root:x:0:0::/root:/bin/sh\nmapped:x:${ordinary.uid}:${ordinary.gid}::/:/bin/sh\n`,
    )
    for (const name of ['subuid', 'subgid'])
      writeFileSync(join(directory, name), 'mapped:200000:1000\nmapped:300000:500\n')
    const covered = ['passwd', 'subuid', 'subgid']
      .map((name) => `mount --bind ${directory}/${name} /etc/${name}`)
      .join(' && ')
    const drop = `exec setpriv --reuid ${ordinary.uid} --regid ${ordinary.gid} --clear-groups "$@"`
    const wrapper = ['unshare', '-m', 'sh', '-c', `${covered} && ${drop}`, 'sh']
    const policy: Policy = {
      ...system,
      identity: { uid: 10, gid: 1200, ranges: 'subids' },
      capabilities: ['CAP_CHOWN', 'CAP_SETUID', 'CAP_SETGID'],
    }
    const chown =
      "touch /tmp/f && chown 1:2 /tmp/f && stat -c '%u %g' /tmp/f; python3 -c 'import os; os.setgroups([3]); os.setuid(1499); print(os.getuid())'"
    const run = (policy: Policy, script: string) =>
      evaluate(
        ordinary,
        async ({ sandbox }, { policy, script }) => sandbox(policy).run('sh', ['-c', script]),
        { policy, script },
        { wrapper },
      )
    const { stdout, stderr } = await run(policy, `${ids}; ${chown}`)
    assert.deepEqual(
      tidy(stdout),
      [
        ...[`10 ${ordinary.uid} 1`, '0 200000 10', '11 200010 990', '1001 300000 500'],
        ...[`1200 ${ordinary.uid} 1`, '0 200000 1000', '1000 300000 200', '1201 300200 300'],
        ...['10', '1200', '1200', 'allow', '1 2', '1499'],
      ],
      stderr,
    )
    const asRoot = await run({ ...policy, identity: { uid: 0, gid: 0, ranges: 'subids' } }, 'cat /proc/self/uid_map')
    assert.deepEqual(tidy(asRoot.stdout), [`0 ${ordinary.uid} 1`, '1 200000 1000', '1001 300000 500'], asRoot.stderr)
  })

  const ranged =
    existsSync('/etc/subuid') &&
    new RegExp(`^(ordinary|${ordinary.uid}):`, 'm').test(readFileSync('/etc/subuid', 'utf8'))
  test('without a range there is a clear error', { skip: ranged && 'the user has one here' }, async () => {
    const [answer] = await shells(ordinary, [[{ ...system, identity: { ranges: 'subids' } }, ids]])
    assert.match(
      answer!.error!,
      new RegExp(`^identity\\.ranges: ${ordinary.uid} has no range in /etc/subuid; add one with: usermod `),
    )
  })

  test("ranges of one's own, by root, whatever /etc/subuid says", async () => {
    const ranges = {
      uids: [{ inside: 0, outside: 700_000, count: 100 }],
      gids: [{ inside: 5, outside: 800_000, count: 7 }],
    }
    const policy: Policy = { ...system, identity: { uid: 1000, gid: 1000, ranges }, namespaces: { pid: 'new' } }
    const [answer] = await shells(root, [[policy, ids]])
    assert.deepEqual(
      tidy(answer!.stdout),
      ['1000 0 1', '0 700000 100', '1000 0 1', '5 800000 7', '1000', '1000', '1000', 'allow'],
      answer!.error ?? answer!.stderr,
    )
  })

  test('by an ordinary user they are refused, and the reason is told', async () => {
    const ranges = { uids: [{ inside: 0, outside: 0, count: 1 }], gids: [] }
    const [answer] = await shells(ordinary, [[{ ...system, identity: { ranges } }, ids]])
    assert.match(answer!.error!, /^cannot make a user namespace: Operation not permitted\n +\S.*\/etc\/subuid/)
  })

  test('root mode: no user namespace, and another user', async () => {
    const policy: Policy = { ...system, namespaces: { user: 'host' } }
    const [nobody, chosen, kept] = await shells(root, [
      [
        policy,
        `${listAll}; ${ids}; echo x > /tmp/f && echo x > $HOME/f && stat -c '%u %g' /tmp/f $HOME; grep -c 'Cap.*:.0*$' /proc/self/status`,
      ],
      [{ ...policy, identity: { uid: 4321, gid: 8765 } }, 'id -u; id -g; id -G; echo > /etc/x; cat /etc/shadow'],
      [
        { ...policy, identity: { uid: 0, gid: 0 }, capabilities: ['CAP_CHOWN'] },
        'touch /tmp/f; chown 9 /tmp/f && stat -c %u /tmp/f; echo 1 > /proc/sys/vm/drop_caches || echo readonly',
      ],
    ])
    const seen = tidy(nobody!.stdout)
    assert.equal(seen[0], readlinkSync('/proc/self/ns/user'), nobody!.error ?? nobody!.stderr)
    assert.deepEqual(
      seen.slice(names.length),
      ['0 0 4294967295', '0 0 4294967295', '65534', '65534', '65534', 'allow', '65534 65534', '65534 65534', '5'],
      nobody!.stderr,
    )
    assert.equal(chosen!.stdout, '4321\n8765\n8765\n')
    assert.equal(kept!.stdout, '9\nreadonly\n', kept!.stderr)
  })

  test('root mode by an ordinary user is a clear error', async () => {
    const [answer] = await shells(ordinary, [[{ ...system, namespaces: { user: 'host' } }, ':']])
    assert.match(answer!.error!, /^cannot .*: Operation not permitted\n +.*root/)
  })

  test('where user namespaces are forbidden, the error says what forbids them', async () => {
    const path = await compiled(ordinary, system)
    const forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" true'
    const { stderr, status } = spawnSync('unshare', ['--user', '--map-root-user', 'sh', '-c', forbid, path], {
      encoding: 'utf8',
      uid: ordinary.uid,
      gid: ordinary.gid,
    })
    assert.equal(status, 125)
    assert.match(
      stderr,
      /^vial: cannot make a user namespace: No space left on device\n +the limit user\.max_user_namespaces is used up\n$/,
    )
  })

  test('by the command', () => {
    const { stdout, stderr } = vial(root, [
      'run',
      '--root',
      '--uid',
      '7',
      '--',
      'sh',
      '-c',
      'id -u; readlink /proc/self/ns/user',
    ])
    assert.equal(stdout, `7\n${readlinkSync('/proc/self/ns/user')}\n`, stderr)
  })
})
