/// <reference types="node" preserve="true" />
// The public types speak of Node.js's. Where a package manager links vial or keeps its dependencies apart, tsc(1) looks for
// them beside vial only when it is told so here.
/** vial: a sandbox compiler. `sandbox(policy)` is where to start. */

export { type Compiled, type CompileOptions, compile } from './compile/compile.js'
export type { ExplainedStep, Explanation } from './compile/explain.js'
export type { Architecture } from './kernel/architecture.js'
export type { Box, BoxEvents, BoxRun } from './live/box.js'
export type { BoxFiles } from './live/boxFiles.js'
export type { BoxShell, ScriptOptions, ScriptResult, ShellOptions } from './live/boxShell.js'
export type { BoxNetwork } from './live/boxNetwork.js'
export type { BoxUsage, RunningProcess } from './live/boxUsage.js'
export type { FileEntry, FileKind, FileStatus } from './live/fileEntries.js'
export type {
  Abortable,
  Copied,
  DirectoryOptions,
  FilesOptions,
  PackOptions,
  ReadOptions,
  TreeEntry,
  TreeOptions,
  WriteOptions,
} from './live/filesOptions.js'
export type { FileChange, FileChangeKind, FileWatch } from './live/fileWatch.js'
export type { Agreement, InspectedFact, InspectedProcess, InspectedValue, Inspection } from './live/inspection.js'
export { type OpenOptions, type RemoveOptions, Sandbox, sandbox } from './live/liveSandbox.js'
export type { MountOptions } from './live/mountInto.js'
export type { Pool, PoolMetrics, PoolRun } from './live/pool.js'
export type { PoolFile, PoolOptions, PoolRunOptions } from './live/poolOptions.js'
export type { Change } from './live/workChanges.js'
export type { CommitOptions, DiffOptions, WorkOptions } from './live/workOptions.js'
export { protectedNames } from './live/workProtection.js'
export type { NetworkSummary, RefusedDestination } from './network/networkEvents.js'
export { type Beside, type SecurityRow, security } from './plan/security.js'
export { checkPolicy } from './policy/check.js'
export type { LimitsPolicy } from './policy/limitsSchema.js'
export type {
  NetworkAnswer,
  NetworkEvent,
  NetworkRequest,
  NetworkVerdict,
  OnRequest,
  Resolve,
} from './policy/networkCalls.js'
export type { OwnLimits, OwnOptions } from './policy/ownOptions.js'
export type { StrictEntry as FilesystemEntry, StrictPolicy as Policy } from './policy/schema.js'
export type { Duration, Size } from './policy/units.js'
export type { Visible } from './policy/visible.js'
export type { Enforcement } from './run/enforcement.js'
export { AbortError, type Result } from './run/result.js'
export type { CommandOptions, RunOptions, SpawnOptions, TerminalOptions } from './run/runOptions.js'
export type { RunResult } from './run/sandbox.js'
export type { BoxProcess, SandboxProcess } from './run/spawn.js'
export type { Usage } from './run/status.js'
export type { TerminalProcess } from './run/terminal.js'
export type { OutputStream, SignalName, Verdict } from './run/verdict.js'
export { profiles } from './seccomp/compileProfile.js'
export type { OciProfile, SeccompProfile } from './seccomp/profileSchema.js'
export {
  CommandError,
  type ErrorDetails,
  type Fault,
  HostError,
  LimitsError,
  OptionError,
  PolicyError,
  SandboxError,
  type Stage,
  VialError,
} from './text/error.js'
