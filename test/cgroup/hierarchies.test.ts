import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hierarchies } from '../../src/cgroup/hierarchies.js'

const mountOf = (type: string, root: string, mount: string, options: string) =>
  `31 30 0:28 ${root} ${mount} rw,relatime shared:5 - ${type} ${type} ${options}`

test('v1: each hierarchy by its controllers, however they are joined', () => {
  const mounts = [
    mountOf('tmpfs', '/', '/sys/fs/cgroup', 'rw'),
    mountOf('cgroup', '/', '/sys/fs/cgroup/cpu,cpuacct', 'rw,cpu,cpuacct'),
    mountOf('cgroup', '/', '/sys/fs/cgroup/memory', 'rw,memory'),
    mountOf('cgroup', '/', '/sys/fs/cgroup/systemd', 'rw,name=systemd'),
  ].join('\n')
  const groups = '9:name=systemd:/user:with:colons\n4:memory:/a/b\n1:cpu,cpuacct:/\n0::/\n'
  assert.deepEqual(
    hierarchies(mounts, groups).map(({ version, controllers, own }) => [version, controllers.join(), own]),
    [
      [1, 'cpu,cpuacct', '/sys/fs/cgroup/cpu,cpuacct/'],
      [1, 'memory', '/sys/fs/cgroup/memory/a/b'],
      [1, 'name=systemd', '/sys/fs/cgroup/systemd/user:with:colons'],
    ].map(([version, controllers, own]) => [version, controllers, String(own).replace(/\/$/, '')]),
  )
})

test('v2: where the own group is, also when only a part of the tree is mounted', () => {
  const own = (root: string, mount: string, group: string) =>
    hierarchies(mountOf('cgroup2', root, mount, 'rw'), `0::${group}\n`)[0]?.own
  assert.equal(own('/', '/sys/fs/cgroup', '/user.slice/a.scope'), '/sys/fs/cgroup/user.slice/a.scope')
  assert.equal(own('/', '/sys/fs/cgroup', '/'), '/sys/fs/cgroup')
  assert.equal(own('/docker/1', '/sys/fs/cgroup', '/docker/1'), '/sys/fs/cgroup')
  assert.equal(own('/docker/1', '/sys/fs/cgroup', '/docker/1/inner'), '/sys/fs/cgroup/inner')
  assert.equal(own('/docker/1', '/sys/fs/cgroup', '/docker/12'), undefined)
  // A process that was moved out of its cgroup namespace's root.
  assert.equal(own('/', '/sys/fs/cgroup', '/../other'), undefined)
  assert.equal(own('/', '/a\\040b', '/c'), '/a b/c')
})
