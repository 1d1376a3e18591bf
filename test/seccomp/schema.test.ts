import assert from 'node:assert/strict'
import test from 'node:test'
import { compile } from '../../src/compile/compile.js'
import { checkPolicy, PolicyError } from '../../src/index.js'

const faultsOf = (policy: unknown): string => {
  try {
    checkPolicy(policy)
    return ''
  } catch (error) {
    assert.ok(error instanceof PolicyError)
    return error.faults.join('\n')
  }
}
const typed = (rule: object) =>
  faultsOf({ seccomp: { default: 'allow', rules: [{ calls: ['read'], do: 'kill', ...rule }] } })
const oci = (profile: object, call: object = {}) =>
  faultsOf({
    seccomp: {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['read'], action: 'SCMP_ACT_LOG', ...call }],
      ...profile,
    },
  })

test('a filter that the kernel cannot take is a fault of the policy', () => {
  const syscalls = Array.from({ length: 5000 }, (_, value) => ({
    names: ['ioctl'],
    action: 'SCMP_ACT_ERRNO' as const,
    args: [{ index: 1, op: 'SCMP_CMP_EQ' as const, value }],
  }))
  const compileSome = (count: number) =>
    compile({ seccomp: { defaultAction: 'SCMP_ACT_ALLOW', syscalls: syscalls.slice(0, count) } })
  assert.throws(
    () => compileSome(5000),
    (error) =>
      error instanceof PolicyError &&
      error.message.startsWith('seccomp: more rules than fit into the 4096 instructions'),
  )
  assert.doesNotThrow(() => compileSome(1000))
})

test('faults of a profile are named with their path', () => {
  assert.match(faultsOf({ seccomp: 'open' }), /^seccomp: must be one of default, strict, nested, none/)
  assert.match(typed({ calls: ['read', 'raed'] }), /^seccomp\.rules\[0\]\.calls\[1\]: is not a system call/)
  assert.match(typed({ calls: [] }), /^seccomp\.rules\[0\]\.calls: names no system call/)
  assert.match(typed({ do: { errno: 'ENOPE' } }), /^seccomp\.rules\[0\]\.do/)
  assert.match(typed({ when: [{ arg: 6, eq: 0 }] }), /^seccomp\.rules\[0\]\.when\[0\]\.arg: must be the number/)
  assert.match(typed({ when: [{ arg: 1 }] }), /^seccomp\.rules\[0\]\.when\[0\]: needs one of the keys eq/)
  assert.match(
    typed({ when: [{ arg: 1, eq: 1, ne: 2 }] }),
    /^seccomp\.rules\[0\]\.when\[0\]: has "eq" and "ne": a test has/,
  )
  assert.match(
    typed({ when: [{ arg: 1, mask: 1, eq: 2 }] }),
    /^seccomp\.rules\[0\]\.when\[0\]: has a value with bits outside/,
  )
  assert.match(
    typed({ when: [{ arg: 1, eq: 2 ** 53 }] }),
    /^seccomp\.rules\[0\]\.when\[0\]\.eq: must be a whole number/,
  )
  assert.match(typed({ when: [{ arg: 1, eq: -1 }] }), /^seccomp\.rules\[0\]\.when\[0\]\.eq: must be a whole number/)
  assert.match(typed({ wehn: [] }), /^seccomp\.rules\[0\]\.wehn: is not a known key/)
})

test('so are those of a profile in Docker’s format', () => {
  assert.equal(oci({}), '')
  assert.equal(
    oci({}, { names: ['no_such_call'], args: null, includes: {}, comment: '' }),
    '',
    'unknown names are skipped',
  )
  assert.match(oci({ listenerPath: '/run/agent' }), /^seccomp\.listenerPath: needs an agent/)
  assert.match(
    oci({}, { action: 'SCMP_ACT_NOTIFY' }),
    /^seccomp\.syscalls\[0\]\.action: SCMP_ACT_NOTIFY needs an agent/,
  )
  assert.match(oci({}, { action: 'SCMP_ACT_FOO' }), /^seccomp\.syscalls\[0\]\.action: must be one of/)
  assert.match(oci({}, { errnoRet: 1 }), /^seccomp\.syscalls\[0\]\.errnoRet: goes only with/)
  assert.match(oci({}, { action: 'SCMP_ACT_ERRNO', errnoRet: 5000 }), /^seccomp\.syscalls\[0\]\.errnoRet: must be/)
  assert.match(oci({ architectures: ['SCMP_ARCH_NONE'] }), /^seccomp\.architectures\[0\]: is not an architecture/)
  assert.match(oci({ flags: ['SECCOMP_FILTER_FLAG_NEW_LISTENER'] }), /^seccomp\.flags\[0\]: must be one of/)
  assert.match(oci({}, { args: [{ index: 0, op: 'SCMP_CMP_XX', value: 0 }] }), /^seccomp\.syscalls\[0\]\.args\[0\]\.op/)
  assert.match(oci({}, { names: undefined }), /^seccomp\.syscalls\[0\]: names no system call/)
  assert.match(
    oci({ architectures: ['SCMP_ARCH_X86'], archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: [] }] }),
    /^seccomp: has both architectures and archMap/,
  )
})

test('a terminal of the caller needs a filter that keeps the payload from typing', () => {
  const fault = /^seccomp: must refuse the ioctls TIOCSTI and TIOCLINUX/
  assert.equal(faultsOf({ session: 'host' }), '')
  assert.equal(faultsOf({ session: 'host', seccomp: 'nested' }), '')
  assert.equal(faultsOf({ seccomp: 'none' }), '')
  assert.match(faultsOf({ session: 'host', seccomp: 'none' }), fault)
  const own = (when: object) => ({
    default: 'allow',
    rules: [{ calls: ['ioctl'], when: [when], do: { errno: 'EPERM' } }],
  })
  assert.match(
    faultsOf({ session: 'host', seccomp: own({ arg: 1, in: [0x5412, 0x541c] }) }),
    fault,
    'the upper half is free',
  )
  assert.equal(faultsOf({ session: 'host', seccomp: own({ arg: 1, mask: 0xffffffff, in: [0x5412, 0x541c] }) }), '')
})
