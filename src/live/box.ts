/** A sandbox that is open: commands enter it, any number at a time, until it is closed. */
import { EventEmitter } from 'node:events'
import type { Compiled } from '../compile/compile.js'
import { tellingShortage } from '../kernel/shortage.js'
import type { GroupOption } from '../plan/lowerLimits.js'
import type { AcceptedPolicy } from '../policy/check.js'
import type { OwnOptions } from '../policy/ownOptions.js'
import type { Result } from '../run/result.js'
import {
  checkOptions,
  type RunOptions,
  type SpawnOptions,
  shellOptions,
  type TerminalOptions,
} from '../run/runOptions.js'
import { type RunResult, Sandbox } from '../run/sandbox.js'
import type { BoxProcess } from '../run/spawn.js'
import type { TerminalProcess } from '../run/terminal.js'
import type { Verdict } from '../run/verdict.js'
import { HostError, OptionError, VialError } from '../text/error.js'
import type { BoxFiles } from './boxFiles.js'
import { BoxGate } from './boxGate.js'
import { BoxNetwork, type NetworkControl } from './boxNetwork.js'
import { BoxShell, type ShellOptions, shellStdio } from './boxShell.js'
import type { BoxUsage, RunningProcess } from './boxUsage.js'
import { targetOf } from './enterSandbox.js'
import { filesOf } from './filesOf.js'
import type { Inspection } from './inspection.js'
import type { Inspected } from './inspectSandbox.js'
import type { MountOptions, SandboxMounts } from './mountInto.js'
import type { MountRecords } from './mountRecords.js'
import type { GateOptions } from './openGate.js'
import type { Change } from './workChanges.js'
import type { WorkMount } from './workMount.js'
import type { CommitOptions, DiffOptions } from './workOptions.js'
import type { WorkTree } from './workTree.js'

/** The work tree of a box. */
export interface BoxWork {
  tree(): WorkTree | Promise<WorkTree>
  /** Opens a box of the same policy that has that tree. */
  openAnother(tree: WorkTree): Promise<Box>
  /** The box has ended. */
  ended(): void
}

/** How a box comes to its end. */
export interface BoxLife {
  readonly sandbox: Inspected
  /** What was mounted into it while it runs. */
  readonly mounts: MountRecords
  /** The directory of the host that it has a layer over; undefined: none. */
  readonly work?: BoxWork | undefined
  /** What serves its network. */
  readonly network?: NetworkControl | undefined
  /** Sends all in it a signal: SIGKILL ends it. False: it has ended. */
  signal(signal: NodeJS.Signals): boolean
  /** How it ended; where another program started it, what is known of that. */
  readonly ended: Promise<Pick<Result, 'exitCode' | 'signal' | 'verdict'> & Partial<Pick<Result, 'usage'>>>
}

/** What a box tells, by the name of the event. */
export interface BoxEvents {
  /** It has ended. */
  exit: [Awaited<BoxLife['ended']>]
  /** The kernel killed all in it for want of memory: its limit of memory. Before `exit`. */
  oom: [Verdict]
  /** It met a limit. Before `exit`. */
  limit: [Verdict]
}

/** Runs a command in an open sandbox. With `encoding: 'buffer'` it collects bytes, else text. */
export interface BoxRun {
  (
    command: string,
    args: readonly string[],
    options: RunOptions & OwnOptions & { readonly encoding: 'buffer' },
  ): Promise<RunResult<Buffer>>
  (
    command: string,
    args?: readonly string[],
    options?: RunOptions & OwnOptions & { readonly encoding?: 'utf8' },
  ): Promise<RunResult>
  (command: string, args?: readonly string[], options?: RunOptions & OwnOptions): Promise<RunResult<string | Buffer>>
}

/** Milliseconds: no timer of Node's has more. What waits for a sandbox of another's keeps this process by one. */
const longest = 2 ** 31 - 1

/** An open sandbox. Its limits hold for all commands together; `wallTime`, `timeout` and those of output for each. */
export class Box extends EventEmitter<BoxEvents> {
  readonly #life: BoxLife
  readonly #trusted: readonly string[]
  readonly #retire: () => void
  readonly #renew: () => void
  #mounts: SandboxMounts | undefined
  #workMount: WorkMount | undefined
  #files: BoxFiles | undefined
  #network: BoxNetwork | undefined
  /**
   * Runs a command in it to its end and collects its output: options and result are those of {@link Sandbox.run}, and besides ids and
   * limits of the command's own.
   */
  readonly run: BoxRun
  /**
   * Starts a command in it, and gives its streams: as {@link Sandbox.spawn}. `kill('SIGKILL')` and `timeout` end the command; what it
   * has started in the background lives on in the box.
   */
  readonly spawn: (command: string, args?: readonly string[], options?: SpawnOptions & OwnOptions) => BoxProcess
  /** Starts a command in it, by default a shell, in a terminal of its own: as {@link Sandbox.pty}. */
  readonly pty: (options?: TerminalOptions & OwnOptions) => TerminalProcess
  /**
   * Opens a shell in it that goes on between the scripts that it is given: `cd`, variables and functions of one are there in the next.
   * @throws {OptionError} for options that are wrong
   */
  readonly shell: (options?: ShellOptions) => BoxShell
  /**
   * Makes now what the first command would make.
   * @internal
   */
  readonly makeReady: () => void
  /** The process outside that holds it: when it ends, so does all inside. */
  readonly pid: number

