/** Asks the C headers of an architecture for facts: compiles a program that prints them, and runs it. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Architecture, architectures } from '../../src/kernel/architecture.js'

const compilers = { x64: ['x86_64-linux-gnu-gcc', 'gcc'], arm64: ['aarch64-linux-gnu-gcc', 'gcc'] } as const
const machines = { x64: 'x86_64', arm64: 'aarch64' } as const
const emulators = { x64: 'qemu-x86_64-static', arm64: 'qemu-aarch64-static' } as const

interface Toolchain {
  readonly architecture: Architecture
  readonly compiler: string
  /** What runs the program: nothing, or an emulator. */
  readonly runner: readonly string[]
  /** Why the architecture cannot be asked, if it cannot. */
  readonly skip?: string
}

const onPath = (name: string): boolean =>
  (process.env.PATH ?? '').split(':').some((directory) => directory !== '' && existsSync(join(directory, name)))

function toolchain(architecture: Architecture): Toolchain {
  const compiler = compilers[architecture].find(
    (name) =>
      onPath(name) && execFileSync(name, ['-dumpmachine'], { encoding: 'utf8' }).startsWith(machines[architecture]),
  )
  const runner = process.arch === architecture ? [] : [emulators[architecture]]
  const missing =
    compiler === undefined ? `a C compiler for ${architecture}` : runner.find((emulator) => !onPath(emulator))
  const found = { architecture, compiler: compiler ?? '', runner }
  return missing === undefined ? found : { ...found, skip: `${missing} is not installed` }
}

export const toolchains: readonly Toolchain[] = architectures.map(toolchain)

/**
 * What the C expressions are worth, by name. An expression for which `guards` names a macro is left out where the headers
 * do not define that; `format` is printf's, and `cast` the type it wants.
 */
export interface Question {
  readonly includes: readonly string[]
  readonly expressions: ReadonlyMap<string, string>
  readonly guards?: ReadonlyMap<string, string>
  readonly kind?: 'number' | 'string'
}

export function ask(tools: Toolchain, question: Question): Map<string, string> {
  const [format, cast] = question.kind === 'string' ? ['%s', ''] : ['%lld', '(long long)']
  const lines = [...question.expressions].map(([name, expression]) => {
    const print = `  printf("${name}\\t${format}\\n", ${cast}(${expression}));`
    const guard = question.guards?.get(name)
    return guard === undefined ? print : `#ifdef ${guard}\n${print}\n#endif`
  })
  const source = [
    '#define _GNU_SOURCE',
    ...['stddef.h', 'stdio.h', ...question.includes].map((header) => `#include <${header}>`),
    'int main(void) {',
    ...lines,
    '  return 0;',
    '}',
    '',
  ].join('\n')
  const directory = mkdtempSync(join(tmpdir(), 'vial-kernel-'))
  try {
    const file = join(directory, 'facts')
    writeFileSync(`${file}.c`, source)
    execFileSync(tools.compiler, ['-w', '-static', '-o', file, `${file}.c`])
    const [command = file, ...rest] = [...tools.runner, file]
    const output = execFileSync(command, rest, { encoding: 'utf8', maxBuffer: 1 << 24 })
    return new Map(
      output
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t') as [string, string]),
    )
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The names the headers did not know. Everything they did know was as expected, or this throws. */
export function differences(
  expected: ReadonlyMap<string, number | string>,
  found: ReadonlyMap<string, string>,
): { readonly wrong: string[]; readonly unknown: string[] } {
  const wrong: string[] = []
  const unknown: string[] = []
  for (const [name, value] of expected) {
    const fact = found.get(name)
    if (fact === undefined) unknown.push(name)
    else if (fact !== String(value)) wrong.push(`${name}: ${value} here, ${fact} in the headers`)
  }
  return { wrong, unknown }
}
