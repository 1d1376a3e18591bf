/**
 * Finds the fragments of src/launcher/fragments.ts: the pairs that occur most in our own sentences, one after the other.
 * To be run, and its output pasted there, when the sentences have changed much; it is no bench and runs by itself only.
 */
import { completePolicy } from '../src/fill/complete.js'
import { errno, errnoMessage } from '../src/kernel/errno.js'
import { firstToken } from '../src/launcher/fragments.js'
import { spelledErrors } from '../src/launcher/messages.js'
import { hints } from '../src/plan/hints.js'
import { stepsOf } from '../src/plan/plan.js'
import { makePlan } from '../src/plan/planPolicy.js'
import { parsePolicy } from '../src/policy/check.js'
import type { Policy } from '../src/policy/schema.js'
import type { Said } from '../src/text/words.js'

/** One of everything that is often asked for. */
const policy: Policy = {
  filesystem: [
    { bind: '/', from: '/_' },
    { bind: '/', optional: true },
    { symlink: '/', to: '_' },
    { directory: '/_/' },
    { file: '/_', content: '' },
    { tmpfs: '/_' },
    { proc: '/proc' },
    { dev: '/dev' },
    { mqueue: '/_' },
    { overlay: '/_', lower: ['/_'], upper: 'tmpfs' },
    { readonly: '/_' },
  ],
  rlimits: { nofile: 0 },
  disableUserns: true,
}

const plan = makePlan(completePolicy(parsePolicy(policy)), { architecture: 'x64', base: '/', kernel: '6.12' })
const steps = Object.values(stepsOf(plan)).flat()
const texts = new Set([
  ...steps.flatMap((step) => [step.what, ...Object.values(step.hints ?? {}).map(String)]),
  ...Object.values(hints).flatMap((one) => Object.values<Said>(one).map(String)),
  ...spelledErrors.map((name) => errnoMessage(errno[name])),
])
const found: string[] = []
let sequences = [...texts].map((text) => [...text])
for (let token = firstToken; token < 256; token++) {
  const counts = new Map<string, number>()
  for (const parts of sequences)
    for (let at = 1; at < parts.length; at++) {
      const pair = parts[at - 1]! + parts[at]!
      counts.set(pair, (counts.get(pair) ?? 0) + 1)
    }
  const [best] = [...counts].reduce((a, b) => (b[1] > a[1] ? b : a))
  found.push(best)
  sequences = sequences.map((parts) => {
    const joined: string[] = []
    for (let at = 0; at < parts.length; at++) {
      const both = at + 1 < parts.length && parts[at]! + parts[at + 1]! === best
      joined.push(both ? best : parts[at]!)
      if (both) at++
    }
    return joined
  })
}
for (let at = 0; at < found.length; at += 20) console.log(`  ${JSON.stringify(found.slice(at, at + 20).join('|'))},`)
