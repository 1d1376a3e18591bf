/** Slots of a pool that are open sandboxes: each is opened ahead, with the way in made that its one command takes. */
import type { AcceptedPolicy } from '../policy/check.js'
import { refuseAborted } from '../run/result.js'
import type { RunResult } from '../run/sandbox.js'
import type { Box } from './box.js'
import { sandboxOpener } from './openSandbox.js'
import type { InlineFile } from './poolOptions.js'
import type { PooledCommand, Slot, SlotMaker } from './slots.js'

/** @throws {VialError} where the policy has faults */
export function boxSlots(policy: AcceptedPolicy, base: string): SlotMaker {
  const open = sandboxOpener(policy, base)
  // What a cgroup has measured, and which limit was met, is known when all in it have ended.
  const measures = policy.checked.limits !== undefined
  return {
    async make() {
      const box = await open()
      box.makeReady()
      return new BoxSlot(box, measures)
    },
    async close() {},
  }
}

class BoxSlot implements Slot {
  readonly ended: Promise<unknown>

  constructor(
    readonly box: Box,
    readonly measures: boolean,
  ) {
    this.ended = box.wait().catch(() => {})
  }

  async run({ command, args, options, files }: PooledCommand): Promise<RunResult<string | Buffer>> {
    const { box } = this
    for (const file of files) await write(box, file)
    refuseAborted(options)
    const result = await box.run(command, args, options)
    if (!this.measures) return result
    box.signal('SIGKILL')
    const { verdict, usage } = await box.wait()
    return {
      ...result,
      verdict: verdict.kind.endsWith('-limit') ? verdict : result.verdict,
      usage: { ...result.usage, ...usage },
    }
  }

  close(): Promise<void> {
    return this.box.close()
  }
}

async function write({ files }: Box, { path, content, mode }: InlineFile): Promise<void> {
  const above = path.slice(0, path.lastIndexOf('/'))
  if (above !== '' && !(await files.exists(above))) await files.mkdir(above, { recursive: true })
  await files.write(path, content, { mode })
}
