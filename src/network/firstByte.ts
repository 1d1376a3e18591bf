/** What a client speaks, by the first byte that it sends. */
import type { Socket } from 'node:net'

/** Calls `then` with it, when it is there. It is read again by whom the client is given to; of a client that says nothing it is never called. */
export function onFirstByte(client: Socket, then: (byte: number) => void): void {
  client.once('readable', () => {
    const first: Buffer | null = client.read(1)
    if (first === null) return
    client.unshift(first)
    then(first[0]!)
  })
}
