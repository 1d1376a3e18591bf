/**
 * An agent's shell. Run it with: node dist/examples/shell/main.js [PROJECT] [--policy FILE] [--network]
 *
 * At a terminal it asks for commands. Else it reads one JSON object a line, {"id": 1, "command": "ls", "timeout": 60000}, and
 * answers each with one, {"id": 1, "output": "…", "verdict": {"kind": "ok"}, "cwd": "/project"}: what a tool of an agent calls.
 * PROJECT is a git repository. A policy file in it is read once, at the start, and stays read-only.
 */
import { readFileSync, realpathSync } from 'node:fs'
import { relative } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { checkPolicy } from 'vial'
import { openShell, type Shell } from './shell.js'

const usage = 'usage: node dist/examples/shell/main.js [PROJECT] [--policy FILE] [--network]'
const ownPolicy = fileURLToPath(new URL('../../../examples/shell/policy.json', import.meta.url))

let shell: Shell
let project: string
try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      policy: { type: 'string', default: ownPolicy },
      network: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(usage)
    process.exit()
  }
  if (positionals.length > 1) throw new Error(usage)
  project = realpathSync(positionals[0] ?? '.')
  const policy = checkPolicy(JSON.parse(readFileSync(values.policy, 'utf8')))
  const policyPlace = relative(project, realpathSync(values.policy))
  shell = openShell({
    project,
    policy: { ...policy, ...(values.network ? { network: 'host' } : {}) },
    kept: ['.git', ...(policyPlace.split('/')[0] === '..' ? [] : [policyPlace])],
  })
} catch (error) {
  console.error((error as Error).message)
  process.exit(1)
}
await (process.stdin.isTTY ? atTerminal(shell) : byLines(shell))

async function byLines({ run }: Shell): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    let id: unknown
    try {
      const request = JSON.parse(line) as { id?: unknown; command: unknown; timeout?: number }
      id = request.id
      if (typeof request.command !== 'string') throw new TypeError('"command" must be a text')
      const { timeout } = request
      const answer = await run(request.command, timeout === undefined ? {} : { timeout })
      console.log(JSON.stringify({ id, ...answer }))
    } catch (error) {
      console.log(JSON.stringify({ id, error: error instanceof Error ? error.message : String(error) }))
    }
  }
}

async function atTerminal({ run }: Shell): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout, prompt: `${project}$ ` })
  let interrupt = new AbortController()
  terminal.on('SIGINT', () => interrupt.abort())
  terminal.prompt()
  for await (const command of terminal) {
    interrupt = new AbortController()
    try {
      const { output, verdict, cwd } = await run(command, { signal: interrupt.signal })
      process.stdout.write(printable(output))
      if (verdict.kind !== 'ok') console.log(JSON.stringify(verdict))
      terminal.setPrompt(`${printable(cwd)}$ `)
    } catch (error) {
      console.log(interrupt.signal.aborted ? 'interrupted' : error)
    }
    terminal.prompt()
  }
}

/** What a command prints may not steer the terminal, which is the caller's. */
function printable(text: string): string {
  return text.replace(/(?![\n\t])\p{Cc}/gu, '\ufffd')
}
