/** `vial compile`. */
import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { architectures } from '../kernel/architecture.js'
import { compile } from '../run/compile.js'
import type { PolicyFlags } from './options.js'
import { policyFromFlags } from './policy.js'
import { trustedBy } from './trusted.js'
import { write } from './write.js'

export function compileTo(
  policy: string | undefined,
  flags: PolicyFlags & { readonly output: string; readonly arch?: string },
): void {
  const architecture = architectures.find((one) => one === flags.arch)
  if (flags.arch !== undefined && architecture === undefined)
    throw new Error(`--arch: must be one of ${architectures.join(', ')}`)
  const complete = policyFromFlags(flags, policy)
  const { bytes } = compile(complete, {
    // The vial is what the next run executes.
    trusted: [...trustedBy(flags, policy), flags.output],
    ...(architecture === undefined ? {} : { architecture }),
  })
  const temporary = `${flags.output}.${process.pid}.tmp`
  try {
    writeFileSync(temporary, bytes, { flag: 'wx', mode: 0o755 })
    chmodSync(temporary, 0o755)
    renameSync(temporary, flags.output)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
  write(
    2,
    `${flags.output}: ${bytes.length} bytes; run it with: ${flags.output.includes('/') ? '' : './'}${flags.output} COMMAND [ARGUMENT…]\n`,
  )
}
