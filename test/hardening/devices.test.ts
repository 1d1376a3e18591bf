/**
 * In root mode a payload that keeps CAP_MKNOD makes nodes that are the host's devices: wherever it can make one, the
 * mount has to be nodev, and stay so. The device is null's, 1:3, which does no harm.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { root, workDirectory } from '../support/user.js'
import { attempts } from './attempts.js'

const options = process.getuid?.() === 0 ? {} : { skip: 'needs root' }

/** Makes a character device, and writes to it. */
const use = (directory: string) =>
  `(call('mknodat', -100, b'${directory}/node', 0o20666, 0x0103), os.write(os.open('${directory}/node', os.O_WRONLY), b'x'))[1]`
const block = (directory: string) => `call('mknodat', -100, b'${directory}/disk', 0o60666, 0x7f00)`
/** The same again once the mount has lost its nodev, by each of the ways that there are: mount(2), mount_setattr(2). */
const remount = (directory: string) => `call('mount', b'none', b'${directory}', b'', 0x1020, 0)`
const setattr = (directory: string) =>
  `call('mount_setattr', -100, b'${directory}', 0x8000, ctypes.create_string_buffer(struct.pack('QQQQ', 0, 4, 0, 0)), 32)`

const places = [
  '/tmp',
  '/dev',
  '/dev/shm',
  '/dev/pts',
  '/dev/mqueue',
  '/data',
  '/changed',
  '/layers',
  '/scratch',
  '/run',
]

const policyOf = (directory: string): Policy => ({
  preset: 'system',
  namespaces: { user: 'host' },
  identity: { uid: 0, gid: 0 },
  capabilities: ['CAP_MKNOD'],
  root: { writable: true },
  filesystem: [
    { bind: '/data', from: join(directory, 'data'), writable: true },
    { tmpfs: '/scratch' },
    { mqueue: '/dev/mqueue' },
    { overlay: '/changed', lower: [join(directory, 'lower')], upper: 'tmpfs' },
    {
      overlay: '/layers',
      lower: [join(directory, 'lower')],
      upper: { upper: join(directory, 'upper'), work: join(directory, 'work') },
    },
  ],
})

describe('devices in root mode, with CAP_MKNOD', options, () => {
  const fresh = (name: string) => {
    const directory = workDirectory(root, name)
    for (const part of ['data', 'lower', 'upper', 'work']) {
      rmSync(join(directory, part), { recursive: true, force: true })
      mkdirSync(join(directory, part))
    }
    return directory
  }
  const lines = {
    ...Object.fromEntries(places.map((place) => [place, use(place)])),
    ...Object.fromEntries(places.map((place) => [`disk ${place}`, block(place)])),
  }

  test('Landlock lets no node be made at all', () => {
    const directory = fresh('landlocked')
    const policy = policyOf(directory)
    for (const seccomp of ['default', 'none'] as const)
      for (const [place, answer] of Object.entries(attempts(root, { ...policy, seccomp }, lines)))
        assert.ok(['EACCES', 'EPERM'].includes(String(answer)), `${place}: ${answer}`)
    assert.ok(!existsSync(join(directory, 'data', 'node')))
    assert.ok(!existsSync(join(directory, 'upper', 'node')))
  })

  test('without it, none works, wherever it is made', () => {
    const policy: Policy = { ...policyOf(fresh('made')), landlock: 'off' }
    for (const [place, answer] of Object.entries(attempts(root, { ...policy, seccomp: 'none' }, lines))) {
      // A block device's node may be made; this one's number belongs to no driver.
      if (place.startsWith('disk')) continue
      assert.ok(['EACCES', 'EPERM'].includes(String(answer)), `${place}: ${answer}`)
    }
    const made = attempts(
      root,
      { ...policyOf(fresh('again')), landlock: 'off', seccomp: 'none' },
      { node: block('/tmp') },
    )
    assert.equal(made.node, 0)
  })

  test('but on a mount that the policy opens to devices', () => {
    const directory = fresh('opened')
    const policy: Policy = {
      ...policyOf(directory),
      landlock: 'off',
      filesystem: [{ bind: '/data', from: join(directory, 'data'), writable: true, devices: true }],
    }
    assert.equal(attempts(root, policy, { data: use('/data') }).data, 1)
  })

  test('no mount loses its nodev, in a user namespace of its own either', () => {
    const directory = fresh('remounted')
    const capable: Policy = { ...policyOf(directory), landlock: 'off', seccomp: 'none' }
    const tries = (wrap: (line: string) => string) =>
      Object.fromEntries(
        // Terminals are devices.
        places
          .filter((place) => place !== '/dev/pts')
          .flatMap((place) => [
            [`remount ${place}`, wrap(remount(place))],
            [`setattr ${place}`, wrap(setattr(place))],
          ]),
      )
    for (const wrap of [
      (line: string) => line,
      (line: string) => `inChild(lambda: (unshare(NEWUSER | NEWNS), ${line}))`,
    ])
      for (const [name, answer] of Object.entries(attempts(root, capable, tries(wrap))))
        assert.ok(['EPERM', 'EINVAL'].includes(String(answer)), `${name}: ${answer}`)
    // What is mounted there is nodev by itself, and no node can be made: mknod(2); no id is mapped there either.
    const inside = attempts(root, capable, {
      own: `inChild(lambda: (unshare(NEWUSER | NEWNS), call('mount', b'none', b'/tmp', b'tmpfs', 0, 0), ${use('/tmp')}))`,
    })
    assert.ok(['EPERM', 'EOVERFLOW'].includes(String(inside.own)), String(inside.own))
  })
})
