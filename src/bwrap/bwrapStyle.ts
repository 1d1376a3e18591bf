/** What the filesystem of bwrap(1) looks like, and what bwrap says when a part of it cannot be made. */

import type { Complaints, Style } from '../plan/style.js'
import type { FilesystemEntry } from '../policy/schema.js'

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
  cutOffFails: 'Failed to make / slave',
  complaints,
}

function complaints(entry: FilesystemEntry): Complaints {
  const at = placeIn(entry)
  const newroot = `/newroot/${at.replace(/^\/+/, '')}`
  const parents = `Can't mkdir parents for ${at}`
  const points = [`Can't create file at ${at}`, `Can't mkdir ${at}`] as const
  if ('bind' in entry) {
    const from = entry.from ?? `/proc/self/fd/${entry.fd}`
    const source = `Can't find source path ${from}`
    return { parents, own: [source, `Can't bind mount /oldroot${from} on ${newroot}`, ...points] }
  }
  if ('overlay' in entry)
    return {
      parents,
      own: [`Can't find source path ${entry.lower[0]}`, `Can't make overlay mount on ${newroot}`, ...points],
    }
  if ('symlink' in entry) {
    const own = `Can't make symlink at ${at}`
    return {
      parents,
      own: [
        own,
        { EEXIST: `${own}: destination exists and is not a symlink` },
        { EEXIST: `${own}: existing destination is ` },
      ],
    }
  }
  if ('directory' in entry) return { parents, own: `Can't mkdir ${at}` }
  if ('chmod' in entry) return { parents, own: `Can't chmod ${octal(entry.mode)} ${at}` }
  if ('readonly' in entry)
    return {
      parents,
      own: [
        `Can't remount readonly on ${newroot}: realpath(destination)`,
        {
          EINVAL: `Can't remount readonly on ${newroot}: Unable to find "${newroot}" in mount table`,
          EPERM: `Can't remount readonly on ${newroot}: Operation not permitted`,
        },
      ],
    }
  if ('file' in entry) {
    if (entry.mount === undefined)
      return { parents, own: [`Can't create file ${at}`, `Can't write data to file ${at}`] }
    return { parents, own: [`Can't write data to file ${at}`, `Can't bind mount on ${newroot}`, ...points] }
  }
  const type = 'tmpfs' in entry ? 'tmpfs' : 'proc' in entry ? 'proc' : 'mqueue' in entry ? 'mqueue' : 'dev'
  const own = `Can't mount ${type === 'dev' ? 'tmpfs' : type} on ${newroot}`
  return { parents, own: [own, own, ...points] }
}

const placeIn = (entry: FilesystemEntry): string => Object.values(entry)[0] as string

const octal = (mode: number | string) => (Number(mode) === 0 ? '0' : `0${Number(mode).toString(8)}`)
