/** Code that makes the payload's environment and finds the command on its PATH. */
import { findEnvironment, findVariable } from '../assembly/environment.js'
import { allocate } from '../assembly/memory.js'
import { routine } from '../assembly/routine.js'
import { copyText } from '../assembly/text.js'
import { errno } from '../kernel/errno.js'
import { AT } from '../kernel/flags.js'
import type { Label, Operand, Slot } from '../machine/instruction.js'
import type { Environment } from '../plan/manner.js'
import { targetArguments } from './entering.js'
import type { LauncherContext } from './launcherContext.js'
import { requireSame } from './openFiles.js'

/**
 * Leaves `argv` and `envp` ready: argv is what follows the vial's own name, envp what the plan sets and then what it
 * inherits. Ends the vial with a usage line when there is no command.
 */
export function prepareArguments(c: LauncherContext): void {
  const { b, plan } = c
  const { argv } = c
  const count = b.temporary()
  const { perRun, enters, serves } = plan.start
  // Each command brings its own.
  if (serves !== undefined) return
  // Behind the vial's own name, the sandbox that is meant, and a working directory.
  const before = 1 + (enters === undefined ? 0 : targetArguments) + (perRun ? 1 : 0)
  b.load(count, 64, c.stack)
  b.compute(argv, c.stack, 'add', 8 + 8 * before)
  if (perRun) b.load(c.cwd, 64, c.stack, 8 * before)
  if (!plan.start.living?.holds)
    b.when(count, 'le', before, () => {
      const target = enters === undefined ? '' : '/proc/PID START-TIME DIRECTORY '
      const usage = `vial: no command was given\n      usage: VIAL ${target}COMMAND [ARGUMENT…]\n`
      c.attempt('write', 2, b.text(usage), Buffer.byteLength(usage))
      c.exit(125)
    })
  nameCommand(c)
  const host = b.temporary()
  findEnvironment(c, host, count)
  prepareEnvironment(c, host)
}

/** The first word is the command, and what it is called where the plan has no other name for it. */
export function nameCommand({ b, plan, argv, command }: LauncherContext): void {
  b.load(command, 64, argv)
  if (plan.start.argv0 !== undefined) b.store(64, argv, 0, b.text(plan.start.argv0))
}

/** Of a vial whose environment its caller has made. */
const whole = { set: [], inherit: true, pwd: false } as const satisfies Partial<Environment>

function prepareEnvironment(c: LauncherContext, host: Slot): void {
  const { b, plan } = c
  const { environment, perRun } = plan.start
  const { set, inherit, pwd } = perRun ? whole : environment
  const { unset } = environment
  const { envp } = c
  const [next, variable] = b.temporaries(2)
  if (inherit === true || inherit.length > 0) {
    // As many as the caller has, and ours, and the end.
    const end = b.temporary()
    b.move(end, host)
    b.loop(({ leave }) => {
      b.load(variable, 64, end)
      b.compute(end, end, 'add', 8)
      b.when(variable, 'eq', 0, leave)
    })
    b.compute(end, end, 'sub', host)
    b.compute(end, end, 'add', 8 * (set.length + 2))
    allocate(c, end)
    c.orFail()
    b.move(envp, c.result)
  } else {
    b.move(envp, b.reserve(8 * (set.length + 2)))
  }
  b.move(next, envp)
  if (pwd) {
    rememberDirectory(c, host)
    b.store(64, next, 0, c.pwd)
    b.compute(next, next, 'add', 8)
  }
  for (const [name, value] of set) {
    b.store(64, next, 0, b.text(`${name}=${value}`))
    b.compute(next, next, 'add', 8)
  }
  if (inherit === true || inherit.length > 0) {
    b.loop(({ leave }) => {
      const skip = b.label()
      const keep = b.label()
      b.load(variable, 64, host)
      b.compute(host, host, 'add', 8)
      b.when(variable, 'eq', 0, leave)
      for (const name of [...(pwd ? ['PWD'] : []), ...set.map(([name]) => name), ...unset])
        matchName(c, variable, name, skip)
      if (inherit !== true) {
        for (const pattern of inherit) matchName(c, variable, pattern, keep)
        b.jump(skip)
      }
      b.place(keep)
      b.store(64, next, 0, variable)
      b.compute(next, next, 'add', 8)
      b.place(skip)
    })
  }
  b.store(64, next, 0, 0)
}

