/** A terminal of its own for a command, made by script(1), which types what is written to it. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { eventually } from './processes.js'
import { type Caller, workDirectory } from './user.js'

export class Terminal {
  readonly #script: ChildProcessWithoutNullStreams
  readonly ended: Promise<unknown>
  screen = ''
  static readonly #open = new Set<Terminal>()

  /** `line` is run by bash(1); what it shows is in `screen`. */
  constructor(caller: Caller, line: string) {
    const home = workDirectory(caller, 'home')
    this.#script = spawn('script', ['-qec', line, '/dev/null'], {
      env: { PATH: process.env.PATH, HOME: home, SHELL: '/bin/bash', PS1: '', TERM: 'dumb', HISTFILE: '' },
      cwd: home,
      ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
    })
    this.#script.stdin.on('error', () => {})
    for (const stream of [this.#script.stdout, this.#script.stderr])
      stream.on('data', (chunk) => {
        this.screen += chunk
      })
    this.ended = once(this.#script, 'exit').finally(() => Terminal.#open.delete(this))
    Terminal.#open.add(this)
  }

  /** Those that a test which failed left open, and for which its file would wait for ever. */
  static async closeAll(): Promise<void> {
    await Promise.all([...Terminal.#open].map((one) => one.close()))
  }

  /** Of script(1). */
  get pid(): number {
    return this.#script.pid!
  }

  type(text: string): void {
    this.#script.stdin.write(text)
  }

  /** Waits until the screen shows it. */
  async shows(text: string): Promise<void> {
    const seen = await eventually(
      () => this.screen,
      (screen) => screen.includes(text),
    )
    if (!seen.includes(text)) throw new Error(`no ${JSON.stringify(text)} in ${JSON.stringify(seen)}`)
  }

  /** No process has the other side any more. */
  async close(): Promise<void> {
    this.#script.kill('SIGKILL')
    await this.ended
  }
}

export const keys = { interrupt: '\x03', quit: '\x1c', suspend: '\x1a' } as const
