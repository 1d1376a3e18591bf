import { lstatSync } from 'node:fs'
import { join } from 'node:path'

/** Directories of services and other users that a root may have. Where it has one, a sandbox over that root has its own. */
const perhaps: readonly string[] = ['/var/tmp', '/run']

/** Those of them that a root has, which is made of these host directories. */
export function heldBy(layers: readonly string[]): string[] {
  return perhaps.filter((place) =>
    layers.some((layer) => lstatSync(join(layer, place), { throwIfNoEntry: false })?.isDirectory()),
  )
}
