/** What the preset `system` shows of the host. It is looked for by name: nothing walks /usr, for every run waits for this. */
import { isUnmapped } from '../policy/unmapped.js'
import type { FillEntry } from './entry.js'
import { ROOT_DIRECTORIES } from './own.js'
import { globIn, names, View } from './view.js'

/**
 * What packages alone write: programs, and what they lead to. Every user runs what is in it, so all users can read it.
 */
export const PROGRAMS = [
  ...['/usr', ...ROOT_DIRECTORIES],
  // Links from /usr to /usr: update-alternatives(1).
  '/etc/alternatives',
  // NixOS and Guix have a store in place of /usr, and links to the system and to a profile of all its users.
  ...['/nix/store', '/run/current-system', '/nix/var/nix/profiles/default'],
  ...['/gnu/store', '/var/guix/profiles/system'],
  // Where links of both lead from /etc into the store.
  '/etc/static',
  // What packages make when they are installed, and a link of /usr leads to, or would be made anew for each process.
  ...['/var/lib/ghc', '/var/lib/ghostscript', '/var/lib/texmf', '/var/lib/aspell', '/var/cache/fontconfig'],
]

/**
 * What they read of /etc, as patterns; links of /usr lead to some of it. It is what a distribution put there, alike on each of its
 * hosts. What administrators fill with addresses and passwords is left out: settings of package managers, of services, of
 * proxies, and the environment.
 */
const SETTINGS = [
  // ld.so(8).
  ...['ld.so.cache', 'ld.so.conf', 'ld.so.conf.d', 'ld-musl-*.path'],
  // The C library: nsswitch.conf(5), services(5), protocols(5), tzset(3), locale(5).
  ...['nsswitch.conf', 'services', 'protocols', 'localtime', 'timezone', 'locale.alias', 'locale.conf', 'login.defs'],
  // Which system this is: os-release(5) and its predecessors.
  ...['os-release', 'lsb-release', 'debian_version', 'redhat-release', 'alpine-release'],
  // Certificates that are trusted, never keys: /etc/ssl and /etc/pki have a directory `private` beside these.
  ...['ssl/certs', 'ssl/cert.pem', 'ssl/openssl.cnf', 'ca-certificates', 'ca-certificates.conf', 'crypto-policies'],
  ...['pki/ca-trust', 'pki/java', 'pki/tls/certs', 'pki/tls/cert.pem', 'pki/tls/openssl.cnf'],
  // Interpreters and compilers; of PHP what its command reads, and not what its services do.
  ...['java*', 'perl', 'R', 'mono', 'groovy', 'ocamlfind.conf', 'ocamlfind.conf.d', 'fpc*.cfg'],
  ...['php/*/cli', 'php/*/mods-available', 'php*/php.ini', 'php*/conf.d', 'php.ini', 'php.d'],
  ...['maven/m2.conf', 'maven/logging'],
  // Terminals, fonts, documents, pictures, dictionaries.
  ...['terminfo', 'fonts', 'mime.types', 'nginx/mime.types', 'X11/rgb.txt', 'ImageMagick-*', 'OpenCL', 'xml'],
  ...['texmf', 'groff', 'manpath.config', 'man_db.conf', 'dictionaries-common'],
]

/**
 * The host's programs and libraries, read-only, and what they read of its settings. What a link of these leads to is visible. Of
 * settings that others could not read, nothing is shown to root either, which could, and its payload with it; nor is what another user
 * than root and the caller could exchange.
 */
export function systemEntries(): FillEntry[] {
  const caller = process.geteuid!()
  const isRoot = caller === 0
  // A store is a user's own where Nix was installed for that one alone: it would choose what of the others' is shown.
  const view = new View((uid) => uid === 0 || uid === caller || isUnmapped(uid))
  for (const place of PROGRAMS) view.reach(place)
  // One listing of a directory costs less than to ask for each name that most hosts lack.
  const there = new Set(names('/etc'))
  const settings = SETTINGS.filter((one) => one.includes('*') || there.has(one.split('/')[0]!))
  for (const file of globIn('/etc', settings)) {
    if (isRoot) view.reachOpen(file)
    else view.reach(file)
  }
  return view.entries()
}
