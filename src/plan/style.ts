/** How the filesystems of a sandbox are made, where an entry does not say it. */
import type { MountFlags } from './step.js'

export interface Style {
  readonly mqueue: MountFlags
  readonly dev: MountFlags
  readonly deviceNode: MountFlags
  readonly overlay: MountFlags
  /** Layers in a user namespace keep their marks in user.* attributes; or have them there always. */
  readonly userAttributes: boolean
  /** A tmpfs that all users may write, or a plain directory. */
  readonly shm: 'tmpfs' | 'directory'
  readonly devSize: readonly (readonly [string, string])[]
  /** Parts of /proc that become read-only, where they are there and could be written. */
  readonly procReadonly: readonly string[]
  /** Whether a payload that is root outside is kept from the kernel's files, as guards.ts has it. */
  readonly guarded: boolean
  /** Whether a link that others may have made is followed, inside the new root, where something is put on it. */
  readonly followsLinks: boolean
  /** Whether what lies above a place that is closed to others is closed to them too. */
  readonly closesParents: boolean
  readonly propagation: 'private' | 'slave'
  /** A file that is written over keeps its mode. */
  readonly keepsMode: boolean
  /** What becomes of a mount that is made read-only. */
  readonly remount: MountFlags
  /** Whether what is beneath a new root is made all the same: it may fail, and takes its descriptors. */
  readonly stacksRoots: boolean
  /** Whether what is mounted has its type as its source, mountinfo's tenth field. */
  readonly namesSources: boolean
}

/** Of a policy. */
export const vialStyle: Style = {
  mqueue: { nosuid: true, nodev: true, noexec: true },
  dev: { nosuid: true, nodev: true, noexec: true },
  // Read-only: a device can be written all the same, and the host's node keeps its mode and owner.
  deviceNode: { readonly: true, nosuid: true, noexec: true },
  overlay: { nosuid: true, nodev: true },
  userAttributes: false,
  shm: 'tmpfs',
  devSize: [['size', '65536']],
  procReadonly: [],
  guarded: true,
  followsLinks: false,
  closesParents: false,
  propagation: 'private',
  keepsMode: false,
  remount: { readonly: true },
  stacksRoots: false,
  namesSources: false,
}
