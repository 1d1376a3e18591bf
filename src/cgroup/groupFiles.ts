/** Reading and writing the files of a group, and what all ways share; limitWrites.ts has the limits. */
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmdirSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Write } from './group.js'

/** Writes one value in one write(2), as these files want it. */
export function writeValue(directory: string, file: string, value: string | number): void {
  const fd = openSync(join(directory, file), constants.O_WRONLY)
  try {
    writeSync(fd, String(value))
  } catch (error) {
    throw Object.assign(error as Error, { path: join(directory, file) })
  } finally {
    closeSync(fd)
  }
}

/** This kernel lacks what a limit needs. */
export class CannotLimit extends Error {
  constructor(
    text: string,
    readonly hint?: string,
  ) {
    super(text)
  }
}

export function hasFile(directory: string, file: string): boolean {
  return existsSync(join(directory, file))
}

const buffer = Buffer.alloc(64 * 1024)

/** A file's text; undefined when there is no such file, which depends on the kernel and its configuration. */
export function readText(directory: string, file: string): string | undefined {
  let fd: number
  try {
    fd = openSync(join(directory, file), constants.O_RDONLY)
  } catch {
    return undefined
  }
  try {
    return buffer.toString('latin1', 0, readSync(fd, buffer))
  } catch {
    return undefined
  } finally {
    closeSync(fd)
  }
}

export function readNumber(directory: string, file: string): number | undefined {
  const text = readText(directory, file)
  return text === undefined || !/^\d/.test(text) ? undefined : Number.parseInt(text, 10)
}

/** `name 12` lines. */
export function readTable(directory: string, file: string): ReadonlyMap<string, number> {
  const lines = (readText(directory, file) ?? '').split('\n')
  return new Map(lines.map((line) => line.split(' ')).map(([name, value]) => [name!, Number(value)]))
}

/** An object without the fields that are undefined. */
export function present<Fields extends object>(
  fields: Fields,
): { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never
}

/**
 * Calls `visit` for each group below this directory, the deepest first, and for itself last. A sandbox that has a way to
 * make groups may make them so deep that no path reaches them: a descriptor then stands for the beginning of the path.
 */
export function eachGroup(directory: string, visit: (directory: string) => void): void {
  const inner = groupsIn(directory)
  const visitInner = (start: string) => {
    for (const name of inner) eachGroup(join(start, name), visit)
  }
  // A name has at most 255 bytes, and a path PATH_MAX, which is 4096.
  if (directory.length < 2048 || inner.length === 0) visitInner(directory)
  else {
    const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      visitInner(`/proc/self/fd/${fd}`)
    } finally {
      closeSync(fd)
    }
  }
  visit(directory)
}

function groupsIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
  } catch {
    return []
  }
}

/** Pids in the directories, as this process's pid namespace has them; 0 stands for one it cannot see. */
export function pidsIn(directories: readonly string[]): number[] {
  const texts = directories.map((directory) => {
    try {
      return readFileSync(join(directory, 'cgroup.procs'), 'utf8')
    } catch {
      return ''
    }
  })
  return [...new Set(texts.flatMap((text) => text.split('\n').filter(Boolean).map(Number)))]
}

/** The same, of all groups below them too. */
export function pidsBelow(directories: readonly string[]): number[] {
  const found = new Set<number>()
  for (const directory of directories)
    eachGroup(directory, (group) => {
      for (const pid of pidsIn([group])) found.add(pid)
    })
  return [...found]
}

export function killPids(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      if (pid > 0) process.kill(pid, 'SIGKILL')
    } catch {}
  }
}

/** Makes the directories, and takes back all of them when `fill` or one of them fails. */
export function makeDirectories(directories: readonly string[], fill: () => void): void {
  const made: string[] = []
  try {
    for (const directory of directories) {
      mkdirSync(directory)
      made.push(directory)
    }
    fill()
  } catch (error) {
    for (const directory of made) removeDirectory(directory)
    throw error
  }
}

/** rmdir(2) of a group and of all below it; true when it is gone, false while processes are in it. */
export function removeDirectory(directory: string): boolean {
  if (isRemoved(directory)) return true
  let gone = false
  eachGroup(directory, (group) => {
    gone = isRemoved(group)
  })
  return gone
}

function isRemoved(directory: string): boolean {
  try {
    rmdirSync(directory)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return true
    if (code === 'EBUSY' || code === 'ENOTEMPTY') return false
    throw error
  }
}

/** Wakes all in a v1 group of the freezer and in those below it: there, SIGKILL does not reach what is frozen. */
export function thaw(directory: string): void {
  eachGroup(directory, (group) => tryWrite(group, 'freezer.state', 'THAWED'))
}

/** Writes what may be gone meanwhile, or what this kernel lacks. */
export function tryWrite(directory: string, file: string, value: string | number): void {
  try {
    writeValue(directory, file, value)
  } catch {}
}

/**
 * The weight of BFQ, which knows 1 to 1000, that comes closest to one of 1 to 10000: 100 is the default of both.
 * @throws {CannotLimit} when this kernel weighs no I/O.
 */
export function bfqWeight(directory: string, file: string, weight: number): Write {
  if (!hasFile(directory, file))
    throw new CannotLimit(
      'this kernel weighs no I/O',
      'it needs the scheduler BFQ, or the cost model of cgroup v2 (CONFIG_BLK_CGROUP_IOCOST)',
    )
  return [file, weight <= 100 ? weight : Math.round(100 + ((weight - 100) * 900) / 9900)]
}

/** Whole disks, as `major:minor`, which is what limits of I/O are given for. */
export function disks(): string[] {
  const read = (path: string) => {
    try {
      return readFileSync(path, 'utf8').trim()
    } catch {
      return ''
    }
  }
  let names: string[] = []
  try {
    names = readdirSync('/sys/block')
  } catch {}
  return names
    .filter((name) => !/^(ram|zram)/.test(name) && Number(read(`/sys/block/${name}/size`)) > 0)
    .map((name) => read(`/sys/block/${name}/dev`))
    .filter(Boolean)
}
