/**
 * The certificate authority of one sandbox: its certificate is trusted inside, and its key never leaves this process. It signs for the servers that
 * TLS of the sandbox is opened for.
 */
import { type KeyObject, randomBytes } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { addressText } from '../policy/ipAddress.js'
import type { Wanted } from '../policy/networkRules.js'
import { authorityCertificate, type Issuer, newKeys, serverCertificate } from './certificate.js'

/** Hosts whose contexts are kept: some 30 KB each. */
const mostKept = 256

export class Authority {
  /** As PEM. */
  readonly certificate: string
  readonly #issuer: Issuer
  /** Of all servers, made for the first: one who has it reaches nothing but the sandbox. */
  #server: { readonly publicKey: KeyObject; readonly pem: string } | undefined
  readonly #contexts = new Map<string, SecureContext>()

  constructor() {
    // Clients tell authorities apart by their names.
    this.#issuer = { name: `vial sandbox ${randomBytes(8).toString('hex')}`, ...newKeys() }
    this.certificate = authorityCertificate(this.#issuer)
  }

  /** What a server of this host needs for TLS. */
  contextOf({ name, address }: Pick<Wanted, 'name' | 'address'>): SecureContext {
    const host = name === undefined ? { address: addressText(address!) } : { name }
    const key = host.name ?? host.address!
    let context = this.#contexts.get(key)
    if (context === undefined) {
      if (this.#contexts.size >= mostKept) this.#contexts.clear()
      const { publicKey, pem } = this.#keys()
      context = createSecureContext({ key: pem, cert: serverCertificate(this.#issuer, publicKey, host) })
      this.#contexts.set(key, context)
    }
    return context
  }

  #keys() {
    if (this.#server === undefined) {
      const { publicKey, privateKey } = newKeys()
      this.#server = { publicKey, pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
    }
    return this.#server
  }
}
