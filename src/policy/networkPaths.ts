/** Paths of unix sockets, in rules of a network. */
import { structs } from '../kernel/structs.js'
import { normal } from './path.js'
import type { Read } from './reading.js'

/** Bytes of one, without the NUL behind it: `sun_path` of unix(7) has room for 108. */
export const longestSocketPath = structs.sockaddr_un.fields.sun_path.size - 1

/** Absolute, and short enough for bind(2) and connect(2). */
export function readSocketPath(text: string): Read<{ readonly path: string }> {
  if (!text.startsWith('/')) return { fault: 'has a relative path: that of a socket is absolute' }
  if (text.includes('\0')) return { fault: 'has a NUL byte' }
  if (text.split('/').includes('..')) return { fault: 'has a path with ".."' }
  const path = normal(text)
  if (path === '/' || text.endsWith('/')) return { fault: 'has the path of a directory, not that of a socket' }
  if (Buffer.byteLength(path) > longestSocketPath)
    return { fault: `has a path longer than the ${longestSocketPath} bytes of a unix socket's` }
  return { path }
}