  /** @internal */
  constructor(
    policy: () => AcceptedPolicy,
    base: string,
    life: BoxLife,
    group: () => GroupOption | undefined,
    trusted: readonly string[] = [],
    /** The name that others attach to it by; undefined: it has none. */
    readonly name?: string,
    compiled?: (options: GateOptions) => Compiled,
  ) {
    super()
    this.#life = life
    this.#trusted = trusted
    this.pid = life.sandbox.monitor.pid
    const target = targetOf(life.sandbox.monitor)
    const door = new BoxGate({ policy, base, trusted, target, group }, compiled)
    const entrants = new Sandbox(policy, base, { trusted, entering: { target, group, door } })
    const retire = () => door.retire()
    this.#retire = retire
    this.#renew = () => door.renew()
    this.makeReady = () => door.open()
    life.ended.then(retire, retire)
    this.run = entrants.run.bind(entrants)
    this.spawn = entrants.spawn.bind(entrants)
    this.pty = entrants.pty.bind(entrants)
    this.shell = (options = {}) => {
      checkOptions(options, shellOptions)
      const { command = 'sh', ...others } = options
      return new BoxShell((connect) => entrants.connected(command, [], others, shellStdio, connect))
    }
    life.ended.then(
      (result) => {
        const { verdict } = result
        if (verdict.kind.endsWith('-limit')) this.emit('limit', verdict)
        if (verdict.kind === 'memory-limit') this.emit('oom', verdict)
        this.emit('exit', result)
      },
      () => {},
    )
  }

  /**
   * Sends a signal to all in it; of one with a command of its own, to that command. `SIGSTOP` and `SIGCONT` are for all in it, `SIGKILL`
   * ends it, as {@link close} does. False: it has ended.
   */
  signal(signal: NodeJS.Signals): boolean {
    return this.#life.signal(signal)
  }

  /**
   * What the kernel says of it, beside what its policy asks for: namespaces, ids, mounts, limits, and its processes with what each may do.
   * @throws {HostError} when it has ended
   */
  async inspect(): Promise<Inspection> {
    const { sandbox, mounts } = this.#life
    const { inspectSandbox } = await import('./inspectSandbox.js')
    return tellingShortage(async () => inspectSandbox(sandbox, mounts.all()))
  }

