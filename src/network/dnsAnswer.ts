/**
 * The answer to one DNS message. Names that no rule allows get NXDOMAIN: musl takes any code but that, 0 and SERVFAIL for no answer and
 * waits for five seconds (res_msend.c), glibc asks again after REFUSED and says that it is temporary, and Go says that the server
 * misbehaves. After NXDOMAIN each of them, and Java, which asks libc, says at once that there is no such host. Why it is so is told to
 * those who look, by an extended error (RFC 8914), as dig(1) shows it.
 */
import packet from 'dns-packet'
import type { IpAddress } from '../policy/ipAddress.js'
import type { FakeAddresses } from '../policy/networkAddresses.js'
import { isLocalName, normalName } from '../policy/networkNames.js'

/** What is known of a name that was asked for. */
export type NameAnswer =
  | { readonly is: 'known'; readonly addresses: FakeAddresses }
  /** No rule allows it. */
  | { readonly is: 'refused' }
  /** It is allowed, and there is no such name outside. */
  | { readonly is: 'missing' }
  /** It is allowed, and whether there is such a name is not known. */
  | { readonly is: 'failed' }

/** Those who know the names of a sandbox. */
export interface Names {
  ask(name: string): Promise<NameAnswer>
  /** The name that an address inside stands for. */
  nameOf(address: IpAddress): string | undefined
  /** Whether names have addresses of IPv6 inside. */
  readonly hasV6: boolean
}

const rcodes = { noError: 0, formatError: 1, serverFailure: 2, noSuchName: 3, notImplemented: 4, refused: 5 }
/** RFC 8914, 4. */
const extended = { prohibited: 18, networkError: 23 }

/** RFC 1035, 4.1.1. */
const headerLength = 12
/** A question has one name and an option or two. */
const longestQuery = 4096
/** RFC 1035, 4.2.1: what may come by UDP where nothing else is said. */
const shortest = 512
/** https://www.dnsflagday.net/2020/: and what is never cut on the way. */
const longestByUdp = 1232

/** Seconds. A name keeps its address for longer. */
const ttl = 30

/** Types of questions that no server has to answer: transfers of zones, and all there is (RFC 8482). */
const refusedTypes = ['AXFR', 'IXFR', 'ANY', 'MAILA', 'MAILB', 'UNKNOWN_253', 'UNKNOWN_254']

interface Header {
  readonly id: number
  readonly recursion: boolean
}

interface Query extends Header {
  readonly question: packet.Question
  /** The length of an answer by UDP; undefined: the asker knows no extensions (RFC 6891). */
  readonly size: number | undefined
  readonly version: number
}

/**
 * Never rejects.
 * @returns undefined: there is nothing to answer
 */
export async function answerQuery(message: Buffer, names: Names, by: 'udp' | 'tcp'): Promise<Buffer | undefined> {
  // Less has no number to answer with, and to answer an answer would go on for ever.
  if (message.length < headerLength || (message[2]! & 0x80) !== 0) return undefined
  const header: Header = { id: message.readUInt16BE(0), recursion: (message[2]! & 1) !== 0 }
  if (((message[2]! >> 3) & 0xf) !== 0) return bare(header, rcodes.notImplemented)
  const query = readQuery(message, header)
  if (query === undefined) return bare(header, rcodes.formatError)
  return encoded(query, await answered(query, names).catch(() => ({ rcode: rcodes.serverFailure })), by)
}

/** A header alone. */
function bare({ id, recursion }: Header, rcode: number): Buffer {
  const answer = Buffer.alloc(headerLength)
  answer.writeUInt16BE(id, 0)
  answer[2] = 0x80 | (recursion ? 1 : 0)
  // Recursion is available.
  answer[3] = 0x80 | rcode
  return answer
}

/** A message with one question, and at most an option and a signature behind it; undefined: it is malformed. */
function readQuery(message: Buffer, header: Header): Query | undefined {
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => message.readUInt16BE(at))
  // Asked before it is read: of thousands of names that point to one another, reading takes long.
  if (message.length > longestQuery || questions !== 1 || answers !== 0 || authorities !== 0 || additionals! > 2)
    return undefined
  try {
    const read = packet.decode(message)
    const question = read.questions![0]!
    // As it will be said again: a name with a pointer, or with a dot in one of its parts, would be another.
    const spelled = packet.encode({ questions: [question] }).subarray(headerLength)
    if (!spelled.equals(message.subarray(headerLength, headerLength + spelled.length))) return undefined
    const option = read.additionals!.find(({ type }) => type === 'OPT') as packet.OptAnswer | undefined
    return { ...header, question, size: option?.udpPayloadSize, version: option?.ednsVersion ?? 0 }
  } catch {
    return undefined
  }
}

