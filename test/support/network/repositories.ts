/** Repositories of one package, made in a directory of their own: of git, apt-get, pip and npm. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const put = (directory: string, files: Readonly<Record<string, string>>): void => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(directory, name, '..'), { recursive: true })
    writeFileSync(join(directory, name), text)
  }
}
const sum = (kind: string, bytes: string | Buffer, encoding: 'hex' | 'base64' = 'hex') =>
  createHash(kind).update(bytes).digest(encoding)

/** A text by HTTP. */
export const text = (directory: string): void => put(directory, { 'text.txt': 'here' })

/** As git's "dumb" protocol has it: files, and a list of them. */
export function git(directory: string): void {
  const tree = join(directory, 'tree')
  put(tree, { file: 'here' })
  const run = (cwd: string, ...args: readonly string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', '-C', cwd, ...args])
  run(tree, 'init', '-q', '-b', 'main')
  run(tree, 'add', '.')
  run(tree, 'commit', '-q', '-m', 'one')
  run(directory, 'clone', '-q', '--bare', 'tree', 'files.git')
  run(join(directory, 'files.git'), 'update-server-info')
}

/** A flat repository (sources.list(5)), and a package that apt-get downloads and does not open. */
export function apt(directory: string): void {
  const deb = 'here'
  const packages = [
    ...['Package: tiny', 'Version: 1', 'Architecture: all', 'Maintainer: t <t@example.com>', 'Description: t'],
    ...['Filename: ./tiny_1_all.deb', `Size: ${deb.length}`, `SHA256: ${sum('sha256', deb)}`, ''],
  ].join('\n')
  const release = `Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n ${sum('sha256', packages)} ${packages.length} Packages\n`
  put(directory, { 'tiny_1_all.deb': deb, Packages: packages, Release: release })
}

/** A wheel (PEP 427), and an index of its project (PEP 503). */
export function pip(directory: string): void {
  const wheel = 'tiny-1.0-py3-none-any.whl'
  const about = 'tiny-1.0.dist-info'
  put(join(directory, 'wheel'), {
    'tiny.py': 'says = "here"\n',
    [`${about}/METADATA`]: 'Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n',
    [`${about}/WHEEL`]: 'Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    [`${about}/RECORD`]: `tiny.py,,\n${about}/METADATA,,\n${about}/WHEEL,,\n${about}/RECORD,,\n`,
  })
  put(directory, { 'simple/tiny/index.html': `<a href="../../${wheel}">${wheel}</a>` })
  execFileSync('python3', ['-m', 'zipfile', '-c', `../${wheel}`, 'tiny.py', about], { cwd: join(directory, 'wheel') })
}

/** What the registry says of a package, and its archive. */
export function npm(directory: string): void {
  put(join(directory, 'package'), {
    'package.json': JSON.stringify({ name: 'tiny', version: '1.0.0', main: 'index.js' }),
    'index.js': "module.exports = 'here'\n",
  })
  execFileSync('tar', ['-czf', 'tiny.tgz', 'package'], { cwd: directory })
  const archive = readFileSync(join(directory, 'tiny.tgz'))
  const dist = {
    tarball: 'http://HOST/tiny/-/tiny-1.0.0.tgz',
    integrity: `sha512-${sum('sha512', archive, 'base64')}`,
    shasum: sum('sha1', archive),
  }
  const version = { name: 'tiny', version: '1.0.0', main: 'index.js', dist }
  put(directory, {
    'tiny/index.html': JSON.stringify({
      name: 'tiny',
      'dist-tags': { latest: '1.0.0' },
      versions: { '1.0.0': version },
    }),
    'tiny/-/x': '',
  })
  copyFileSync(join(directory, 'tiny.tgz'), join(directory, 'tiny/-/tiny-1.0.0.tgz'))
}
