/** Programs of the host that the lab calls. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** @throws {Error} with what the program complained of, or which Debian package has it. */
export async function call(program: string, args: readonly string[], cwd?: string): Promise<string> {
  try {
    const { stdout } = await execute(program, args, {
      maxBuffer: 64 * 2 ** 20,
      env: { ...process.env, LC_ALL: 'C.UTF-8', PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
      ...(cwd === undefined ? {} : { cwd }),
    })
    return stdout
  } catch (error) {
    const { code, stderr = '' } = error as { code?: unknown; stderr?: string }
    if (code === 'ENOENT')
      throw new Error(`the lab needs ${program}: sudo apt-get install ${packageOf[program] ?? program}`)
    throw new Error(`${program} failed: ${stderr.trim() || (error as Error).message}`)
  }
}

const packageOf: Readonly<Record<string, string>> = {
  'apt-get': 'apt',
  'dpkg-deb': 'dpkg',
  mke2fs: 'e2fsprogs',
  xz: 'xz-utils',
}
