/**
 * The front: the `vial-bwrap` command itself. Node.js takes 50 ms to start, all of bwrap 2 ms: so the command is a small
 * executable that finds the vial for exactly these options in the cache and becomes it. Only what has no vial yet waits for
 * Node.js.
 */
import { copySealed } from '../assembly/sealed.js'
import type { Architecture } from '../kernel/architecture.js'
import type { Program } from '../machine/instruction.js'
import { readCaller, walkOptions } from './arguments.js'
import { FrontContext, type FrontFacts } from './frontContext.js'
import { beginKey, endKey, nameKey } from './key.js'
import { lookUp } from './lookup.js'
import { execute } from './sealedVial.js'
import { compileVial, complain } from './startCompiler.js'

export type { FrontFacts } from './frontContext.js'

/** The program of a front. The same facts give the same program. */
export function front(facts: FrontFacts, architecture: Architecture): Program {
  const c = new FrontContext(facts, architecture)
  const { b } = c
  b.entry(c.stack)
  readCaller(c)
  beginKey(c)
  walkOptions(c)
  endKey(c)
  nameKey(c)
  lookUp(c)
  const sealed = b.temporary()
  const notFromMemory = b.label()
  const { file, size } = compileVial(c)
  copySealed(c, { source: file, size, to: sealed }, notFromMemory)
  execute(c, sealed)
  b.place(notFromMemory)
  // Memory may not be executed, but what was stored may.
  lookUp(c)
  c.die('Cannot execute the compiled arguments, neither from memory nor from the cache')
  b.place(c.complain)
  complain(c)
  return b.finish()
}
