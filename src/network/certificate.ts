/** Certificates of X.509, RFC 5280, that are signed here: by keys of NIST's P-256, which every TLS of the last ten years takes. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509'

/** RFC 5758, 3.2. */
const ecdsaWithSha256 = '1.2.840.10045.4.3.2'
/** RFC 4519, 2.3. */
const commonName = '2.5.4.3'

const day = 86_400_000
/** A clock that is behind, on either side. */
const before = day
/** Some clients take no certificate that is valid for longer than 825 days: Apple, "Requirements for trusted certificates". */
const validity = 800 * day

/** Who signs, and with what. */
export interface Issuer {
  readonly name: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** A key pair. */
export const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** The certificate of an authority, signed by itself, as PEM. */
export const authorityCertificate = (issuer: Issuer): string =>
  certificate(issuer, issuer.publicKey, nameOf(issuer.name), [
    // No authority below it.
    extension(id_ce_basicConstraints, new BasicConstraints({ cA: true, pathLenConstraint: 0 }), true),
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign), true),
  ])

/**
 * The certificate of a server, as PEM.
 * @param host a name, or the text of an address
 */
export const serverCertificate = (
  issuer: Issuer,
  publicKey: KeyObject,
  host: { readonly name?: string | undefined; readonly address?: string | undefined },
): string =>
  certificate(issuer, publicKey, new Name(), [
    extension(id_ce_basicConstraints, new BasicConstraints({ cA: false }), true),
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature), true),
    extension(id_ce_extKeyUsage, new ExtendedKeyUsage([id_kp_serverAuth])),
    extension(
      id_ce_authorityKeyIdentifier,
      new AuthorityKeyIdentifier({ keyIdentifier: identifier(issuer.publicKey) }),
    ),
    // Critical, where the subject is empty: RFC 5280, 4.2.1.6.
    extension(
      id_ce_subjectAltName,
      new SubjectAlternativeName([
        new GeneralName(host.name === undefined ? { iPAddress: host.address! } : { dNSName: host.name }),
      ]),
      true,
    ),
  ])

function certificate(issuer: Issuer, publicKey: KeyObject, subject: Name, extensions: readonly Extension[]): string {
  const now = Date.now()
  const algorithm = new AlgorithmIdentifier({ algorithm: ecdsaWithSha256 })
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature: algorithm,
    issuer: nameOf(issuer.name),
    validity: new Validity({ notBefore: new Date(now - before), notAfter: new Date(now + validity) }),
    subject,
    subjectPublicKeyInfo: AsnConvert.parse(spki(publicKey), SubjectPublicKeyInfo),
    extensions: new Extensions([
      ...extensions,
      extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyHash(publicKey))),
    ]),
  })
  const signed = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    // Node.js signs as RFC 3279, 2.2.3 has it: a sequence of two integers.
    signatureValue: arrayOf(sign('sha256', Buffer.from(AsnConvert.serialize(tbsCertificate)), issuer.privateKey)),
  })
  const text = Buffer.from(AsnConvert.serialize(signed)).toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${text.replaceAll(/.{64}(?!$)/g, '$&\n')}\n-----END CERTIFICATE-----\n`
}

const extension = (extnID: string, value: object, critical = false) =>
  new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) })

const nameOf = (text: string) =>
  new Name([
    new RelativeDistinguishedName([
      new AttributeTypeAndValue({ type: commonName, value: new AttributeValue({ utf8String: text }) }),
    ]),
  ])

/** RFC 5280, 4.1.2.2: positive, and of at most 20 bytes. */
function serialNumber(): ArrayBuffer {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return arrayOf(bytes)
}

const spki = (key: KeyObject) => key.export({ type: 'spki', format: 'der' })
/** RFC 7093, 2: any hash that tells keys apart. */
const keyHash = (key: KeyObject) => arrayOf(createHash('sha256').update(spki(key)).digest().subarray(0, 20))
const identifier = (key: KeyObject) => new KeyIdentifier(keyHash(key))

const arrayOf = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer as ArrayBuffer
