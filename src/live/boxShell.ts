/**
 * A shell in an open sandbox that goes on between the scripts that it is given: working directory, variables and functions stay.
 *
 * Where the output of one script ends, no output can say: the shell tells it by a descriptor of its own, which a script has closed. What was
 * written before is in the pipes by then.
 */
import type { Writable } from 'node:stream'
import type { Connect } from '../run/connections.js'
import { EarlyEnd } from '../run/earlyEnd.js'
import { patience } from '../run/endSandbox.js'
import { AbortError, refuseAborted, shellStatus } from '../run/result.js'
import { type CommandOptions, checkOptions, scriptOptions } from '../run/runOptions.js'
import type { ConnectedProcess } from '../run/spawn.js'
import { noUsage } from '../run/status.js'
import type { Stdio } from '../run/stdio.js'
import { Collector, PipeReader, pipeWriter, type Receiver } from '../run/streams.js'
import { now } from '../run/conclude.js'
import { HostError, OptionError } from '../text/error.js'
import { shellWord } from '../text/shellWord.js'

/** How a shell is opened. */
export interface ShellOptions extends Pick<CommandOptions, 'cwd' | 'env'> {
  /** The shell, which reads a script from standard input as sh(1) does: a name on PATH, or a path; default `sh`. */
  readonly command?: string
}

/** How a script is run. */
export interface ScriptOptions extends Pick<CommandOptions, 'signal' | 'timeout'> {
  /** Bytes kept of standard output and of standard error each; default 64 MiB. With more the script is interrupted. */
  readonly maxBuffer?: number
}

/** How a script ended, and what it wrote. */
export interface ScriptResult {
  /** The status of its last command, as the shell has it: 128 and a signal's number where that ended it. */
  readonly exitCode: number
  /** Standard output, as text; also what others in the background have written since the script before. */
  readonly stdout: string
  /** Standard error, alike. */
  readonly stderr: string
  /** The working directory that the next script has. */
  readonly cwd: string
  /** Whether it was interrupted by its `timeout`. */
  readonly timedOut: boolean
  /** Whether it was interrupted because it wrote more than `maxBuffer`. */
  readonly truncated: boolean
  /** Whether the shell has ended with it, as `exit` does: no script follows. */
  readonly ended: boolean
}

export const shellStdio: Stdio = ['input', 'output', 'output', 'output']

/** Its own descriptor, and what it does before all scripts: what interrupts one leaves the shell alone. */
const [ownFd, begin] = [3, 'trap : INT\n']
const defaultMost = 64 * 2 ** 20
const none = () => {}

interface Told {
  readonly exitCode: number
  readonly cwd: string
  readonly ended: boolean
}

interface Settle {
  tell(told: Told): void
  fail(error: unknown): void
}

/** A shell in an open sandbox. Scripts that are given at once are run one after another. */
export class BoxShell {
  readonly #process: ConnectedProcess
  #input: Writable | undefined
  #readers: readonly PipeReader[] = []
  #kept = [new Collector(defaultMost, none), new Collector(defaultMost, none)]
  #told = Buffer.alloc(0)
  #settle: Settle | undefined
  #over = false
  #cwd = '/'
  #last: Promise<unknown> = Promise.resolve()

