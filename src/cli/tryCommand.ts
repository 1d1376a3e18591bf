/** `vial try`: a command works on a directory in a layer, and its caller sees what it changed before that is applied. */
import { closeSync, openSync, readSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { isatty } from 'node:tty'
import type { Box } from '../live/box.js'
import { openInLayer } from '../live/openSandbox.js'
import { isCommittable } from '../live/workChoice.js'
import { WorkTree } from '../live/workTree.js'
import type { AcceptedPolicy } from '../policy/check.js'
import { exitStatuses } from '../text/error.js'
import { write } from '../text/write.js'
import { UsageError } from './commandLine.js'
import { ignoredSignals } from './ignored.js'
import { tableOf, textOf } from './changesShown.js'
import { atTerminal } from './ownTerminal.js'
import type { FlagsOf } from './policyFlags.js'
import { policyRun } from './policyRun.js'
import { runCompiled } from './runCompiled.js'
import { say } from './say.js'
import { Texts } from './texts.js'
import type { tryOptions } from './tryOptions.js'
import { standingIn, workOfFlags } from './workFlags.js'

export async function tryOut(
  command: string,
  args: readonly string[],
  given: FlagsOf<typeof tryOptions>,
): Promise<void> {
  const { work: directory = '.', yes, no, diff, ...others } = await atTerminal(given)
  const asked = workOfFlags(directory, others)
  if (yes && no) throw new UsageError('--yes applies the changes and --no does not: leave one of them out')
  const flags = standingIn(others, asked)
  const reportFile = flags.report === undefined ? undefined : (await import('./report.js')).openReport(flags.report)
  const options = flags.timeout === undefined ? {} : { timeout: flags.timeout }
  const work = WorkTree.over(asked)
  let policy: AcceptedPolicy | undefined
  const over = (asked: AcceptedPolicy) => {
    policy = asked
    return work.shownIn(asked)
  }
  const texts = new Texts()
  const run = policyRun({ command, args, flags, options, texts, reportFile, ignored: ignoredSignals(), over })
  let interrupted = false
  try {
    interrupted = await withoutInterrupt(() => runCompiled(run, undefined, () => undefined))
  } catch (error) {
    work.remove()
    throw error
  }
  if (interrupted || policy === undefined || process.exitCode === exitStatuses.sandbox) {
    work.remove()
    if (interrupted) process.kill(process.pid, 'SIGINT')
    return
  }
  // Nothing of the command runs any more: what is seen now is what is applied.
  const box = await openInLayer(work, (tree) => tree.alone(policy!.given.identity), process.cwd())
  try {
    await settle(box, { yes, no, diff })
  } finally {
    await box.close()
  }
}

/** Of ^C the layer has to be removed, before this process dies of it as well. */
async function withoutInterrupt(action: () => Promise<void>): Promise<boolean> {
  const take = () => {}
  process.on('SIGINT', take)
  try {
    await action()
    await setImmediate()
  } finally {
    process.off('SIGINT', take)
  }
  return process.exitCode === 130
}

type Asked = { readonly [Flag in 'yes' | 'no' | 'diff']?: true | undefined }

async function settle(box: Box, { yes, no, diff }: Asked) {
  const changes = await box.diff(diff ? { text: true } : {})
  if (changes.length === 0) return say('nothing was changed')
  write(2, tableOf(changes) + (diff ? textOf(changes) : ''))
  const only = changes.filter(isCommittable)
  if (no || only.length === 0) return
  if (yes && process.exitCode) return say('nothing is applied, for the command failed')
  if (!yes && !(isatty(0) && isatty(2))) return say('nothing is applied: that takes a terminal, or --yes')
  if (!yes && !(await isWanted(box))) return
  const applied = await box.commit({ only: only.map(({ path }) => path) })
  say(`applied ${applied.length} of ${changes.length}`)
}

async function isWanted(box: Box): Promise<boolean> {
  for (;;) {
    const answer = asked('apply? [y/N/d] ')
    if (/^y(es)?$/i.test(answer)) return true
    if (!/^d(iff)?$/i.test(answer)) return false
    write(2, textOf(await box.diff({ text: true })))
  }
}

/** At the terminal itself: the command may have left standard input in any state. */
function asked(question: string): string {
  write(2, question)
  const terminal = openSync('/dev/tty', 'r')
  try {
    const bytes = Buffer.alloc(256)
    return bytes.toString('utf8', 0, readSync(terminal, bytes)).trim()
  } finally {
    closeSync(terminal)
  }
}
