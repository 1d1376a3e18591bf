/** Names of hosts: one spelling for each, and none that is an address in disguise. */
import { domainToASCII } from 'node:url'
import { parseAddress } from './ipAddress.js'
import type { Read } from './reading.js'

/** RFC 1035, 2.3.4: in the text of a name, without the dot of the root. */
const longestName = 253
const longestLabel = 63

/** What a URL, a proxy or a resolver could take for something other than a part of a name. The dots of other scripts are mapped by IDNA. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is refused
const strange = /[\x00-\x20\x7f%/\\:@?#[\]<>^|*"'`{}()=,;&$!~+]/

/**
 * The WHATWG's URL standard, "ends in a number": parsers of URLs and inet_aton(3) take such names for addresses (`127.1`, `0x7f.1`,
 * `2130706433`), and no top-level domain has such a name.
 */
const number = /(?:^|\.)(?:\d+|0x[\da-f]*)$/

/** A label as resolvers have them: letters, digits and hyphens, and the underscore of services (RFC 8552). */
const label = /^[a-z\d_](?:[a-z\d_-]*[a-z\d_])?$/

/** Lower case, in ASCII (IDNA), without the dot at the end. */
export function readName(text: string): Read<{ readonly name: string }> {
  if (text === '') return { fault: 'has no name of a host' }
  if (strange.test(text)) return { fault: 'has a character that no name of a host has' }
  const ascii = domainToASCII(text).replace(/\.$/, '')
  const bare = text.toLowerCase().replace(/\.$/, '')
  if (number.test(ascii === '' ? bare : ascii)) return { fault: oddAddress(bare, ascii) }
  if (ascii === '') return { fault: 'is no name that IDNA knows (RFC 5891)' }
  if (ascii.length > longestName) return { fault: `is longer than the ${longestName} bytes of a name (RFC 1035)` }
  for (const one of ascii.split('.')) {
    if (one === '') return { fault: 'has an empty part between its dots' }
    if (one.length > longestLabel)
      return { fault: `has a part of more than ${longestLabel} bytes between its dots (RFC 1035)` }
    if (!label.test(one)) return { fault: 'has a part that begins or ends with a hyphen, or has a strange character' }
  }
  return { name: ascii }
}

function oddAddress(written: string, ascii: string): string {
  if (parseAddress(written) !== undefined) return 'is an address, not a name'
  const meant = parseAddress(ascii) === undefined ? '' : `; write ${ascii} if that is meant`
  return `ends in a number, so that some programs take it for an address${meant}`
}

/** The one spelling of a name; undefined for what is none. */
export function normalName(text: string): string | undefined {
  const read = readName(text)
  return 'name' in read ? read.name : undefined
}

/** RFC 6761, 6.3: these are the asker's own loopback, wherever they are asked for. */
export const isLocalName = (name: string): boolean => name === 'localhost' || name.endsWith('.localhost')
