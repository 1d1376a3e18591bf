/** The authorities that programs of this host trust. */
import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'
import { hostStore } from '../fill/authorities.js'

const certificates = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** openssl(1), SSL_CERT_FILE, or what the distribution has; without one, those that Node.js brings. */
function ofHost(): readonly string[] {
  const file = process.env.SSL_CERT_FILE ?? hostStore()
  const found = file === undefined ? [] : certificatesOf(file)
  return found.length === 0 ? rootCertificates : found
}

/** Each as PEM; those of the host, of NODE_EXTRA_CA_CERTS, and these. */
export function trustedOutside(more = ''): string[] {
  const extra = process.env.NODE_EXTRA_CA_CERTS
  return [...ofHost(), ...(extra === undefined ? [] : certificatesOf(extra)), ...(more.match(certificates) ?? [])]
}

/** What a sandbox trusts, as one file: its own, and those of this host, for connections that are not opened. */
export const trustedInside = (own: string): string => `${own}${ofHost().join('\n')}\n`

function certificatesOf(file: string): readonly string[] {
  try {
    return readFileSync(file, 'latin1').match(certificates) ?? []
  } catch {
    return []
  }
}
