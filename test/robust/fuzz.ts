/** Random policies for a long time: `npm run fuzz:policy`, or with a number of seconds; ten minutes if none is given. */
import { callers } from '../support/user.js'
import { loads } from './loads.js'

const seconds = Number(process.argv[2] ?? 600)
for (const caller of callers) {
  const { complete, refused, faults } = loads(caller, { seconds: seconds / callers.length })
  process.stdout.write(
    `${caller.name}: ${complete + refused} vials loaded, of which ${complete} made the sandbox and ${refused} said what failed; ${faults} policies had faults\n`,
  )
}
