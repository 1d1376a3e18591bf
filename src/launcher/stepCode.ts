/** The code of each kind of step. */
import { PR } from '../kernel/flags.js'
import { rlimits } from '../kernel/rlimits.js'
import { pack, structs } from '../kernel/structs.js'
import type { Step, StepKind } from '../plan/step.js'
import { cloneInit } from './cloneInit.js'
import { descriptorCode } from './descriptorCode.js'
import { enteringCode } from './entering.js'
import { entryRows } from './entryRows.js'
import { execute } from './execute.js'
import { filesystemCode } from './filesystemCode.js'
import { gateCode } from './gate.js'
import { houseCode } from './house.js'
import { handlesCode } from './handOut.js'
import { hardeningCode } from './hardeningCode.js'
import { identityCode } from './identityCode.js'
import { landlockCode } from './landlockCode.js'
import type { Code, LauncherContext } from './launcherContext.js'
import { limitCode } from './limitCode.js'
import { logCode } from './logCode.js'
import { networkCode } from './networkCode.js'
import { dieWithParent } from './parent.js'
import { pipeCode } from './pipeCode.js'
import { slotCode } from './takeCommand.js'
import { terminalCode } from './terminalCode.js'
import { relayCode } from './terminalRelay.js'
import { outsideCode } from './waitOutside.js'

type ProcessStep = 'clone' | 'dieWithParent' | 'processName' | 'session' | 'umask' | 'rlimit' | 'execute'

const processCode: Code<ProcessStep> = {
  clone(c, step) {
    cloneInit(c, step)
  },

  dieWithParent(c) {
    dieWithParent(c)
  },

  processName(c, step) {
    c.must('prctl', PR.SET_NAME, c.b.text(step.name), 0, 0, 0)
  },

  session(c) {
    c.must('setsid')
  },

  umask(c, step) {
    c.attempt('umask', step.mask)
  },

  rlimit(c, step) {
    const limit = c.b.bytes(pack(structs.rlimit64, { rlim_cur: step.soft, rlim_max: step.hard }), 8)
    const call = ['prlimit64', 0, rlimits[step.name], limit, 0] as const
    if (step.ifAllowed) c.mustUnless('EPERM', ...call)
    else c.must(...call)
  },

  execute(c) {
    execute(c)
  },
}

const code: Code<Exclude<StepKind, keyof typeof entryRows>> = {
  ...filesystemCode,
  ...identityCode,
  ...descriptorCode,
  ...enteringCode,
  ...gateCode,
  ...handlesCode,
  ...houseCode,
  ...hardeningCode,
  ...landlockCode,
  ...limitCode,
  ...logCode,
  ...networkCode,
  ...pipeCode,
  ...slotCode,
  ...terminalCode,
  ...relayCode,
  ...outsideCode,
  ...processCode,
}

/** Emits the code of steps; the many of a kind become rows. */
export function emitSteps(c: LauncherContext, steps: readonly Step[]): void {
  for (const step of steps) {
    if (isEntry(step)) c.b.scope(() => emit(c, entryRows, step))
    else {
      // Where sentences take room, one that hardly ever fails has none.
      if ('ifAllowed' in step && step.ifAllowed && c.plan.start.statusFd === undefined) c.note(step)
      else c.begin(step)
      c.b.scope(() => emit(c, code, step))
    }
  }
  c.endRows()
}

const isEntry = (step: Step): step is Step<keyof typeof entryRows> => step.do in entryRows

/** Of a table that has code for the kind of this step: else it does not type-check. */
function emit<Kind extends StepKind>(c: LauncherContext, table: Code<Kind>, step: Step<Kind>): void {
  table[step.do](c, step)
}