/**
 * Before anything is mounted: where the caller is. As get_current_dir_name(3): by the caller's PWD, which may lead through
 * symlinks, where it names the directory; else by the kernel's name.
 */
function rememberDirectory(c: LauncherContext, host: Slot): void {
  const { b } = c
  const [cursor, given, byte] = [b.temporary(), b.temporary(), b.temporary()]
  const [known, unknown] = [b.label(), b.label()]
  b.move(cursor, c.pwd)
  copyText(b, cursor, b.text('PWD='))
  findVariable(b, given, 'PWD', host)
  b.load(byte, 8, given)
  b.branch(byte, 'ne', 0x2f, unknown)
  const here = { fd: AT.FDCWD, path: b.text('.') }
  requireSame(c, [{ fd: AT.FDCWD, path: given }, here], { different: unknown, failed: unknown })
  // No longer than PATH_MAX, or statx(2) would have failed.
  copyText(b, cursor, given)
  b.jump(known)
  b.place(unknown)
  c.attempt('getcwd', cursor, 4096)
  // A directory that was removed, or whose name is longer than any path may be, cannot be entered again.
  c.whenFailed(() => b.store(8, cursor, 0, 0))
  b.place(known)
}

/** The directory that is the vial's first argument. */
export function enterNamedDirectory(c: LauncherContext): void {
  const { b } = c
  const first = b.temporary()
  c.must('chdir', c.cwd)
  c.must('getcwd', c.scratch, 4096)
  b.load(first, 8, c.scratch)
  // A link of /proc may have led to another root: the name then begins with "(unreachable)", getcwd(3).
  b.when(first, 'ne', 0x2f, () => {
    c.failWith('EXDEV')
  })
}

/** The caller's directory if it is visible, else HOME, else the root; PWD says which. */
export function enterCallersDirectory(c: LauncherContext): void {
  const { b } = c
  const path = b.temporary()
  const home = b.temporary()
  const entered = b.label()
  b.compute(path, c.pwd, 'add', 4)
  c.attempt('chdir', path)
  c.whenFailed(
    () => {
      findVariable(b, home, 'HOME', c.envp)
      c.attempt('chdir', home)
      c.whenFailed(
        () => {
          c.must('chdir', b.text('/'))
          copyText(b, path, b.text('/'))
        },
        () => copyText(b, path, home),
      )
    },
    () => b.jump(entered),
  )
  b.place(entered)
}

/** Jumps to `target` when the name of `NAME=value` matches; `*` matches any run of characters. */
function matchName(c: LauncherContext, variable: Slot, pattern: string, target: Label): void {
  const { matches } = matchPattern(c, { text: variable, glob: c.b.text(pattern) })
  c.b.branch(matches, 'ne', 0, target)
}

const matchPattern = routine(
  'matchName',
  { takes: ['text', 'glob'], gives: ['matches'] },
  ({ b }: LauncherContext, { text, glob, matches }) => {
    const [textBack, globBack, left, right] = b.temporaries(4)
    const [equals, star] = [0x3d, 0x2a]
    b.move(globBack, 0)
    const no = b.label()
    b.loop(({ leave, again }) => {
      b.load(left, 8, text)
      b.load(right, 8, glob)
      const retry = b.label()
      b.when(right, 'eq', star, () => {
        b.compute(glob, glob, 'add', 1)
        b.move(globBack, glob)
        b.move(textBack, text)
        again()
      })
      b.when(left, 'eq', equals, () => {
        b.when(right, 'eq', 0, leave)
        b.jump(retry)
      })
      // A string without "=" is no variable.
      b.branch(left, 'eq', 0, no)
      b.branch(left, 'ne', right, retry)
      b.compute(text, text, 'add', 1)
      b.compute(glob, glob, 'add', 1)
      again()
      b.place(retry)
      b.branch(globBack, 'eq', 0, no)
      b.load(left, 8, textBack)
      b.branch(left, 'eq', equals, no)
      b.compute(textBack, textBack, 'add', 1)
      b.move(text, textBack)
      b.move(glob, globBack)
    })
    b.move(matches, 1)
    b.return()
    b.place(no)
    b.move(matches, 0)
  },
)

