/** Which life monitor and init of a plan live. */
import type { Manner } from '../plan/manner.js'
import type { LauncherContext } from './launcherContext.js'
import type { Life } from './life.js'
import { listening } from './listeningMonitor.js'
import { relaying } from './relayingMonitor.js'

const lives: Readonly<Record<Manner['monitor'], Life>> = { relays: relaying, listens: listening }

export const lifeOf = ({ plan }: LauncherContext): Life => lives[plan.start.manner.monitor]
