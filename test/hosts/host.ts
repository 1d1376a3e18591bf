/** Hosts that this machine is not: a root of their kind in a mount namespace of its own, in which vial runs. Only root can make one. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findProgram } from '../../src/fill/findProgram.js'
import { resolveLibraries } from '../../src/fill/libraries.js'
import { readElf } from '../../src/fill/readElf.js'
import { notInstalled, notRoot } from '../support/needs.js'
import { type Caller, root, workDirectory } from '../support/user.js'

export interface Host {
  /** Where its programs lie, and the libraries that only they find: a directory whose name is shorter than that of this machine's loader. */
  readonly store: string
  /** What programs of this machine it has, each at `STORE/tools/bin`. */
  readonly programs: readonly string[]
  readonly links: Readonly<Record<string, string>>
  /** Content by path; 0644 unless the mode is said. */
  readonly files: Readonly<Record<string, string | { readonly content: string; readonly mode: number }>>
  /** Programs in C, which name the libraries of the store themselves, as a store's do. */
  readonly compiled?: Readonly<Record<string, string>>
  /** Modes of directories; 0755. */
  readonly directories?: Readonly<Record<string, number>>
  /** User ids by path, of links themselves; root. */
  readonly owners?: Readonly<Record<string, number>>
}

/** What a host like this one cannot be made without. */
export const noHosts = notRoot || notInstalled('unshare', 'mount', 'pivot_root', 'umount', 'grep', 'gcc')

const dist = resolve(fileURLToPath(import.meta.url), '../../..')

/** Node and vial in a host, beside all that the host has itself. */
const ours = '/vial'

/**
 * Makes a host.
 *
 * @returns what runs `vial ARGS` in it, in a HOME of the caller's
 */
export function makeHost(name: string, host: Host) {
  const top = workDirectory(root, name)
  const inside = (path: string) => {
    const at = join(top, path)
    mkdirSync(dirname(at), { recursive: true })
    return at
  }
  for (const directory of ['/proc', '/dev', '/tmp', '/root', '/home'])
    mkdirSync(inside(`${directory}/.`), { recursive: true })
  chmodSync(inside('/tmp'), 0o1777)
  place(inside(ours), ours, [process.execPath, findProgram('umount')!])
  for (const part of ['dist', 'package.json'])
    cpSync(join(dist, '..', part), inside(`${ours}/${part}`), {
      recursive: true,
      filter: (one) => !/\/dist\/(?:test|docs|cjs)$/.test(one),
    })
  place(
    inside(host.store),
    host.store,
    host.programs.map((one) => findProgram(one)!),
  )
  for (const [path, source] of Object.entries(host.compiled ?? {})) {
    const linked = `-Wl,-dynamic-linker,${host.store}/ld.so,-rpath,${host.store}/lib`
    const { status, stderr } = spawnSync('gcc', ['-x', 'c', '-', linked, '-o', inside(path)], { input: source })
    if (status !== 0) throw new Error(`gcc: ${stderr}`)
  }
  for (const [path, to] of Object.entries(host.links)) symlinkSync(to, inside(path))
  for (const [path, file] of Object.entries(host.files)) {
    const { content, mode } = typeof file === 'string' ? { content: file, mode: 0o644 } : file
    writeFileSync(inside(path), content)
    chmodSync(inside(path), mode)
  }
  for (const [path, mode] of Object.entries(host.directories ?? {})) chmodSync(inside(path), mode)
  for (const [path, uid] of Object.entries(host.owners ?? {})) lchownSync(inside(path), uid, uid)
  return (caller: Caller, args: readonly string[]) => {
    const enter = `mount --bind ${top} ${top} && cd ${top} && mount --rbind /proc proc && mount --rbind /dev dev && pivot_root . . && ${ours}/bin/umount -l . && exec "$@"`
    const become = `const { mkdirSync, chownSync } = require('node:fs')
const home = '/home/${caller.uid}'
mkdirSync(home, { recursive: true })
chownSync(home, ${caller.uid}, ${caller.gid})
process.setgroups([]), process.setgid(${caller.gid}), process.setuid(${caller.uid})
process.chdir(home)
const [file, ...args] = [process.execPath, ...process.argv.slice(1)]
const done = require('node:child_process').spawnSync(file, args, { stdio: 'inherit', env: { ...process.env, HOME: home } })
process.exit(done.status ?? 1)`
    return spawnSync(
      'unshare',
      [
        '-m',
        'sh',
        '-c',
        enter,
        'sh',
        `${ours}/bin/${basename(process.execPath)}`,
        '-e',
        become,
        `${ours}/dist/src/cli/main.cjs`,
        ...args,
      ],
      { encoding: 'utf8', env: { PATH: process.env.PATH, LD_LIBRARY_PATH: `${ours}/lib` } },
    )
  }
}

/** Copies programs with their libraries; the loader that they name is the copy in `path`. */
function place(at: string, path: string, programs: readonly string[]): void {
  for (const directory of ['bin', 'lib']) mkdirSync(join(at, directory), { recursive: true })
  for (const program of programs) {
    const file = realpathSync(program)
    const { interpreter } = readElf(file)!
    const bytes = readFileSync(file)
    const loader = Buffer.alloc(interpreter!.length)
    if (loader.write(`${path}/ld.so`) < `${path}/ld.so`.length)
      throw new Error(`${path}/ld.so is longer than ${interpreter}`)
    loader.copy(bytes, bytes.indexOf(`${interpreter}\0`))
    writeFileSync(join(at, 'bin', basename(program)), bytes, { mode: 0o755 })
    copyFileSync(interpreter!, join(at, 'ld.so'))
    for (const { name, real } of resolveLibraries(file).libraries) copyFileSync(real, join(at, 'lib', name))
  }
}
