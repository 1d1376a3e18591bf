/**
 * Secrets that a sandbox uses and does not have: its programs see something in their place, and the process outside puts the value into
 * the requests for which it is meant.
 */
import { HostError } from '../text/error.js'
import type { RequestRule } from './networkRequests.js'
import type { Destination } from './networkRules.js'

/** One, as it was checked. */
export interface Secret {
  /** The variable in which programs find what stands for it. */
  readonly env: string
  /** Absent: what that variable is outside. */
  readonly value?: string | undefined
  readonly for: Destination
  /** In lower case. */
  readonly header: string
  readonly placeholder: string
}

/** RFC 9110, 5.5: what a header may have, without what could end it. */
export const headerValue = /^[\t\x20-\x7e\x80-\xff]+$/

/** One whose value is there. */
export type Valued = Secret & { readonly value: string }

/**
 * With those of the variables outside where the policy gives none.
 * @throws {HostError} when such a variable is not set, or has what no header may have
 */
export const valued = (secrets: readonly Secret[] = [], outside: NodeJS.ProcessEnv = process.env): Valued[] =>
  secrets.map((secret) => {
    const value = secret.value ?? outside[secret.env]
    if (value === undefined) throw new HostError(`the secret ${secret.env} has no value: the variable is not set here`)
    if (!headerValue.test(value))
      throw new HostError(
        `the secret ${secret.env} has a value that no header of HTTP may have: a line break, or nothing`,
      )
    return { ...secret, value }
  })

/** What programs see where the policy names nothing else. */
export const usualPlaceholder = (env: string): string => `vial-secret-${env}`

/** The variables inside, of a policy as it is written, or checked. */
export const placeholders = ({
  secrets = [],
}: {
  readonly secrets?: readonly { readonly env: string; readonly placeholder?: string | undefined }[] | undefined
}): Readonly<Record<string, string>> =>
  Object.fromEntries(secrets.map(({ env, placeholder }) => [env, placeholder ?? usualPlaceholder(env)]))

/** A policy as it may be written down: the same, without the values of secrets. */
export function withoutValues<Policy extends { readonly network?: unknown }>(policy: Policy): Policy {
  const { network } = policy
  if (typeof network !== 'object' || network === null || !('secrets' in network)) return policy
  const secrets = (network.secrets as readonly object[] | undefined)?.map((secret) => ({ ...secret, value: undefined }))
  return { ...policy, network: { ...network, secrets } }
}

/** What a policy says of requests. */
export interface Inspected {
  /** Where TLS is opened. */
  readonly inspect?: true | readonly Destination[] | undefined
  readonly secrets?: readonly Valued[] | undefined
  readonly requests?: readonly RequestRule[] | undefined
}

/** Whether there is anything to read requests for. */
export const readsRequests = ({ inspect, secrets = [], requests = [] }: Inspected): boolean =>
  inspect !== undefined || secrets.length > 0 || requests.length > 0

/** Whether TLS of the sandbox is opened: it has to trust an authority of its own. */
export const opensTls = (network: unknown): boolean =>
  typeof network === 'object' && network !== null && 'inspect' in network && network.inspect !== undefined
