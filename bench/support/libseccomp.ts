/** A profile's filter as libseccomp makes it, which is what others hand to bwrap: needs gcc and libseccomp-dev. */
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { abiSyscalls } from '../../src/kernel/abis.js'
import type { AbiFilter, Rule, Test } from '../../src/seccomp/filterRules.js'
import { sources } from './directory.js'

/**
 * The program of an ABI's rules, with the library's own order of numbers (`optimize` 1) or a binary tree (2); undefined
 * without the library. Where the library has no words for a rule it is left out or simplified: an errno of sockets of
 * other families, and what "none of these" looks at beyond 32 bits.
 */
export function byLibseccomp(filter: AbiFilter, optimize: 1 | 2, work: string): Uint8Array | undefined {
  const tool = join(work, 'libseccomp')
  const source = resolve(sources, '../test/seccomp/libseccomp.c')
  if (spawnSync('gcc', ['-o', tool, source, '-lseccomp']).status !== 0) return undefined
  const names = new Map([...abiSyscalls(filter.abi)].map(([name, number]) => [number, name]))
  const words = [`default ${filter.otherwise}`, `optimize ${optimize}`]
  for (const [number, rules] of filter.rules)
    for (const rule of rules)
      if (rule.action !== filter.otherwise && (rule.tests.length > 0 || rules.length === 1))
        for (const tests of alternatives(rule)) {
          words.push(`rule ${rule.action} ${names.get(number)} ${tests.length} ${tests.join(' ')}`)
        }
  const { stdout, stderr, status } = spawnSync(tool, { input: words.join('\n') })
  if (status !== 0) throw new Error(`libseccomp: ${stderr}`)
  return new Uint8Array(stdout)
}

/** The library has one value for each test: one rule for each way to hold. */
function alternatives({ tests }: Rule): string[][] {
  return tests.reduce<string[][]>(
    (all, test) => all.flatMap((before) => ways(test).map((way) => [...before, way])),
    [[]],
  )
}

/** Operators of `enum scmp_compare`. */
const compare = { ne: 1, lt: 2, eq: 4, gt: 6, maskedEq: 7 }

/** None of several values takes what lies below, between and above. Masked and negated, the library has no test at all. */
function ways({ arg, op, mask, values, negate }: Test): string[] {
  if (op !== 'in') throw new Error('only equality is translated')
  const whole = ({ high, low }: Test['mask']) => (BigInt(high) << 32n) | BigInt(low)
  const wanted = values.map(whole).sort((a, b) => (a < b ? -1 : 1))
  if (!negate) return wanted.map((value) => `${arg} ${compare.maskedEq} ${whole(mask)} ${value}`)
  const [first, last] = [wanted[0]!, wanted.at(-1)!]
  if (first === last) return [`${arg} ${compare.ne} ${first} 0`]
  const between = Array.from({ length: Number(last - first) }, (_, index) => first + BigInt(index))
  const others = between.filter((value) => !wanted.includes(value))
  return [
    `${arg} ${compare.lt} ${first} 0`,
    `${arg} ${compare.gt} ${last} 0`,
    ...others.map((value) => `${arg} ${compare.eq} ${value} 0`),
  ]
}
