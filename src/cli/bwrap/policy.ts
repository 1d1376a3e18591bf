/** `vial bwrap --to-policy`: the policy that comes closest. */
export function printPolicy(_args: readonly string[]): void {
  throw new Error('not yet')
}
