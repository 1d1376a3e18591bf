/** A terminal that is looked at: a screen of tmux(1), in which a shell runs. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Caller, workDirectory } from './user.js'

/** Keys, as tmux(1) names them. */
export const keys = {
  interrupt: 'C-c',
  quit: 'C-\\',
  suspend: 'C-z',
  enter: 'Enter',
  end: 'C-d',
  newline: 'C-j',
} as const

export class Screen {
  /** The working directory. */
  readonly directory: string
  readonly #caller: Caller
  /** It tells of all that is written. */
  readonly #client: ChildProcess
  #heard = () => {}
  static readonly #open = new Set<Screen>()
  static #count = 0

  /** A shell at the terminal; its prompt is the last status, `<0>`. */
  constructor(caller: Caller, shell = 'bash --norc --noprofile') {
    this.#caller = caller
    this.directory = workDirectory(caller, `screen-${++Screen.#count}`)
    this.#tmux('new-session', '-d', '-x', '100', '-y', '30', shell)
    Screen.#open.add(this)
    this.#client = spawn('tmux', this.#words('-C', 'attach', '-f', 'ignore-size'), {
      ...this.#options(),
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    this.#client.stdout!.on('data', () => this.#heard())
  }

  /** Those that a test which failed left open. */
  static closeAll(): void {
    for (const one of Screen.#open) one.close()
  }

  #words = (...words: readonly string[]) => ['-f', '/dev/null', '-S', join(this.directory, 'tmux'), ...words]

  #options = () => ({
    cwd: this.directory,
    env: {
      ...{ PATH: process.env.PATH, HOME: workDirectory(this.#caller, 'home') },
      ...{ SHELL: '/bin/sh', PS1: '<$?>', TERM: 'xterm', LANG: 'C.UTF-8', HISTFILE: '' },
      XDG_RUNTIME_DIR: workDirectory(this.#caller, 'run'),
    },
    ...(process.getuid?.() === 0 ? { uid: this.#caller.uid, gid: this.#caller.gid } : {}),
  })

  #tmux(...words: readonly string[]): string {
    const { stdout, stderr, status } = spawnSync('tmux', this.#words(...words), {
      ...this.#options(),
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`tmux ${words.join(' ')}: ${stderr}`)
    return stdout
  }

  press(...keys: readonly string[]): void {
    this.#tmux('send-keys', ...keys)
  }

  /** A text, as it is. */
  type(text: string): void {
    this.#tmux('send-keys', '-l', text)
  }

  /** A line, with Return. */
  enter(line: string): void {
    this.type(line)
    this.press(keys.enter)
  }

  /** A script of sh(1), run by the shell. */
  run(...lines: readonly string[]): void {
    writeFileSync(join(this.directory, 'script'), `${lines.join('\n')}\n`)
    this.enter('sh ./script')
  }

  /** As with a mouse: all at once. */
  paste(text: string): void {
    const path = join(this.directory, 'pasted')
    writeFileSync(path, text, { mode: 0o644 })
    this.#tmux('load-buffer', path)
    this.#tmux('paste-buffer')
  }

  resize(cols: number, rows: number): void {
    this.#tmux('resize-window', '-x', String(cols), '-y', String(rows))
  }

  /** What tmux(1) knows of it, such as `#{alternate_on}`. */
  ask(format: string): string {
    return this.#tmux('display-message', '-p', format).trim()
  }

  get text(): string {
    return this.#tmux('capture-pane', '-p')
  }

  /** Waits until the screen has it, and gives the screen. Fails after half a minute. */
  async shows(what: RegExp): Promise<string> {
    for (const began = performance.now(); ; ) {
      const changed = new Promise<void>((resolve) => {
        this.#heard = resolve
      })
      const { text } = this
      if (what.test(text)) return text
      if (performance.now() > began + 30_000) throw new Error(`no ${what} in\n${text.trimEnd()}`)
      // Another size is not told.
      await Promise.race([changed, sleep(200)])
    }
  }

  /** The shell has its prompt again. */
  async prompt(status: number | string): Promise<string> {
    return this.shows(new RegExp(`<${status}>\\s*$`))
  }

  close(): void {
    if (!Screen.#open.delete(this)) return
    this.#tmux('kill-server')
    this.#client.stdin!.end()
  }
}
