/** What the filesystem of bwrap(1) looks like. */
import type { Style } from '../plan/style.js'

export const bwrapStyle: Style = {
  mqueue: {},
  dev: { nosuid: true, nodev: true },
  deviceNode: { nosuid: true },
  overlay: {},
  userAttributes: true,
  shm: 'directory',
  devSize: [],
  procReadonly: ['sys', 'sysrq-trigger', 'irq', 'bus'],
  guarded: false,
  followsLinks: true,
  closesParents: true,
  propagation: 'slave',
  keepsMode: true,
  remount: { readonly: true, nosuid: true, nodev: true },
  stacksRoots: true,
  namesSources: true,
}
