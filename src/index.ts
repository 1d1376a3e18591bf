/** vial: a sandbox compiler. `sandbox(policy)` is where to start. */
export type { Architecture } from './kernel/architecture.js'
export { type FilesystemEntry, PolicyError, type StrictPolicy as Policy, checkPolicy } from './policy/schema.js'
export { profiles } from './seccomp/compile.js'
export type { OciProfile, SeccompProfile } from './seccomp/schema.js'
export { compile, type Compiled, type CompileOptions } from './run/compile.js'
export { type Beside, type SecurityRow, security } from './plan/security.js'
export type { ExplainedStep, Explanation } from './run/explain.js'
export {
  type Result,
  type RunOptions,
  type RunResult,
  Sandbox,
  SandboxError,
  type SandboxProcess,
  type SpawnOptions,
  sandbox,
} from './run/sandbox.js'
export type { Usage } from './run/status.js'
