import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { compile } from '../../src/compile/compile.js'
import { compilePlan } from '../../src/compile/compilePlan.js'
import type { Policy } from '../../src/index.js'
import type { Plan } from '../../src/plan/plan.js'
import type { Step } from '../../src/plan/step.js'
import { notInstalled } from '../support/needs.js'
import { withSteps } from '../support/plans.js'
import { ordinary, runAs, workDirectory } from '../support/user.js'
import { attempts, isRootOutside, modes, sharing } from './attempts.js'

const settings = ['sys/kernel/core_pattern', 'sys/vm/overcommit_memory', 'irq/default_smp_affinity', 'sysrq-trigger']
const secrets = ['kcore', 'kpageflags', 'kpagecount', 'kmsg', 'timer_list', 'slabinfo', 'vmallocinfo']
/** Every user may read these, of the whole machine or of the caller; not all kernels have all. */
const readable = ['interrupts', 'keys', 'latency_stats', 'sched_debug']

for (const mode of modes) {
  const { caller, policy } = mode
  const withProc = (proc: object): Policy => ({ ...policy, filesystem: [{ proc: '/proc', ...proc }] })

  describe(`the kernel's own files, by ${mode.name}`, { skip: notInstalled('python3') }, () => {
    const there = (names: string[]) => names.filter((name) => existsSync(`/proc/${name}`))
    const opens = Object.fromEntries(there(settings).map((name) => [name, `writable('/proc/${name}')`]))

    test('no setting of the kernel can be opened for writing', () => {
      for (const shared of [policy, sharing(policy, { pid: 'host' })])
        for (const [name, answer] of Object.entries(attempts(caller, shared, opens)))
          assert.ok(['EROFS', 'EACCES', 'EPERM'].includes(String(answer)), `${name}: ${answer}`)
    })

    test('which root outside could, without the cover', {
      skip: !isRootOutside(mode) && 'this payload is not root outside',
    }, () => {
      const answers = attempts(caller, withProc({ masked: false }), opens)
      assert.equal(answers['sys/kernel/core_pattern'], 'done')
    })

    test('what only root reads is not to be read', () => {
      const lines = Object.fromEntries(there(secrets).map((name) => [name, `read('/proc/${name}')`]))
      for (const [name, answer] of Object.entries(attempts(caller, policy, lines)))
        assert.ok(['', 'EACCES', 'EPERM'].includes(String(answer)), `${name}: ${answer}`)
    })

    test('what every user reads of the machine is not to be read', () => {
      const lines = Object.fromEntries(there(readable).map((name) => [name, `read('/proc/${name}')`]))
      assert.ok('keys' in lines && 'interrupts' in lines)
      for (const shared of [policy, sharing(policy, { pid: 'host' })])
        for (const [name, answer] of Object.entries(attempts(caller, shared, lines))) assert.equal(answer, '', name)
      for (const [name, answer] of Object.entries(attempts(caller, withProc({ masked: false }), lines)))
        assert.notEqual(answer, '', name)
      const firmware = { listed: "os.listdir('/sys/firmware')" }
      assert.deepEqual(attempts(caller, { ...policy, filesystem: [{ sysfs: '/sys' }] }, firmware).listed, [])
    })

    test('no /proc can be mounted that is not covered', () => {
      const lines = {
        inside: `inChild(lambda: (unshare(NEWUSER | NEWNS | NEWPID), inChild(lambda: call('mount', b'proc', b'/tmp', b'proc', 0, 0))))`,
      }
      const { inside } = attempts(caller, { ...policy, landlock: 'off' }, lines)
      assert.equal(inside, 'EPERM')
      assert.equal(attempts(caller, policy, lines).inside, 'EPERM')
    })

    test('a payload that is to mount, or has CAP_SYS_ADMIN there, may not be root outside', {
      skip: policy.namespaces?.user === 'host' && 'there is no user namespace in root mode',
    }, () => {
      const answer = runAs(caller, { ...policy, capabilities: ['CAP_SYS_ADMIN'] }, 'true')
      if (caller.uid === 0) assert.match(answer.error ?? '', /cannot leave \/proc uncovered .*\n.*ordinary user/)
      else assert.equal(answer.exitCode, 0, answer.error)
    })

    test('/proc can be of processes only, and hide others', () => {
      assert.deepEqual(
        attempts(caller, withProc({ subset: 'pid' }), {
          sys: "os.stat('/proc/sys')",
          cpu: "os.stat('/proc/cpuinfo')",
          self: "os.stat('/proc/self/status')",
        }),
        { sys: 'ENOENT', cpu: 'ENOENT', self: 'done' },
      )
      const init = { init: "os.stat('/proc/1')", self: "os.stat('/proc/self/status')" }
      assert.deepEqual(attempts(caller, withProc({ hidepid: 'ptraceable' }), init), { init: 'ENOENT', self: 'done' })
      assert.deepEqual(attempts(caller, policy, init), { init: 'done', self: 'done' })
    })

    test('/sys is read-only, and shows no other network', () => {
      const shown: Policy = { ...policy, filesystem: [{ sysfs: '/sys' }] }
      const lines = {
        kernel: "os.listdir('/sys/kernel') and 'shown'",
        net: "sorted(os.listdir('/sys/class/net'))",
        firmware: "os.listdir('/sys/firmware') or 'empty'",
        write: "writable('/sys/kernel/mm/transparent_hugepage/enabled')",
        uevent: "writable('/sys/kernel/uevent_helper') if os.path.exists('/sys/kernel/uevent_helper') else 'EROFS'",
      }
      const { firmware, write, ...rest } = attempts(caller, shown, lines)
      assert.equal(rest.kernel, 'shown')
      assert.deepEqual(
        (rest.net as string[]).filter(
          (name) => name !== 'bonding_masters' && !/^(tunl|sit|ip6|gre|erspan|tun|ip_vti)/.test(name),
        ),
        ['lo'],
      )
      if (isRootOutside(mode) || policy.namespaces?.user === 'host') assert.equal(firmware, 'empty')
      assert.ok(['EROFS', 'EACCES'].includes(String(write)), String(write))
      const host = attempts(caller, { ...shown, network: 'host' }, lines)
      assert.ok(['EROFS', 'EACCES'].includes(String(host.write)), String(host.write))
    })

    test("the host's device nodes keep their mode, and no others can be made", () => {
      const before = statSync('/dev/null').mode & 0o7777
      const lines = {
        chmod: `os.chmod('/dev/null', ${before})`,
        times: "os.utime('/dev/null')",
        write: "os.write(os.open('/dev/null', os.O_WRONLY), b'x')",
        random: "len(os.urandom(4)) + len(os.read(os.open('/dev/zero', 0), 4))",
        node: "call('mknodat', -100, b'/tmp/node', 0o20666, 0x0103)",
        nodeInDev: "call('mknodat', -100, b'/dev/node', 0o20666, 0x0103)",
        disk: "call('mknodat', -100, b'/tmp/disk', 0o60666, 0x0800)",
      }
      const answers = attempts(caller, policy, lines)
      assert.deepEqual([answers.chmod, answers.times], ['EROFS', 'EROFS'])
      assert.deepEqual([answers.write, answers.random], [1, 8])
      for (const name of ['node', 'nodeInDev', 'disk'] as const)
        assert.ok(['EPERM', 'EACCES'].includes(String(answers[name])), `${name}: ${answers[name]}`)
      if (isRootOutside(mode)) {
        const loose: Policy = {
          ...policy,
          filesystem: [{ bind: '/loose', from: '/dev/null', writable: true, devices: true }],
        }
        assert.equal(attempts(caller, loose, { chmod: `os.chmod('/loose', ${before})` }).chmod, 'done')
      }
    })

    test('every mount but the device nodes and terminals is nodev, and nosuid', () => {
      const { stdout } = runAs(caller, policy, 'cat', ['/proc/self/mountinfo'])
      const mounts = stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' '))
      assert.ok(mounts.length > 10)
      for (const [, , , , place, flags] of mounts) {
        assert.ok(flags!.split(',').includes('nosuid'), place)
        if (
          !/^\/dev\/(null|zero|full|random|urandom|tty|console|pts)$/.test(place!) &&
          !/^\/proc\/(?!sys)/.test(place!)
        )
          assert.ok(flags!.split(',').includes('nodev'), place)
      }
    })
  })
}

