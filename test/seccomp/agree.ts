/** The property that both the test and the long fuzzing check: a profile's code decides as the profile reads. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { abiFacts, abiSyscalls, abisOf } from '../../src/kernel/abis.js'
import { type Architecture, architectures } from '../../src/kernel/architecture.js'
import { compileSeccomp, type Seccomp } from '../../src/seccomp/compileProfile.js'
import { FilterTooLong } from '../../src/seccomp/graph.js'
import { interesting, ociProfile, typedProfile } from './arbitrary.js'
import { callsOf, corners, numbers, random } from './calls.js'
import { type Call, decide, readProgram } from './interpreter.js'
import { naiveDecision, naiveOciDecision } from './naive.js'

const values = corners(interesting)

export interface Coverage {
  profiles: number
  calls: number
  longest: number
  tooLong: number
}

function check(
  profile: Seccomp,
  seed: number,
  expected: (architecture: Architecture, call: Call) => number,
  seen: Coverage,
) {
  for (const architecture of architectures) {
    let program: Uint8Array
    try {
      program = compileSeccomp(profile, { architecture, kernel: '6.18.0' })!.program
    } catch (error) {
      // The kernel takes 4096 instructions, and a random profile may need more.
      assert.ok(error instanceof FilterTooLong, String(error))
      seen.tooLong++
      continue
    }
    const code = readProgram(program)
    seen.profiles++
    seen.longest = Math.max(seen.longest, code.length)
    const next = random(seed)
    const named = abisOf[architecture].flatMap((abi) => {
      const table = abiSyscalls(abi)
      return ['read', 'ioctl', 'socket', 'socketcall', 'ipc', 'shmat', 'clone', 'open'].flatMap(
        (name) => table.get(name) ?? [],
      )
    })
    const some = Array.from({ length: 100 }, () => numbers[next(numbers.length)]!)
    const audits = [...abisOf[architecture].map((abi) => abiFacts[abi].audit), 8]
    for (const number of [...named, ...named, ...named, ...some]) {
      for (const call of callsOf(
        number,
        audits[next(audits.length)]!,
        [...values, ...Array.from({ length: 12 }, (_, one) => BigInt(one))],
        8,
        next,
      )) {
        seen.calls++
        const [found, wanted] = [decide(code, call), expected(architecture, call)]
        if (found !== wanted)
          assert.fail(
            `${architecture}: ${found.toString(16)}, not ${wanted.toString(16)}, for ${call.number} of ${call.arch.toString(16)} with ${call.args.map((arg) => arg.toString(16))}`,
          )
      }
    }
  }
}

/** Checks random profiles for so many runs, or so many seconds; those of one seed are the same each time. */
export function agree(
  kind: 'typed' | 'oci',
  limit: { readonly runs: number; readonly seed?: number } | { readonly seconds: number },
): Coverage {
  const seen: Coverage = { profiles: 0, calls: 0, longest: 0, tooLong: 0 }
  const options =
    'runs' in limit
      ? { numRuns: limit.runs, ...(limit.seed === undefined ? {} : { seed: limit.seed }) }
      : { numRuns: 2 ** 31 - 1, interruptAfterTimeLimit: limit.seconds * 1000 }
  const property =
    kind === 'typed'
      ? fc.property(typedProfile, fc.nat(), (profile, seed) =>
          check(profile, seed, (architecture, call) => naiveDecision(profile, architecture, [], call), seen),
        )
      : fc.property(ociProfile, fc.nat(), (profile, seed) =>
          check(profile, seed, (architecture, call) => naiveOciDecision(profile, architecture, call), seen),
        )
  fc.assert(property as fc.IProperty<unknown>, options)
  return seen
}
