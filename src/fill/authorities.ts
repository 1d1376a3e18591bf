/** Where programs find the certificates of the authorities that they trust. */
import { join } from 'node:path'
import { opensTls } from '../policy/networkSecrets.js'
import type { FillEntry } from './entry.js'
import { existsSync, realpathSync } from './look.js'

/** Files of all of them, as distributions have them: golang's crypto/x509, root_linux.go, lists the same. */
const stores = [
  // Debian, Arch, Gentoo, Alpine.
  '/etc/ssl/certs/ca-certificates.crt',
  // Fedora, RHEL and their kin.
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/pki/tls/certs/ca-bundle.crt',
  // openSUSE.
  '/etc/ssl/ca-bundle.pem',
  // Alpine without its package; OpenSSL's own.
  '/etc/ssl/cert.pem',
]

/** Where it is in a sandbox that has none. */
const elsewhere = '/tmp/authorities.pem'

/** That of the host, as it is named; undefined: it has none. */
export const hostStore = (): string | undefined => stores.find((file) => existsSync(file))

/**
 * What a sandbox whose TLS is opened has in the place of its own, so that programs find it where they look.
 * @param roots the directories that its root shows, the first on top
 */
export function authoritiesFile(policy: { readonly network?: unknown }, roots: readonly string[]): FillEntry[] {
  if (!opensTls(policy.network)) return []
  const found = stores.flatMap((file) => roots.flatMap((root) => realpathWithin(root, file)))
  return [{ file: found[0] ?? elsewhere, authorities: true, mount: 'readonly' }]
}

/** The path that a file of this root has there; one that a link leads to from there, of another root, is not sought. */
function realpathWithin(root: string, file: string): string[] {
  try {
    const real = realpathSync(join(root, file))
    if (root === '/') return [real]
    return real.startsWith(`${realpathSync(root)}/`) ? [real.slice(realpathSync(root).length)] : []
  } catch {
    return []
  }
}
