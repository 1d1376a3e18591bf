/** What a guest is booted from: a kernel, an initramfs that finds the disks, and a disk with this repository. */
import { chmodSync, copyFileSync, cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Apt } from './apt.js'
import { cached } from './cache.js'
import { type Kernel, modules, spareModule } from './kernels.js'
import { call } from './shell.js'
import { makeImage } from './userland.js'

/** A directory with `vmlinuz`, and `modules`, unpacked. */
export function fetchKernel(kernel: Kernel, say: (text: string) => void): Promise<string> {
  const name = `kernel-${kernel.name.replace(' ', '-')}`
  return cached(name, { ...kernel, modules, spareModule }, async (directory) => {
    say('fetching the kernel')
    mkdirSync(join(directory, 'modules'), { recursive: true })
    const work = join(directory, 'work')
    const apt = await Apt.open(kernel.suite, kernel.architecture, join(work, 'apt'))
    const root = join(work, 'root')
    await call('dpkg-deb', ['-x', await apt.behind(kernel.package), root])
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    copyFileSync(join(root, files.find((path) => path.startsWith('boot/vmlinuz-'))!), join(directory, 'vmlinuz'))
    for (const file of files) {
      const [name, compressed] = /^(\w+)\.ko(\.xz)?$/.exec(basename(file).replaceAll('-', '_')) ? parts(file) : []
      if (name === undefined || ![...modules, spareModule].includes(name as never)) continue
      const target = join(directory, 'modules', `${name}.ko`)
      copyFileSync(join(root, file), compressed ? `${target}.xz` : target)
      if (compressed) await call('xz', ['-d', `${target}.xz`])
    }
    rmSync(work, { recursive: true })
  })
}

/** `virtio_blk.ko.xz` is a module, compressed. */
function parts(file: string): [string, boolean] {
  const [name] = basename(file).split('.ko')
  return [name!.replaceAll('-', '_'), file.endsWith('.xz')]
}

/** Mounts the disks, lays the lab's own files over the system, and starts what the kernel's command line names. */
const init = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
mount -t proc proc /proc
for name in ${modules.join(' ')}; do [ -f /modules/$name.ko ] && insmod /modules/$name.ko; done
i=0
# A machine with much else to do takes more than ten seconds.
while [ ! -b /dev/vdb ] && [ $i -lt 1200 ]; do sleep 0.1; i=$((i+1)); done
mount -t ext4 /dev/vda /root && mount -t ext4 /dev/vdb /root/vial || poweroff -f
cp -a /over/. /root/
mkdir -p /root/lab && cp /modules/${spareModule}.ko /root/lab/
start=$(sed -n 's/.*lab\\.init=\\([^ ]*\\).*/\\1/p' /proc/cmdline)
umount /proc
exec switch_root /root "$start"
`

/** Files of the guest's root that are the lab's own, by path: see guest/. */
export type Overlay = Readonly<Record<string, { readonly text: string; readonly mode?: number }>>

export async function makeInitramfs(kernel: string, busybox: string, over: Overlay, file: string): Promise<void> {
  const directory = `${file}.d`
  for (const name of ['bin', 'dev', 'proc', 'root', 'modules', 'over'])
    mkdirSync(join(directory, name), { recursive: true })
  copyFileSync(busybox, join(directory, 'bin/busybox'))
  chmodSync(join(directory, 'bin/busybox'), 0o755)
  cpSync(join(kernel, 'modules'), join(directory, 'modules'), { recursive: true })
  writeFileSync(join(directory, 'init'), init, { mode: 0o755 })
  for (const [path, { text, mode = 0o644 }] of Object.entries(over)) {
    const target = join(directory, 'over', path)
    mkdirSync(join(target, '..'), { recursive: true })
    writeFileSync(target, text, { mode })
  }
  // Not compressed: unpacking is the guest's work, and it is slow.
  await call('sh', ['-c', 'cd "$1" && find . | cpio --quiet -o -H newc -R 0:0 > "$2"', 'sh', directory, file])
  rmSync(directory, { recursive: true })
}

/** What tests do not load: tools of the author's machine, of its architecture. */
const leftOut = ['@biomejs', '@types', '@anthropic-ai', 'typescript', '.bin']

/** dist, the tests' C sources, and the packages that they load. */
export async function makeRepositoryDisk(repository: string, image: string): Promise<void> {
  const directory = `${image}.d`
  mkdirSync(join(directory, 'node_modules'), { recursive: true })
  for (const name of ['dist', 'test', 'lab/tests', 'package.json', 'docs', 'examples'])
    cpSync(join(repository, name), join(directory, name), { recursive: true, verbatimSymlinks: true })
  for (const name of readdirSync(join(repository, 'node_modules')))
    if (!leftOut.includes(name))
      cpSync(join(repository, 'node_modules', name), join(directory, 'node_modules', name), { recursive: true })
  await makeImage(directory, image, '200M')
  rmSync(directory, { recursive: true })
}
