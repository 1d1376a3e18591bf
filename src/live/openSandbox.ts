/** Opens an empty sandbox of this process, which ends with it at the latest. */
import { type Compiled, compileAccepted } from '../compile/compile.js'
import { openStored } from '../cache/contentVials.js'
import type { AcceptedPolicy } from '../policy/check.js'
import { Limiter } from '../run/limiter.js'
import { startVial } from '../run/spawn.js'
import { compiledFor, type Stdio } from '../run/stdio.js'
import { HostError } from '../text/error.js'
import { Box, type BoxWork } from './box.js'
import { compileGate, type GateOptions } from './openGate.js'
import { networkBeside } from './networkBeside.js'
import { ownMounts } from './mountRecords.js'
import { identityOf } from './processes.js'
import { untilRunning } from './untilRunning.js'
import type { WorkTree } from './workTree.js'

const stdio: Stdio = ['ignore', 'ignore', 'ignore']

/** @throws {VialError} when it cannot be made; nothing is left then. */
export async function openSandbox(policy: AcceptedPolicy, base: string, work?: BoxWork): Promise<Box> {
  return sandboxOpener(policy, base, work)()
}

/**
 * Opens one each time, all of what was compiled once.
 * @throws {PolicyError} when the policy has faults that only this host shows
 */
export function sandboxOpener(policy: AcceptedPolicy, base: string, work?: BoxWork): () => Promise<Box> {
  const limiter = policy.checked.limits === undefined ? undefined : new Limiter(policy.checked)
  const group = () => limiter?.option()
  const { bytes, steps, plan } = compileAccepted(policy, {
    base,
    ...compiledFor(stdio, group(), policy.checked.network),
    living: { holds: true },
  })
  const vial = {
    open: () => openStored(bytes),
    ownPids: true,
    limiter,
    ignored: 0n,
    inherit: [],
    holds: true as const,
    steps: () => steps,
  }
  let gate: Compiled | undefined
  const makeBeside = networkBeside(policy.checked, plan)
  return async () => {
    const beside = makeBeside?.()
    const served = beside === undefined ? vial : { ...vial, beside: () => beside }
    const opened = startVial(served, '', [], stdio, {}, () => ({ ended: async () => {}, finish() {} }))
    const { pid, kill, result, group: made } = opened
    // Both at once: a vial may run before this process has come to listen, and its caller may ask for ports at once.
    await Promise.all([untilRunning(opened.isRunning, result), beside?.listening])
    const start = identityOf(pid)?.start
    if (start === undefined)
      throw new HostError(`the sandbox has ended while it was opened: ${(await result).verdict.kind}`)
    const inspected = {
      monitor: { pid, start },
      policy: policy.given,
      base,
      ...(made === undefined ? {} : { group: { version: made.version, paths: made.directories } }),
    }
    const dropped = () => work?.ended()
    result.then(dropped, dropped)
    const life = { sandbox: inspected, mounts: ownMounts(), signal: kill, ended: result, work, network: beside }
    const compiled = (options: GateOptions) => (gate ??= compileGate(options))
    return new Box(() => policy, base, life, group, group()?.bases ?? [], undefined, compiled)
  }
}

/**
 * The same, with a layer over a directory of the host, which is dropped when it ends.
 * @throws {VialError} when it cannot be made; nothing is left then.
 */
export async function openInLayer(
  work: WorkTree,
  policy: (work: WorkTree) => AcceptedPolicy,
  base: string,
): Promise<Box> {
  try {
    return await openSandbox(policy(work), base, {
      tree: () => work,
      openAnother: (tree) => openInLayer(tree, policy, base),
      ended: () => work.remove(),
    })
  } catch (error) {
    work.remove()
    throw error
  }
}