interface Answered {
  readonly rcode: number
  readonly answers?: readonly packet.Answer[]
  /** Of an extended error: its number and its words. */
  readonly why?: readonly [number, string]
}

async function answered({ question, version }: Query, names: Names): Promise<Answered> {
  const { name: asked, type, class: kind } = question
  if (version !== 0) return { rcode: rcodes.noError }
  if (kind !== 'IN' || refusedTypes.includes(type)) return { rcode: rcodes.refused }
  const pointed = addressOfPointer(asked)
  if (pointed !== undefined) {
    const name = names.nameOf(pointed)
    if (name === undefined) return { rcode: rcodes.noSuchName }
    return { rcode: rcodes.noError, answers: type === 'PTR' ? [{ name: asked, type, ttl, data: name }] : [] }
  }
  const name = normalName(asked)
  if (name === undefined) return refused
  // RFC 6761, 6.3.
  const found: NameAnswer = isLocalName(name)
    ? { is: 'known', addresses: { v4: '127.0.0.1', v6: '::1' } }
    : await names.ask(name)
  switch (found.is) {
    case 'refused':
      return refused
    case 'missing':
      return { rcode: rcodes.noSuchName }
    case 'failed':
      return { rcode: rcodes.serverFailure, why: [extended.networkError, 'the name could not be looked up outside'] }
    case 'known':
      return { rcode: rcodes.noError, answers: recordsOf(question, found.addresses, names.hasV6) }
  }
}

const refused: Answered = {
  rcode: rcodes.noSuchName,
  why: [extended.prohibited, "no rule of the sandbox's network allows this name"],
}

/** Of other types, such as HTTPS and SVCB, there is nothing, which is no error. */
function recordsOf({ name, type }: packet.Question, addresses: FakeAddresses, hasV6: boolean): packet.Answer[] {
  if (type === 'A') return [{ name, type, ttl, data: addresses.v4 }]
  return type === 'AAAA' && hasV6 ? [{ name, type, ttl, data: addresses.v6 }] : []
}

/** RFC 1035, 3.5, and RFC 3596, 2.5: the address whose name is asked for. */
function addressOfPointer(asked: string): IpAddress | undefined {
  const labels = asked.toLowerCase().split('.').reverse()
  if (labels[0] !== 'arpa') return undefined
  const digits = labels.slice(2)
  const isWhole = (count: number, digit: RegExp) => digits.length === count && digits.every((one) => digit.test(one))
  if (labels[1] === 'in-addr' && isWhole(4, /^(?:0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])$/))
    return { family: 4, value: digits.reduce((value, one) => (value << 8n) | BigInt(one), 0n) }
  if (labels[1] === 'ip6' && isWhole(32, /^[\da-f]$/)) return { family: 6, value: BigInt(`0x${digits.join('')}`) }
  return undefined
}

function encoded(query: Query, { rcode, answers = [], why }: Answered, by: 'udp' | 'tcp'): Buffer {
  const most = by === 'tcp' ? 65535 : Math.min(Math.max(query.size ?? shortest, shortest), longestByUdp)
  const whole = encode(query, rcode, answers, why)
  if (whole.length <= most) return whole
  return encode(query, rcode | packet.TRUNCATED_RESPONSE, [], undefined)
}

function encode(query: Query, bits: number, answers: readonly packet.Answer[], why: Answered['why']): Buffer {
  const { id, recursion, question, size, version } = query
  const flags =
    packet.AUTHORITATIVE_ANSWER | packet.RECURSION_AVAILABLE | (recursion ? packet.RECURSION_DESIRED : 0) | bits
  const told =
    why === undefined ? [] : [{ code: 15, data: Buffer.concat([Buffer.from([0, why[0]]), Buffer.from(why[1])]) }]
  const option = {
    type: 'OPT' as const,
    name: '.',
    udpPayloadSize: longestByUdp,
    // RFC 6891, 6.1.3: BADVERS.
    extendedRcode: version === 0 ? 0 : 1,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: told as packet.PacketOpt[],
  }
  return packet.encode({
    type: 'response',
    id,
    flags,
    questions: [question],
    answers: [...answers],
    additionals: size === undefined ? [] : [option],
  })
}
