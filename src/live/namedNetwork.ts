/** The network by name of a sandbox that another program has started: what is asked of it goes to the process that keeps it. */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { NetworkSummary } from '../network/networkEvents.js'
import { destinationText } from '../policy/networkRules.js'
import { HostError } from '../text/error.js'
import type { NetworkControl } from './boxNetwork.js'
import {
  atKeeperSocket,
  type KeeperAnswer,
  type KeeperRequest,
  type KeptPlaces,
  lineOf,
  placesFile,
} from './keeperSocket.js'

/** @param name of the sandbox whose directory this is */
export const namedNetwork = (directory: string, name: string): NetworkControl => ({
  get ports() {
    return placesIn(directory).ports
  },
  get paths() {
    return placesIn(directory).paths
  },
  async allow(destinations) {
    await ask(directory, name, { allow: destinations.map(destinationText) })
  },
  async deny(destinations) {
    await ask(directory, name, { deny: destinations.map(destinationText) })
  },
  summary: () => ask(directory, name, {}),
})

const placesIn = (directory: string) => JSON.parse(readFileSync(placesFile(directory), 'utf8')) as KeptPlaces

async function ask(directory: string, name: string, request: KeeperRequest): Promise<NetworkSummary> {
  let answer: KeeperAnswer
  try {
    const line = await atKeeperSocket(directory, async (path) => {
      const socket = connect(path)
      socket.end(`${JSON.stringify(request)}\n`)
      return lineOf(socket)
    })
    answer = JSON.parse(line) as KeeperAnswer
  } catch (cause) {
    throw new HostError(`nothing serves the network of the sandbox "${name}" any more`, {
      hint: 'the process that kept it has ended: programs inside reach nothing until the sandbox is started again',
      cause,
    })
  }
  if ('error' in answer) throw new HostError(answer.error, answer.code === undefined ? {} : { code: answer.code })
  return answer.summary
}
