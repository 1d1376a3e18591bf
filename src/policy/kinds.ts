/** The kinds of entries of `filesystem`: the key that an entry has one of. Apart from their schemas, which take long to load. */
export const mountKindNames = [
  'bind',
  'tmpfs',
  'proc',
  'sysfs',
  'dev',
  'mqueue',
  'directory',
  'symlink',
  'file',
  'overlay',
  'readonly',
  'chmod',
] as const
export type MountKind = (typeof mountKindNames)[number]
