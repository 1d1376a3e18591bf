/** A vial that is none: a static executable that says which one it is. */
import { hostArchitecture } from '../../src/host/thisHost.js'
import { assemble } from '../../src/machine/assemble.js'
import { Builder } from '../../src/machine/builder.js'

/** Prints the text and ends with 0. */
export function saying(text: string): Uint8Array {
  const b = new Builder()
  const [stack, result] = b.temporaries(2)
  b.entry(stack)
  b.syscall(result, 'write', 1, b.text(text), Buffer.byteLength(text))
  b.syscall(result, 'exit_group', 0)
  return assemble(b.finish(), hostArchitecture())
}