/** Executes the command: as it is when it has a slash, else from each directory of the payload's PATH, as execvp(3) does. */
export function execute(c: LauncherContext): void {
  const { b } = c
  const { command, argv, envp } = c
  const byte = b.temporary()
  const cursor = b.temporary()
  const slash = b.label()
  const longest = 4096
  b.move(cursor, command)
  // Else the first directory of PATH would be what is executed.
  b.load(byte, 8, command)
  b.when(byte, 'eq', 0, () => {
    c.failWith('ENOENT')
  })
  b.loop(({ leave }) => {
    b.load(byte, 8, cursor)
    b.when(byte, 'eq', 0, leave)
    b.branch(byte, 'eq', 0x2f, slash)
    b.compute(cursor, cursor, 'add', 1)
  })
  const path = b.temporary()
  // Where there is none, as execvp(3) has it.
  findVariable(b, path, 'PATH', envp, '/bin:/usr/bin')
  const denied = b.temporary()
  b.move(denied, 0)
  const candidate = c.scratch
  const end = b.temporary()
  const limit = b.temporary()
  b.compute(limit, candidate, 'add', longest)
  b.loop(({ leave, again }) => {
    b.load(byte, 8, path)
    b.when(byte, 'eq', 0, leave)
    b.move(end, candidate)
    b.loop(({ leave }) => {
      b.load(byte, 8, path)
      b.when(byte, 'eq', 0, leave)
      b.compute(path, path, 'add', 1)
      b.when(byte, 'eq', 0x3a, leave)
      b.when(end, 'lt', limit, () => {
        b.store(8, end, 0, byte)
        b.compute(end, end, 'add', 1)
      })
    })
    // An empty element would mean the working directory; it is passed over.
    b.when(end, 'eq', candidate, again)
    b.store(8, end, 0, 0x2f)
    b.compute(end, end, 'add', 1)
    const room = b.label()
    const from = b.temporary()
    b.move(from, command)
    b.loop(({ leave }) => {
      b.load(byte, 8, from)
      b.store(8, end, 0, byte)
      b.when(byte, 'eq', 0, leave)
      b.compute(from, from, 'add', 1)
      b.compute(end, end, 'add', 1)
      b.compute(byte, end, 'sub', candidate)
      b.branch(byte, 'ge', longest * 2 - 1, room)
    })
    c.attempt('execve', candidate, argv, envp)
    runScript(c, candidate)
    c.whenError('EACCES', () => b.move(denied, 1))
    c.whenError('ENOENT', again)
    c.whenError('ENOTDIR', again)
    c.whenError('EACCES', again)
    b.jump(c.fail)
    b.place(room)
    c.failWith('ENAMETOOLONG')
  })
  b.move(c.result, -errno.ENOENT)
  b.when(denied, 'ne', 0, () => b.move(c.result, -errno.EACCES))
  b.jump(c.fail)
  b.place(slash)
  c.attempt('execve', command, argv, envp)
  runScript(c, command)
  b.jump(c.fail)
}

/** After an execve(2) that failed: a script without a "#!" line goes to the shell. */
function runScript(c: LauncherContext, path: Operand): void {
  if (!c.plan.start.manner.runsScripts) return
  c.whenError('ENOEXEC', () => {
    const { b } = c
    const argv = b.temporary()
    // The vial's own name stands before argv, and makes room.
    b.compute(argv, c.argv, 'sub', 8)
    b.store(64, argv, 0, b.text('/bin/sh'))
    b.store(64, argv, 8, path)
    c.attempt('execve', b.text('/bin/sh'), argv, c.envp)
  })
}
