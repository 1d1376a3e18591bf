import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import type { FillEntry } from '../../src/fill/entry.js'
import { ordinary } from '../support/user.js'

/** Runs `body` with a fresh directory that others may enter, and removes the directory afterwards. */
export function withDirectory<T>(body: (directory: string) => T): T {
  const directory = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'vial-fill-')))
  fs.chmodSync(directory, 0o755)
  try {
    return body(directory)
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}

export function output(command: string, args: string[]): string {
  const { stdout, stderr, status } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
  return stdout
}

interface Shape {
  type?: number
  machine?: number
  interpreter?: string
  soname?: string
  needed?: string[]
  rpath?: string
  runpath?: string
  flags1?: number
}

/** A 64-bit little-endian ELF file with nothing but headers, an interpreter and a dynamic section. */
export function makeElf(shape: Shape): Buffer {
  const { type = 3, machine = 62, interpreter, soname, needed = [], rpath, runpath, flags1 } = shape
  let strings = '\0'
  const add = (text: string) => {
    const at = strings.length
    strings += `${text}\0`
    return at
  }
  const tags: [number, number][] = needed.map((name) => [1, add(name)])
  if (soname !== undefined) tags.push([14, add(soname)])
  if (rpath !== undefined) tags.push([15, add(rpath)])
  if (runpath !== undefined) tags.push([29, add(runpath)])
  if (flags1 !== undefined) tags.push([0x6ffffffb, flags1])
  const interpreterAt = interpreter === undefined ? 0 : add(interpreter)
  const address = 0x10000
  const count = interpreter === undefined ? 2 : 3
  const dynamic = 64 + 56 * count
  const dynamicSize = (tags.length + 3) * 16
  const names = dynamic + dynamicSize
  tags.push([5, address + names], [10, strings.length], [0, 0])

  const bytes = Buffer.alloc(names + strings.length)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  bytes.writeUInt16LE(type, 16)
  bytes.writeUInt16LE(machine, 18)
  bytes.writeBigUInt64LE(64n, 32)
  bytes.writeUInt16LE(56, 54)
  bytes.writeUInt16LE(count, 56)
  const segments: [number, number, number][] = [
    [1, 0, bytes.length],
    [2, dynamic, dynamicSize],
  ]
  if (interpreter !== undefined) segments.push([3, names + interpreterAt, interpreter.length + 1])
  segments.forEach(([kind, offset, length], index) => {
    const at = 64 + 56 * index
    bytes.writeUInt32LE(kind, at)
    bytes.writeBigUInt64LE(BigInt(offset), at + 8)
    bytes.writeBigUInt64LE(BigInt(address + offset), at + 16)
    bytes.writeBigUInt64LE(BigInt(length), at + 32)
  })
  tags.forEach(([tag, value], index) => {
    bytes.writeBigUInt64LE(BigInt(tag), dynamic + 16 * index)
    bytes.writeBigUInt64LE(BigInt(value), dynamic + 16 * index + 8)
  })
  bytes.write(strings, names, 'latin1')
  return bytes
}

/** Runs a command as an ordinary user in a root that holds the entries, /proc, /dev and an empty /tmp, with Debian's bwrap. */
export function inside(entries: FillEntry[], command: string[], directory?: string) {
  const args = [
    '--unshare-all',
    '--clearenv',
    '--setenv',
    'PATH',
    '/usr/local/bin:/usr/bin:/bin',
    '--setenv',
    'HOME',
    '/tmp',
    '--tmpfs',
    '/tmp',
  ]
  const sources: string[] = []
  for (const entry of entries) {
    if ('bind' in entry) args.push('--ro-bind', entry.from ?? entry.bind, entry.bind)
    else if ('symlink' in entry) args.push('--symlink', entry.to, entry.symlink)
    else if ('directory' in entry) args.push('--dir', entry.directory)
    else if ('content' in entry) {
      if (directory === undefined) throw new Error('files need a directory')
      const source = path.join(directory, `file${sources.length}`)
      fs.writeFileSync(source, entry.content)
      sources.push(source)
      args.push('--ro-bind', source, entry.file)
    } else throw new Error(`unexpected ${JSON.stringify(entry)}`)
  }
  args.push('--proc', '/proc', '--dev', '/dev', '--chdir', '/', '--', ...command)
  const id = process.getuid?.() === 0 ? { uid: ordinary.uid, gid: ordinary.gid } : {}
  const { stdout, stderr, status } = spawnSync('bwrap', args, { ...id, cwd: '/', encoding: 'utf8' })
  return { stdout, stderr, status }
}