  /**
   * What runs in it now: what was left in the background too.
   * @throws {HostError} when it has ended
   */
  async processes(): Promise<RunningProcess[]> {
    return (await import('./boxUsage.js')).processesOf(this.#life.sandbox)
  }

  /**
   * Its network by name.
   * @throws {OptionError} when its policy has none
   */
  get network(): BoxNetwork {
    const control = this.#life.network
    if (control === undefined) throw new OptionError('the sandbox has no network by name: its policy lists none')
    this.#network ??= new BoxNetwork(control)
    return this.#network
  }

  /**
   * What all in it use together.
   * @throws {HostError} when it has ended
   */
  async usage(): Promise<BoxUsage> {
    return (await import('./boxUsage.js')).usageOf(this.#life.sandbox)
  }

  /**
   * Stops all that runs in it until {@link thaw}; time of a `timeout` goes on. It is done by SIGSTOP, which no process can catch; but one
   * inside may continue others, and a command that enters meanwhile runs. False: it has ended.
   */
  freeze(): boolean {
    return this.signal('SIGSTOP')
  }

  /** Has all in it go on. False: it has ended. */
  thaw(): boolean {
    return this.signal('SIGCONT')
  }

  /**
   * Mounts a file or directory of the host into it while it runs, with all that is mounted there: read-only, nosuid and nodev, unless it
   * is to be `writable`. A place that is not there is made, where that can be. Neither path may go through a symbolic link.
   * @returns false: there is nothing at `hostPath`, and it is `optional`
   * @throws {OptionError} where nothing is mounted: on "/", on what shows the kernel, or when its policy has `mounts: 'fixed'`
   * @throws {HostError} when the kernel refuses it
   */
  async mount(hostPath: string, inside: string, options: MountOptions = {}): Promise<boolean> {
    const mounts = await this.#changeable()
    return tellingShortage(() => mounts.mount(hostPath, inside, options))
  }

  /**
   * Takes away what {@link mount} has mounted at this place, also while it is in use: a process that has a file open there keeps it.
   * @throws {OptionError} when nothing was
   * @throws {HostError} when the kernel refuses it
   */
  async unmount(inside: string): Promise<void> {
    const mounts = await this.#changeable()
    return tellingShortage(() => mounts.unmount(inside))
  }

  /** Its files, for this program: as the payload's user has them, and no path leads outside. */
  get files(): BoxFiles {
    this.#files ??= filesOf(this.#life.sandbox, this.#life.ended)
    return this.#files
  }

  /**
   * What its commands have changed of the work tree: added, changed and removed paths, sorted. A directory that is new or gone comes with
   * all that is in it.
   * @throws {OptionError} when it was opened without `work`, or for options that are wrong
   * @throws {HostError} when the layer cannot be read whole
   */
  async diff(options: DiffOptions = {}): Promise<Change[]> {
    const tree = await this.#tree()
    return onTree(tree, () => tree.diff(this.files, options))
  }

  /**
   * Writes changes of the work tree to the host, and gives them: each file whole, beside its place, and renamed. What a command still
   * writes meanwhile may be in it or not. Set-id bits are not written,
   * and what is protected stays in the layer.
   * @throws {OptionError} when it was opened without `work`, or `only` names what is no path of the diff
   * @throws {HostError} with the code EPERM when `only` names what is protected
   * @throws {HostError} before anything is written, with the code ESTALE for paths that were changed on the host since it was opened, and for
   * devices, FIFOs and sockets; and when the host refuses one: then those before it are written
   */
  async commit(options: CommitOptions = {}): Promise<Change[]> {
    const tree = await this.#tree()
    return onTree(tree, () => tree.commit(this.files, options))
  }

  /**
   * Keeps the work tree as it is now, and gives the name by which {@link restore} finds it. That takes the same time however much is in it. A
   * process that works in a directory of the tree, or has a file open there, keeps that one, and can only read it: start shells anew.
   * @param name default: one that is free
   * @throws {OptionError} when it was opened without `work`, or the name is wrong or taken
   * @throws {HostError} with the code EBUSY while a command has a file of the tree open for writing; then nothing is changed
   */
  async snapshot(name?: string): Promise<string> {
    return this.#stack((tree, mount) => tree.snapshot(mount, name))
  }

  /**
   * Has the work tree be again what it was at {@link snapshot}, as quickly, and drops what was written since the last snapshot. All snapshots
   * stay. For processes that run, and with the errors, of that one.
   */
  async restore(name: string): Promise<void> {
    return this.#stack((tree, mount) => tree.restore(mount, name))
  }

  /**
   * Drops all that was written to the work tree, as {@link restore} does: it is what the host has now. That of a {@link fork} is what it
   * started from.
   */
  async rollback(): Promise<void> {
    return this.#stack((tree, mount) => tree.rollback(mount))
  }

  /**
   * Opens another box of the same policy, whose work tree starts from what this one has now: nothing is copied. Each has its own changes from
   * then on. What runs in this box does not run there. Errors are those of {@link snapshot}, and of opening a box.
   */
  async fork(): Promise<Box> {
    const { openAnother } = this.#work
    return tellingShortage(async () => openAnother(await this.#stack((tree, mount) => tree.fork(mount))))
  }

  async #stack<Value>(action: (tree: WorkTree, mount: WorkMount) => Promise<Value>): Promise<Value> {
    const tree = await this.#tree()
    const { WorkMount } = await import('./workMount.js')
    this.#workMount ??= new WorkMount(this.#life.sandbox)
    const mount = this.#workMount
    try {
      return await onTree(tree, () => action(tree, mount))
    } finally {
      // Landlock looks for the files that a process may write when it starts, and those are others now.
      this.#renew()
    }
  }

  #tree(): Promise<WorkTree> {
    return tellingShortage(async () => this.#work.tree())
  }

  get #work(): BoxWork {
    const { work } = this.#life
    if (work === undefined) throw new OptionError('this box has no work tree: open it with work: { path }')
    return work
  }

  async #changeable(): Promise<SandboxMounts> {
    const { SandboxMounts } = await import('./mountInto.js')
    const { sandbox, mounts } = this.#life
    this.#mounts ??= new SandboxMounts({ sandbox, mounts, trusted: this.#trusted })
    return this.#mounts
  }

  /** Waits until it has ended, by whatever. */
  async wait(): Promise<Awaited<BoxLife['ended']>> {
    const waiting = setInterval(() => {}, longest)
    try {
      return await this.#life.ended
    } finally {
      clearInterval(waiting)
    }
  }

  /** Ends all in it, and waits for that. */
  async close(): Promise<void> {
    this.#retire()
    this.#life.signal('SIGKILL')
    await this.wait().catch(() => {})
  }

  /** At the end of an `await using`: {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** What is done in the layers of a tree, which end with the sandbox. */
async function onTree<Value>(tree: WorkTree, action: () => Promise<Value>): Promise<Value> {
  try {
    return await tellingShortage(action)
  } catch (error) {
    if (error instanceof VialError || !tree.isRemoved) throw error
    throw new HostError('the sandbox has ended')
  }
}
