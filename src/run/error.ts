/** The sandbox itself could not be made, or the command could not be executed in it. */
export class SandboxError extends Error {
  constructor(
    message: string,
    /** The errno's name, such as `ENOENT`. */
    readonly code: string | undefined,
  ) {
    super(message)
    this.name = 'SandboxError'
  }
}
