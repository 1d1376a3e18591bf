/** A directory as a web server: what git, apt-get, pip and npm ask of theirs is files. */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type ClientServer, listening } from './listening.js'

/** A file, or a directory's `index.html`, in which HOST is the host that was asked for, with its port. */
export function fileServer(directory: string): Promise<ClientServer> {
  const read = (path: string) => readFile(path).catch(() => undefined)
  const server = createServer(async ({ url, headers }, response) => {
    const path = join(directory, new URL(url!, 'http://server').pathname)
    const index = await read(join(path, 'index.html'))
    const bytes = index?.toString().replaceAll('HOST', headers.host!) ?? (await read(path))
    response.writeHead(bytes === undefined ? 404 : 200, index === undefined ? {} : { 'content-type': 'text/html' })
    response.end(bytes)
  })
  return listening(server)
}
