/** Mounts that lie nowhere yet: new filesystems, and the attributes of any. */
import { AT, FSCONFIG, FSMOUNT, FSOPEN, MOUNT_ATTR, MOVE_MOUNT, MS } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Routine } from '../machine/builder.js'
import type { Operand, Slot } from '../machine/instruction.js'
import type { MountFlags } from '../plan/step.js'
import type { LauncherContext } from './context.js'
import type { Word } from './rows.js'

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
  setAttributes(c, tree, at, attributesOf(flags), propagationOf(c))
}

export function propagationOf(c: LauncherContext): number {
  const isolated = c.plan.init.find((step) => step.do === 'isolateMounts')
  return isolated?.propagation === 'slave' ? 0 : MS.PRIVATE
}

/** mount_setattr(2): attributes to add, and the propagation. */
export function setAttributes(c: LauncherContext, tree: Slot, at: Operand, set: Operand, propagation: number): void {
  const { b } = c
  const slots = ['tree', 'at', 'set', 'propagation'].map((name) => b.slot(`attributes.${name}`)) as Slot[]
  const setter = b.routine('setAttributes', () => {
    const { size, fields } = structs.mount_attr
    const attributes = b.reserve(size, 8)
    b.store(64, attributes, fields.attr_set.offset, slots[2]!)
    b.store(64, attributes, fields.propagation.offset, slots[3]!)
    c.must('mount_setattr', slots[0]!, b.text(''), slots[1]!, attributes, size)
  })
  for (const [index, value] of [tree, at, set, propagation].entries()) b.move(slots[index]!, value)
  b.call(setter)
}

/** A new filesystem, not attached anywhere yet: fsopen(2), fsconfig(2), fsmount(2). */
export function newMount(
  c: LauncherContext,
  type: string,
  options: readonly (readonly [string, string])[],
  flags: MountFlags,
): Slot {
  c.setWords(newMountWords(c, type, options, flags))
  c.b.call(newMountRoutine(c))
  return c.b.slot('tree')
}

/** What {@link newMountRoutine} needs: the options are a table of names and values, which ends in 0. */
export function newMountWords(
  c: LauncherContext,
  type: string,
  options: readonly (readonly [string, string])[],
  flags: MountFlags,
): Word[] {
  const { b } = c
  const words = options.flatMap(([name, value]) => [b.text(name), value === '' ? 0 : b.text(value)])
  return [
    [b.slot('mount.type'), type],
    [b.slot('mount.option'), b.table([...words, 0])],
    [b.slot('mount.attributes'), attributesOf(flags)],
  ]
}

/** Leaves the new mount in `tree`. */
export function newMountRoutine(c: LauncherContext): Routine {
  return c.b.routine('newMount', () => {
    const { b } = c
    const [context, option] = [b.slot('mount.context'), b.slot('mount.option')]
    const [name, value, command] = [b.slot('mount.name'), b.slot('mount.value'), b.slot('mount.command')]
    b.move(context, c.must('fsopen', b.slot('mount.type'), FSOPEN.CLOEXEC))
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
    b.move(b.slot('tree'), c.must('fsmount', context, FSMOUNT.CLOEXEC, b.slot('mount.attributes')))
    c.attempt('close', context)
  })
}
