/** Values of a policy that are about the network. */
import { destinationFault, parseDestination } from './networkRules.js'
import { parsed } from './values.js'

/** A destination as it is written, such as `api.example.com:443`; from there on data. */
export const destination = parsed<string, NonNullable<ReturnType<typeof parseDestination>>>(
  destinationFault,
  parseDestination,
)
