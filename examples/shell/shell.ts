/** The shell tool of an AI agent: each command in a fresh sandbox, the project writable, and what steers the host's programs not. */
import { existsSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Policy, sandbox, type Verdict } from 'vial'

export interface ShellOptions {
  /** The directory that the agent works on; the same path inside. */
  readonly project: string
  /** All else: what is shown beside the project, the network, limits. */
  readonly policy: Policy
  /**
   * What stays read-only in the project, from its top. Git executes hooks and what its config names, outside and as the caller.
   * What is not there is an error: a command could make it.
   */
  readonly kept?: readonly string[]
}

export interface CommandOptions {
  /** Milliseconds, beside the policy's own `limits.wallTime`; default none. */
  readonly timeout?: number
  /** Ends the command, and `run` rejects with an AbortError. */
  readonly signal?: AbortSignal
}

export interface Answer {
  /** Standard output and error as they came, shortened in the middle. */
  readonly output: string
  readonly verdict: Verdict
  /** Where the next command starts. */
  readonly cwd: string
}

export interface Shell {
  /** One command line for bash. An exit status other than 0 is an answer; rejects where the sandbox cannot be made. */
  run(command: string, options?: CommandOptions): Promise<Answer>
}

/** The directory is handed from one sandbox to the next: $1, or the project's if that is gone; what it is at the end goes to 3. */
const script = `
exec 2>&1
cd -- "$1" 2>/dev/null || { cd -- "$2" && echo "$1 is gone: back in $2"; }
trap 'pwd >&3' EXIT
eval "$3"`

export function openShell({ project, policy, kept = ['.git'] }: ShellOptions): Shell {
  const top = realpathSync(project)
  const places = kept.map((name) => join(top, name))
  for (const place of places)
    if (!existsSync(place))
      throw new Error(
        `${place} is not there, and a command could make it: make it yourself first (git init makes .git)`,
      )
  const one = sandbox({
    ...policy,
    filesystem: [
      ...(policy.filesystem ?? []),
      { bind: top, writable: true },
      ...onTheWay(kept).map((name) => ({ bind: join(top, name), writable: true })),
      ...places.map((place) => ({ bind: place })),
    ],
    cwd: top,
  })
  let cwd = top

  async function run(command: string, options: CommandOptions = {}): Promise<Answer> {
    const stdio = ['ignore', 'pipe', 'pipe', 'output'] as const
    const child = one.spawn('bash', ['-c', script, 'bash', cwd, top, command], { ...options, stdio })
    const output: Buffer[] = []
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data: Buffer) => output.push(data))
    // The command can write there, too. Whatever it says, it is only a place inside the next sandbox.
    let said = Buffer.alloc(0)
    child.stdio[3]?.on('data', (data: Buffer) => {
      said = Buffer.concat([said, data]).subarray(0, longestPath + 1)
    })
    const { verdict } = await child.result
    const place = said.toString().replace(/\n$/, '')
    if (said.length <= longestPath && place.startsWith('/') && !place.includes('\0')) cwd = place
    return { output: shortened(Buffer.concat(output).toString()), verdict, cwd }
  }
  return { run }
}

/** A mount point can be neither renamed nor removed, but a directory above it can: so each between is mounted on itself. */
function onTheWay(names: readonly string[]): readonly string[] {
  const above = (name: string): string[] => (dirname(name) === '.' ? [] : [...above(dirname(name)), dirname(name)])
  return [...new Set(names.flatMap(above))]
}

/** PATH_MAX of linux/limits.h. */
const longestPath = 4096

/** Characters of an answer: what an agent can read. The rest is worth more in a file. */
const longestOutput = 20_000

/** Its beginning and its end, which say most. */
function shortened(text: string): string {
  if (text.length <= longestOutput) return text
  const half = longestOutput / 2
  return `${text.slice(0, half)}\n[${text.length - longestOutput} characters are left out]\n${text.slice(-half)}`
}
