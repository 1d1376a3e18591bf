/** `vial compile`. */
import { replaceFile } from '../cache/wholeFile.js'
import { compileAccepted } from '../compile/compile.js'
import { architectures } from '../kernel/architecture.js'
import { acceptPolicy } from '../policy/check.js'
import { write } from '../text/write.js'
import { UsageError } from './commandLine.js'
import { speaking } from './flagsToPolicy.js'
import { listening } from './listening.js'
import { fileFault } from './obstacle.js'
import type { PolicyFlags } from './policyFlags.js'
import { trustedBy } from './trusted.js'

export function compileTo(
  file: string | undefined,
  flags: PolicyFlags & { readonly output: string; readonly arch?: string; readonly 'listen-fds'?: number },
): void {
  const architecture = architectures.find((one) => one === flags.arch)
  if (flags.arch !== undefined && architecture === undefined)
    throw new UsageError(`--arch: must be one of ${architectures.join(', ')}`)
  const { bytes } = speaking(flags, { named: file }, (policy) => {
    const count = flags['listen-fds'] ?? 0
    return compileAccepted(count === 0 ? policy : acceptPolicy(listening(policy.given, count)), {
      descriptors: { listening: count },
      // The vial is what the next run executes.
      trusted: [...trustedBy(flags, file), flags.output],
      ...(architecture === undefined ? {} : { architecture }),
    })
  })
  try {
    replaceFile(flags.output, bytes, 0o755)
  } catch (error) {
    throw new UsageError(`--output ${flags.output}: ${fileFault(error, flags.output, 'write')}`)
  }
  write(
    2,
    `${flags.output}: ${bytes.length} bytes; run it with: ${flags.output.includes('/') ? '' : './'}${flags.output} COMMAND [ARGUMENT…]\n`,
  )
}
