/** What ends a command early, and how that is told: by each door the same. The process that has the door imports it. */
import type { Policy, RunResult } from '../../src/index.js'

/** Of a box and of a pool. */
type Run = (
  command: string,
  args: readonly string[],
  options?: { readonly timeout?: number; readonly maxBuffer?: number; readonly signal?: AbortSignal },
) => Promise<RunResult<string | Buffer>>

export const policy: Policy = { preset: 'system', limits: { stderr: 10, required: false } }

export async function earlyEnds(run: Run): Promise<readonly unknown[]> {
  const sh = (script: string, options = {}) => run('sh', ['-c', script], options)
  const aborter = new AbortController()
  const aborted = sh('echo begun; sleep 600; :', { signal: aborter.signal }).catch((error) => [
    error.name,
    error.stdout,
  ])
  const timed = await sh('setsid sleep 600 & sleep 600; :', { timeout: 300 })
  aborter.abort()
  const much = await sh('yes', { maxBuffer: 100 })
  const limited = await sh('echo 123456789012 >&2; sleep 600; :')
  const late = await run('true', [], { signal: AbortSignal.abort() }).catch((error) => error.name)
  return [
    [timed.verdict, timed.timedOut],
    await aborted,
    [much.verdict, much.stdout.length, much.truncated],
    [limited.verdict, limited.stderr],
    late,
  ]
}

export const told: readonly unknown[] = [
  [{ kind: 'killed', by: 'timeout' }, true],
  ['AbortError', 'begun\n'],
  [{ kind: 'killed', by: 'maxBuffer' }, 100, true],
  [{ kind: 'output-limit', stream: 'stderr', limit: 10 }, '1234567890'],
  'AbortError',
]

/** As what another process imports. */
export const here = import.meta.url
