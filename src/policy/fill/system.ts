import type { FillEntry } from './entry.js'
import { glob, View } from './view.js'

/** Links to folders of /usr where the host has merged the two, folders of their own elsewhere: see file-hierarchy(7). */
const ROOT_FOLDERS = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32']

/** What programs read of /etc that tells nothing of the host's users, network or secrets. */
const SETTINGS = [
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'alternatives',
  'ssl/certs',
  'ssl/openssl.cnf',
  'ca-certificates',
  'ca-certificates.conf',
  'pki',
  'crypto-policies',
  'localtime',
  'timezone',
  'locale.alias',
  'locale.conf',
  'terminfo',
  'nsswitch.conf',
  'java*',
  'perl',
  'fonts',
  'services',
  'protocols',
  'mime.types',
  'login.defs',
]

/**
 * The host's programs and libraries, read-only: /usr, the folders beside it as links where the host has links
 * (file-hierarchy(7)), and of /etc what is the same on every host of this system. What a link of these leads to is visible.
 */
export function systemEntries(): FillEntry[] {
  const view = new View()
  for (const folder of ['/usr', ...ROOT_FOLDERS]) view.reach(folder)
  for (const name of SETTINGS) {
    for (const file of glob(`/etc/${name}`)) view.reach(file)
  }
  return view.entries()
}
