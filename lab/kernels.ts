/** The kernels of the lab, Debian's, and what one needs to know to boot each. */
import type { Architecture } from '../src/kernel/architecture.js'

export interface Kernel {
  /** As in the table. */
  readonly name: string
  readonly architecture: Architecture
  readonly suite: 'bookworm' | 'trixie'
  /** Its meta package, which depends on the newest of its line. */
  readonly package: string
}

/** Cloud kernels: the same source as Debian's others, with few drivers. The first is the one of the short form. */
export const kernels: readonly Kernel[] = [
  { name: '6.12 x86-64', architecture: 'x64', suite: 'trixie', package: 'linux-image-cloud-amd64' },
  { name: '6.1 x86-64', architecture: 'x64', suite: 'bookworm', package: 'linux-image-cloud-amd64' },
  { name: '6.12 arm64', architecture: 'arm64', suite: 'trixie', package: 'linux-image-cloud-arm64' },
  { name: '6.1 arm64', architecture: 'arm64', suite: 'bookworm', package: 'linux-image-cloud-arm64' },
]

/** Those that have all words of one of these in their names: `6.1` is no word of 6.12. All, if none is given. */
export function kernelsOf(given: readonly string[]): readonly Kernel[] {
  const has = (name: string, text: string) => text.split(' ').every((word) => name.split(' ').includes(word))
  return kernels.filter(({ name }) => given.length === 0 || given.some((text) => has(name, text)))
}

/** In the order in which they are loaded; a kernel that has one built in has no such file. */
export const modules = [
  'virtio',
  'virtio_ring',
  'virtio_pci_legacy_dev',
  'virtio_pci_modern_dev',
  'virtio_pci',
  'virtio_blk',
  'virtio_console',
  'overlay',
  'binfmt_misc',
] as const

/** Not loaded: one that an attack may load. */
export const spareModule = 'dummy'

/** What Debian calls them. */
export const debianNames: Readonly<Record<Architecture, string>> = { x64: 'amd64', arm64: 'arm64' }
