/** A sandbox with the host's network finds hosts as the host does, wherever its /etc/resolv.conf lies. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { notRoot } from '../support/needs.js'
import { callers, user, vial, workDirectory } from '../support/user.js'

const command = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))

/** What is done to /etc, in a mount namespace of its own, and what the sandbox then reads. */
const hosts: Readonly<Record<string, readonly [string, string]>> = {
  'a plain file': ['echo nameserver 192.0.2.1 > /etc/resolv.conf', 'nameserver 192.0.2.1\n'],
  "systemd-resolved's link into /run": [
    'mkdir -p /run/systemd/resolve && echo nameserver 127.0.0.53 > /run/systemd/resolve/stub-resolv.conf && ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf',
    'nameserver 127.0.0.53\n',
  ],
  "WSL's link beyond both": [
    'mkdir -p /mnt/wsl && echo nameserver 192.0.2.3 > /mnt/wsl/resolv.conf && ln -s /mnt/wsl/resolv.conf /etc/resolv.conf',
    'nameserver 192.0.2.3\n',
  ],
  "NixOS's link to a link": [
    'mkdir -p /etc/static && echo nameserver 192.0.2.4 > /run/one && ln -s /run/one /etc/static/resolv.conf && ln -s static/resolv.conf /etc/resolv.conf',
    'nameserver 192.0.2.4\n',
  ],
  'a link to nothing': ['ln -s /run/nothing /etc/resolv.conf', 'none\n'],
  'no such file': ['true', 'none\n'],
}

for (const caller of callers) {
  describe(`names on the host's network, by ${caller.name}`, { skip: notRoot }, () => {
    for (const [name, [make, expected]] of Object.entries(hosts)) {
      test(name, () => {
        const layers = 'mount -t tmpfs none /mnt && mkdir /mnt/u /mnt/w /mnt/run'
        const cover = `${layers} && mount -t overlay -o lowerdir=/etc,upperdir=/mnt/u,workdir=/mnt/w none /etc && mount --bind /mnt/run /run && rm -f /etc/resolv.conf`
        const names = 'echo 192.0.2.9 only-here > /etc/hosts'
        const become = caller.uid === 0 ? '' : `setpriv --reuid ${caller.uid} --regid ${caller.gid} --clear-groups`
        const look =
          'cat /etc/resolv.conf 2>/dev/null || echo none; grep -c only-here /etc/hosts; grep -c vial /etc/hosts'
        const { stdout, stderr } = spawnSync(
          'unshare',
          [
            ...['-m', 'sh', '-c', `${cover} && ${make} && ${names} && exec ${become} "$@"`, 'sh'],
            ...[process.execPath, command, 'run', '--network', 'host', '--', 'sh', '-c', look],
          ],
          { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: workDirectory(caller, 'home') } },
        )
        assert.equal(stdout, `${expected}1\n1\n`, stderr)
      })
    }
  })
}

test('without the network of the host, nothing of it is shown', () => {
  const { stdout } = vial(user, ['run', '--', 'sh', '-c', 'cat /etc/resolv.conf 2>/dev/null || echo none'])
  assert.equal(stdout, 'none\n')
})
