/** Reading and writing the files of a group, and what all ways share. */
import {
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  rmdirSync,
  writeSync,
  closeSync,
} from 'node:fs'
import { join } from 'node:path'

/** Writes one value in one write(2), as these files want it. */
export function writeValue(folder: string, file: string, value: string | number): void {
  const fd = openSync(join(folder, file), constants.O_WRONLY)
  try {
    writeSync(fd, String(value))
  } finally {
    closeSync(fd)
  }
}

const buffer = Buffer.alloc(64 * 1024)

/** A file's text; undefined when there is no such file, which depends on the kernel and its configuration. */
export function readText(folder: string, file: string): string | undefined {
  let fd: number
  try {
    fd = openSync(join(folder, file), constants.O_RDONLY)
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

export function readNumber(folder: string, file: string): number | undefined {
  const text = readText(folder, file)
  return text === undefined || !/^\d/.test(text) ? undefined : Number.parseInt(text, 10)
}

/** `name 12` lines. */
export function readTable(folder: string, file: string): ReadonlyMap<string, number> {
  const lines = (readText(folder, file) ?? '').split('\n')
  return new Map(lines.map((line) => line.split(' ')).map(([name, value]) => [name!, Number(value)]))
}

/** An object without the fields that are undefined. */
export function present<Fields extends object>(
  fields: Fields,
): { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never
}

/** Pids in the folders, as this process's pid namespace has them; 0 stands for one it cannot see. */
export function pidsIn(folders: readonly string[]): number[] {
  const texts = folders.map((folder) => {
    try {
      return readFileSync(join(folder, 'cgroup.procs'), 'utf8')
    } catch {
      return ''
    }
  })
  return [...new Set(texts.flatMap((text) => text.split('\n').filter(Boolean).map(Number)))]
}

export function killPids(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      if (pid > 0) process.kill(pid, 'SIGKILL')
    } catch {}
  }
}

/** Makes the folders, and takes back all of them when `fill` or one of them fails. */
export function makeFolders(folders: readonly string[], fill: () => void): void {
  const made: string[] = []
  try {
    for (const folder of folders) {
      mkdirSync(folder)
      made.push(folder)
    }
    fill()
  } catch (error) {
    for (const folder of made) removeFolder(folder)
    throw error
  }
}

/** rmdir(2); true when it is gone. Below a group there are others only if the sandbox had a way to make them. */
export function removeFolder(folder: string): boolean {
  try {
    rmdirSync(folder)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return true
    if (code !== 'EBUSY' && code !== 'ENOTEMPTY') throw error
    let inner: string[] = []
    try {
      inner = readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
    } catch {}
    for (const name of inner) removeFolder(join(folder, name))
    if (inner.length === 0) return false
    try {
      rmdirSync(folder)
      return true
    } catch {
      return false
    }
  }
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
