/** A command in a terminal of its own, which this process holds the other end of. */
import type { Readable, Writable } from 'node:stream'
import { Streams } from './connections.js'
import { checkCommand, type TerminalOptions, terminalOptions } from './runOptions.js'
import { type SandboxProcess, type Startable, startVial, withStreams } from './spawn.js'
import type { Stdio } from './stdio.js'

/** A command that runs in a terminal of its own. */
export interface TerminalProcess extends Pick<SandboxProcess, 'pid' | 'kill' | 'result' | typeof Symbol.asyncDispose> {
  /**
   * What is typed: `'\r'` is Return, `'\x03'` is Ctrl-C. Its end is no end of the terminal: a shell ends at `'\x04'`, Ctrl-D, on a line of
   * its own.
   */
  readonly stdin: Writable
  /**
   * What the terminal shows, standard error too, with its control sequences. A command waits for who does not read it; destroyed, the terminal is closed, and the
   * command gets SIGHUP.
   */
  readonly stdout: Readable
  /** The terminal has another size from now on, which its foreground is told by SIGWINCH. False: the command has ended. */
  resize(cols: number, rows: number): boolean
}

/** The pipes of the monitor, which hands on between them and the terminal: launcher/terminalRelay.ts. */
export const terminalStdio: Stdio = ['input', 'output', 'ignore']

/** @param vial compiled for {@link terminalStdio} and a terminal */
export function spawnTerminal(vial: Startable, options: TerminalOptions): TerminalProcess {
  const { command = 'sh', args = [], cols = 80, rows = 24 } = options
  const streams = new Streams(terminalStdio)
  const started = startVial(vial, command, args, terminalStdio, options, streams.connect, { cols, rows })
  const { stdin, stdout, ...process } = withStreams(streams, started)
  return {
    pid: process.pid,
    stdin: stdin!,
    stdout: stdout!,
    kill: process.kill,
    result: process.result,
    [Symbol.asyncDispose]: process[Symbol.asyncDispose],
    resize(cols, rows) {
      checkCommand(command, args, { cols, rows }, terminalOptions)
      return started.resize({ cols, rows })
    },
  }
}
