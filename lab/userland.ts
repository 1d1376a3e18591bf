/** A Debian system as an image, of packages that are unpacked and never configured: no maintainer script is run. */
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Architecture } from '../src/kernel/architecture.js'
import { Apt } from './apt.js'
import { cached } from './cache.js'
import { call } from './shell.js'

const suite = 'trixie'
/** What the tests call; the first is apt's word for the base of the system. */
const packages = [
  '?essential',
  'systemd-sysv',
  'dbus',
  'dbus-user-session',
  'udev',
  'libstdc++6',
  'libatomic1',
  'busybox-static',
  'python3',
  'iproute2',
  'procps',
  'libcap2-bin',
  'kmod',
  'gcc',
  'libc6-dev',
  'uidmap',
  'redis-server',
  'nginx',
  'postgresql',
] as const

/**
 * Node's own build, from the package that carries its executable: Debian's starts five times as slowly under TCG, for it
 * is a shared library to be relocated, without the snapshot of what each start does.
 */
const node = {
  version: '20.20.2',
  package: 'node-linux-',
  sha512: {
    x64: 'PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==',
    arm64: 'LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg==',
  },
} as const

const accounts = {
  'etc/passwd': [
    'root:x:0:0:root:/root:/bin/bash',
    'messagebus:x:100:100::/nonexistent:/usr/sbin/nologin',
    'ordinary:x:12345:12345::/home/ordinary:/bin/bash',
    'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin',
  ],
  'etc/group': [
    'root:x:0:',
    'tty:x:5:',
    'disk:x:6:',
    'kmem:x:15:',
    'shadow:x:42:',
    'utmp:x:43:',
    'messagebus:x:100:',
    'ordinary:x:12345:',
    'nogroup:x:65534:',
  ],
  'etc/subuid': ['ordinary:100000:65536'],
  'etc/subgid': ['ordinary:100000:65536'],
  'etc/hostname': ['vial-lab'],
  'etc/hosts': ['127.0.0.1 localhost vial-lab'],
  // systemd makes it at the first boot otherwise, and asks questions.
  'etc/machine-id': ['0123456789abcdef0123456789abcdef'],
} as const

export interface Userland {
  readonly image: string
  /** A static one, for the initramfs. */
  readonly busybox: string
}

/** The image of an architecture, made at the first call. */
export async function userland(architecture: Architecture, say: (text: string) => void): Promise<Userland> {
  const ingredients = { suite, packages, node, accounts }
  const directory = await cached(`userland-${architecture}`, ingredients, async (directory) => {
    const work = mkdtempSync(join(tmpdir(), 'vial-lab-'))
    try {
      say(`fetching Debian ${suite} for ${architecture}`)
      const apt = await Apt.open(suite, architecture, join(work, 'apt'))
      const files = await apt.closure(packages)
      say(`unpacking ${files.length} packages`)
      const root = join(work, 'root')
      await unpack(files, root)
      await addNode(architecture, root, work)
      mkdirSync(directory)
      cpSync(join(root, 'usr/bin/busybox'), join(directory, 'busybox'))
      await makeImage(root, join(directory, 'image'), '1400M')
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  })
  return { image: join(directory, 'image'), busybox: join(directory, 'busybox') }
}

async function unpack(files: readonly string[], root: string): Promise<void> {
  mkdirSync(root)
  // Its /bin, /lib and /sbin are links into /usr, and have to be there before others fill them.
  const first = files.filter((file) => basename(file).startsWith('base-files_'))
  for (const file of [...first, ...files.filter((one) => !first.includes(one))])
    await call('dpkg-deb', ['-x', file, root])
  for (const unneeded of ['usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/share/info', 'usr/include/c++'])
    rmSync(join(root, unneeded), { recursive: true, force: true })
  for (const [path, lines] of Object.entries(accounts)) writeFileSync(join(root, path), `${lines.join('\n')}\n`)
  // What Debian's alternatives would make.
  await call('ln', ['-sf', 'mawk', join(root, 'usr/bin/awk')])
  await call('mkdir', ['-p', join(root, 'home/ordinary'), join(root, 'vial')])
  await call('chown', ['12345:12345', join(root, 'home/ordinary')])
}

async function addNode(architecture: Architecture, root: string, work: string): Promise<void> {
  const packed = (
    await call('npm', ['pack', '--silent', `${node.package}${architecture}@${node.version}`], work)
  ).trim()
  const sum = createHash('sha512')
    .update(readFileSync(join(work, packed)))
    .digest('base64')
  if (sum !== node.sha512[architecture]) throw new Error(`${packed} is not the file that the lab knows`)
  await call('tar', ['-xzf', packed, 'package/bin/node'], work)
  await call('install', ['-D', join(work, 'package/bin/node'), join(root, 'usr/local/bin/node')])
}

/** mke2fs(8): without a journal, since what a guest writes is not kept. */
export async function makeImage(directory: string, image: string, size: string): Promise<void> {
  await call('mke2fs', ['-q', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-d', directory, image, size])
}
