/** A policy that cannot be used. `faults` has one line for each fault, with its path. */
export class PolicyError extends Error {
  constructor(
    /** One line for each fault: the path in the policy, and what is wrong there. */
    readonly faults: readonly string[],
  ) {
    super(
      faults.length === 1
        ? faults[0]
        : `the policy has ${faults.length} faults:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    )
    this.name = 'PolicyError'
  }
}
