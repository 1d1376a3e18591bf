/** Code that restricts the payload by Landlock, as far as the kernel that it runs on can: landlock(7). */
import { routine } from '../assembly/routine.js'
import { variables } from '../assembly/variables.js'
import { errno } from '../kernel/errno.js'
import { AT, F, LANDLOCK, S_IF } from '../kernel/flags.js'
import { fileRights, type Grant, grants, oldestAbi, onFiles, scopedAbi, scopes } from '../kernel/landlock.js'
import { structs } from '../kernel/structs.js'
import type { Label, Slot } from '../machine/instruction.js'
import type { LandlockRule, Step } from '../plan/step.js'
import type { LauncherContext } from './launcherContext.js'
import { fileKind } from './openFiles.js'

type Landlock = Step<'landlock'>

export const landlockCode = {
  landlock(c: LauncherContext, step: Landlock): void {
    const { b } = c
    const done = b.label()
    const abi = b.temporary()
    b.move(abi, c.attempt('landlock_create_ruleset', 0, 0, LANDLOCK.CREATE_RULESET_VERSION))
    // Asked for and not there, or forbidden by an outer filter.
    c.whenFailed(() => b.jump(step.required ? c.fail : done))
    b.when(abi, 'lt', oldestAbi, () => {
      b.move(c.result, -errno.EINVAL)
      b.jump(step.required ? c.fail : done)
    })
    const ruleset = createRuleset(c, step, abi, done)
    if (step.files !== undefined) {
      addPaths(c, step.files.rules)
      for (const [fds, add] of [
        [step.files.streams, addDescriptor],
        [step.files.passed, addPassed],
      ] as const)
        for (const fd of fds) {
          add(c, { fd })
          c.orFail()
        }
    }
    c.must('landlock_restrict_self', ruleset, 0)
    c.attempt('close', ruleset)
    b.place(done)
  },
}

/** The ruleset's descriptor, and what this kernel restricts. */
const rulesOf = variables('ruleset', 'handled')

const rightsOf = (names: readonly Grant[]) => names.reduce((all, name) => all | grants[name], 0)

/** What this kernel knows of all that there is to restrict. */
function createRuleset(c: LauncherContext, step: Landlock, abi: Slot, nothing: Label): Slot {
  const { b } = c
  const { ruleset, handled } = rulesOf(b)
  const { size, fields } = structs.landlock_ruleset_attr
  const attributes = b.reserve(size, 8)
  b.move(handled, 0)
  if (step.files !== undefined)
    for (const { abi: since, rights } of fileRights)
      b.when(abi, 'ge', since, () => b.compute(handled, handled, 'or', rights))
  b.store(64, attributes, fields.handled_access_fs.offset, handled)
  const held = Object.entries(scopes).filter(([scope]) => step.scopes?.some((one) => one === scope) ?? true)
  if (held.length > 0)
    b.when(
      abi,
      'ge',
      scopedAbi,
      () =>
        b.store(
          64,
          attributes,
          fields.scoped.offset,
          held.reduce((all, [, bit]) => all | bit, 0),
        ),
      () => {
        if (step.files !== undefined) return
        b.move(c.result, -errno.EINVAL)
        b.jump(step.required ? c.fail : nothing)
      },
    )
  // An older kernel takes the longer structure, where the rest is zero.
  b.move(ruleset, c.must('landlock_create_ruleset', attributes, size, 0))
  return ruleset
}

/** Rules from a table of paths and rights, which ends in 0. */
function addPaths(c: LauncherContext, rules: readonly LandlockRule[]): void {
  const { b } = c
  const [next, path, rights] = b.temporaries(3)
  b.move(next, b.table([...rules.flatMap(({ path, grants }) => [b.text(path), rightsOf(grants)]), 0]))
  b.loop(({ leave }) => {
    b.load(path, 32, next)
    b.when(path, 'eq', 0, leave)
    b.load(rights, 32, next, 4)
    b.compute(next, next, 'add', 8)
    addPath(c, path, rights)
  })
}

/**
 * A rule for what lies at a path. A path that is not there, or that the payload could not walk either, needs none. On a
 * file, only some rights are allowed, and all others fail with EINVAL.
 */
function addPath(c: LauncherContext, path: Slot, rights: Slot): void {
  const { b } = c
  const file = b.temporary()
  const end = b.label()
  c.attempt('openat', AT.FDCWD, path, c.open.PATH | c.open.CLOEXEC, 0)
  for (const name of ['ENOENT', 'EACCES', 'ENOTDIR', 'ELOOP'] as const) b.branch(c.result, 'eq', -errno[name], end)
  c.orFail()
  b.move(file, c.result)
  addRule(c, { file, rights })
  c.whenError('EINVAL', () => {
    b.compute(rights, rights, 'and', onFiles)
    addRule(c, { file, rights })
  })
  c.orFail()
  c.attempt('close', file)
  b.place(end)
}

/**
 * What is open may be opened again through /proc/self/fd or /dev/stdout, for what it is open for now and no more. Pipes
 * and sockets need no rule, and get EBADFD: they lie on no filesystem that can be mounted.
 */
const addDescriptor = routine('landlock.descriptor', { takes: ['fd'] }, (c: LauncherContext, { fd }) => {
  const { b } = c
  const [mode, rights] = b.temporaries(2)
  const [none, end] = [b.label(), b.label()]
  const accessMode = 3
  c.attempt('fcntl', fd, F.GETFL, 0)
  // Not open at all.
  c.whenFailed(() => b.jump(none))
  b.compute(mode, c.result, 'and', accessMode)
  b.move(rights, LANDLOCK.ACCESS_FS_IOCTL_DEV)
  b.when(mode, 'ne', c.open.WRONLY, () => b.compute(rights, rights, 'or', LANDLOCK.ACCESS_FS_READ_FILE))
  b.when(mode, 'ne', c.open.RDONLY, () => b.compute(rights, rights, 'or', grants.modify))
  addRule(c, { file: fd, rights })
  c.whenError('EBADFD', () => b.jump(none))
  b.jump(end)
  b.place(none)
  b.move(c.result, 0)
  b.place(end)
})

/** A directory is there because the caller passed it on purpose, with all that lies beneath. */
const addPassed = routine('landlock.passed', { takes: ['fd'] }, (c: LauncherContext, { fd }) => {
  c.b.when(
    fileKind(c, fd),
    'eq',
    S_IF.DIR,
    () => addRule(c, { file: fd, rights: rightsOf(['read', 'write', 'device']) }),
    () => addDescriptor(c, { fd }),
  )
})

/** The result is left to look at. The structure is packed: two fields of 8 and 4 bytes. */
const addRule = routine('landlock.rule', { takes: ['file', 'rights'] }, (c: LauncherContext, { file, rights }) => {
  const { b } = c
  const { ruleset, handled } = rulesOf(b)
  const { size, fields } = structs.landlock_path_beneath_attr
  const rule = b.reserve(size, 8)
  b.compute(rights, rights, 'and', handled)
  b.move(c.result, 0)
  // A rule that gives nothing is refused, landlock_add_rule(2).
  b.when(rights, 'ne', 0, () => {
    b.store(64, rule, fields.allowed_access.offset, rights)
    b.store(32, rule, fields.parent_fd.offset, file)
    c.attempt('landlock_add_rule', ruleset, LANDLOCK.RULE_PATH_BENEATH, rule, 0)
  })
})