  /** @internal */
  constructor(start: (connect: Connect) => ConnectedProcess) {
    this.#process = start((ends, meter) => this.#connect(ends, meter))
    this.#input?.write(begin)
    this.#process.result.then(
      (result) => this.#end((one) => one.tell({ exitCode: shellStatus(result), cwd: this.#cwd, ended: true })),
      (error: unknown) => this.#end((one) => one.fail(error)),
    )
  }

  /**
   * Runs a script of sh(1) to its end: standard input is /dev/null. What interrupts it, does so as Ctrl-C; where it goes on all the same, it
   * is killed with the shell.
   * @throws {OptionError} when it cannot be a script
   * @throws {HostError} when the shell has ended
   * @throws {AbortError} when `signal` was aborted
   */
  run(script: string, options: ScriptOptions = {}): Promise<ScriptResult> {
    if (typeof script !== 'string' || script.includes('\0'))
      throw new OptionError('script: must be text, without a NUL byte')
    checkOptions(options, scriptOptions)
    const turn = this.#last.then(() => this.#run(script, options))
    this.#last = turn.catch(none)
    return turn
  }

  /** Ends the shell and what it runs. What it has left in the background lives on in the sandbox. */
  async close(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#process.result.catch(none)
  }

  /** At the end of an `await using`: {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #run(script: string, options: ScriptOptions): Promise<ScriptResult> {
    if (this.#over) throw new HostError('the shell has ended', { hint: 'open another one: box.shell()' })
    const { maxBuffer = defaultMost, signal } = options
    refuseAborted(options)
    const started = now()
    let truncated = false
    let killing: NodeJS.Timeout | undefined
    const interrupt = () => {
      killing ??= setTimeout(() => this.#process.kill('SIGKILL'), patience)
      return this.#process.kill('SIGINT')
    }
    const before = this.#kept
    this.#kept = before.map(
      () =>
        new Collector(maxBuffer, () => {
          truncated = true
          interrupt()
        }),
    )
    for (const [index, { bytes }] of before.entries()) this.#kept[index]!.take(bytes)
    const early = new EarlyEnd(options, interrupt)
    try {
      const told = await new Promise<Told>((tell, fail) => {
        this.#settle = { tell, fail }
        this.#input?.write(
          `{ command eval ${shellWord(script)}\n} </dev/null ${ownFd}>&-\nprintf '%s %s\\0' "$?" "$PWD" >&${ownFd}\n`,
        )
      })
      const [stdout, stderr] = this.#kept.map(({ bytes }) => bytes.toString()) as [string, string]
      if (signal?.aborted)
        throw new AbortError(signal.reason, { usage: noUsage, durationMs: now() - started, stdout, stderr })
      return { ...told, stdout, stderr, timedOut: early.timedOut, truncated }
    } finally {
      early.stop()
      clearTimeout(killing)
      this.#settle = undefined
      this.#kept = this.#kept.map(() => new Collector(defaultMost, none))
    }
  }

  readonly #connect: Connect = (ends, meter) => {
    const keep = (index: number): Receiver => ({ take: (bytes) => this.#kept[index]!.take(bytes), end: none })
    const receivers = [keep(0), keep(1), { take: (bytes: Buffer) => this.#hear(bytes), end: none }]
    this.#input = pipeWriter(ends.get(0))
    this.#input.on('error', none)
    this.#readers = receivers.flatMap((receiver, index) => {
      const end = ends.get(1 + index)
      return end === undefined ? [] : [new PipeReader(end, meter(1 + index, receiver))]
    })
    for (const reader of this.#readers) reader.start()
    return {
      ended: () => Promise.all(this.#readers.map((reader) => reader.ended())),
      finish: () => {
        for (const reader of this.#readers) reader.finish()
        this.#input?.destroy()
      },
    }
  }

  #hear(bytes: Buffer): boolean {
    this.#told = Buffer.concat([this.#told, bytes])
    const end = this.#told.indexOf(0)
    if (end === -1) return true
    const [, code, cwd] = /^(\d+) (.*)$/s.exec(this.#told.subarray(0, end).toString()) ?? []
    this.#told = this.#told.subarray(end + 1)
    for (const reader of this.#readers.slice(0, 2)) reader.drain()
    this.#cwd = cwd ?? this.#cwd
    this.#settle?.tell({ exitCode: Number(code), cwd: this.#cwd, ended: false })
    return true
  }

  #end(settle: (one: Settle) => void): void {
    this.#over = true
    if (this.#settle !== undefined) settle(this.#settle)
  }
}