test('what tells of each processor is covered for each of them', () => {
  const processors = readdirSync('/sys/devices/system/cpu').filter((name) => /^cpu\d+$/.test(name))
  const { plan } = compile({ preset: 'system', filesystem: [{ sysfs: '/sys' }] })
  assert.deepEqual(
    plan.world.init.flatMap((step) => (step.do === 'guard' ? step.eachCpu : [])),
    ['thermal_throttle'],
  )
  // Few machines have it: another directory stands for it.
  const instead = withSteps(plan, (step) => [step.do === 'guard' ? aim(step) : step])
  const list = (plan: Plan) => {
    const vial = join(workDirectory(ordinary, 'processors'), 'vial')
    writeFileSync(vial, compilePlan(plan).bytes, { mode: 0o755 })
    const { stdout, stderr } = spawnSync(vial, ['sh', '-c', 'ls /sys/devices/system/cpu/cpu*/topology'], {
      encoding: 'utf8',
    })
    assert.equal(stderr, '')
    return stdout.split('\n').filter((line) => line !== '')
  }
  assert.ok(list(plan).includes('core_id'))
  assert.equal(list(instead).filter((line) => line.endsWith('/topology:')).length, processors.length)
  assert.ok(!list(instead).includes('core_id'))
})

const aim = (step: Step<'guard'>) => ({ ...step, eachCpu: step.eachCpu.map(() => 'topology') })
