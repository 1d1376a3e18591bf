/** Mounts that lie nowhere yet: new filesystems, and the attributes of any. */
import { routine } from '../assembly/routine.js'
import { variable, variables } from '../assembly/variables.js'
import { AT, FSCONFIG, FSMOUNT, FSOPEN, MOUNT_ATTR, MOVE_MOUNT, MS } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Slot } from '../machine/instruction.js'
import type { MountFlags } from '../plan/step.js'
import type { LauncherContext } from './launcherContext.js'
import type { Word } from './rows.js'

/** The mount at work: made, or cloned, and not attached yet. */
export const treeOf = variable()
/** Its words, as they are in a row. */
const newMountOf = variables('type', 'option', 'attributes')

/** move_mount(2): the first descriptor is the mount itself. */
export const onEmptyPath = MOVE_MOUNT.F_EMPTY_PATH

export function attributesOf(flags: MountFlags): number {
  return (
    (flags.readonly ? MOUNT_ATTR.RDONLY : 0) |
    (flags.nosuid ? MOUNT_ATTR.NOSUID : 0) |
    (flags.nodev ? MOUNT_ATTR.NODEV : 0) |
    (flags.noexec ? MOUNT_ATTR.NOEXEC : 0)
  )
}

/** Adds flags to the mount in `tree`, and cuts it off as `isolateMounts` does. */
export function restrict(c: LauncherContext, tree: Slot, flags: MountFlags, recursive: boolean): void {
  const at = AT.EMPTY_PATH | (recursive ? AT.RECURSIVE : 0)
  setAttributes(c, { tree, at, set: attributesOf(flags), propagation: propagationOf(c) })
}

export function propagationOf(c: LauncherContext): number {
  const isolated = c.plan.world.init.find((step) => step.do === 'isolateMounts')
  return isolated?.propagation === 'slave' ? 0 : MS.PRIVATE
}

/** mount_setattr(2): attributes to add, and the propagation. */
export const setAttributes = routine(
  'setAttributes',
  { takes: ['tree', 'at', 'set', 'propagation'] },
  (c: LauncherContext, { tree, at, set, propagation }) => {
    const { b } = c
    const { size, fields } = structs.mount_attr
    const attributes = b.reserve(size, 8)
    b.store(64, attributes, fields.attr_set.offset, set)
    b.store(64, attributes, fields.propagation.offset, propagation)
    c.must('mount_setattr', tree, b.text(''), at, attributes, size)
  },
)

/** A new filesystem, not attached anywhere yet: fsopen(2), fsconfig(2), fsmount(2). */
export function newMount(
  c: LauncherContext,
  type: string,
  options: readonly (readonly [string, string])[],
  flags: MountFlags,
): Slot {
  c.setWords(newMountWords(c, type, options, flags))
  makeMount(c, {})
  return treeOf(c.b)
}

/** What {@link makeMount} needs: the options are a table of names and values, which ends in 0. */
export function newMountWords(
  c: LauncherContext,
  type: string,
  options: readonly (readonly [string, string])[],
  flags: MountFlags,
): Word[] {
  const { b } = c
  const fresh = newMountOf(b)
  const words = options.flatMap(([name, value]) => [b.text(name), value === '' ? 0 : b.text(value)])
  return [
    [fresh.type, type],
    [fresh.option, b.table([...words, 0])],
    [fresh.attributes, attributesOf(flags)],
  ]
}

/** Leaves the new mount in {@link treeOf}. */
export const makeMount = routine('newMount', {}, (c: LauncherContext) => {
  const { b } = c
  const { type, option, attributes } = newMountOf(b)
  const [context, name, value, command] = b.temporaries(4)
  b.move(context, c.must('fsopen', type, FSOPEN.CLOEXEC))
  b.loop(({ leave }) => {
    b.load(name, 32, option)
    b.when(name, 'eq', 0, leave)
    b.load(value, 32, option, 4)
    b.compute(option, option, 'add', 8)
    b.move(command, FSCONFIG.SET_STRING)
    b.when(value, 'eq', 0, () => b.move(command, FSCONFIG.SET_FLAG))
    c.must('fsconfig', context, command, name, value, 0)
  })
  c.must('fsconfig', context, FSCONFIG.CMD_CREATE, 0, 0, 0)
  b.move(treeOf(b), c.must('fsmount', context, FSMOUNT.CLOEXEC, attributes))
  c.attempt('close', context)
})
