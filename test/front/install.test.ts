/** The package as npm installs it: from the packed file, with its scripts and without. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  chownSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { frontPath } from '../../src/cli/bwrap/frontFile.js'
import { callers, vial } from '../support/user.js'
import { entries, everything, front, newFolder, runAs } from './tools.js'

const checkout = fileURLToPath(new URL('../../..', import.meta.url))
const isElf = (path: string) => readFileSync(path).subarray(0, 4).toString('latin1') === '\x7fELF'

/** npm without what another npm, which runs these tests, has set. */
function npm(cwd: string, ...args: string[]): string {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')))
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd, env, encoding: 'utf8', timeout: 120_000 })
  assert.equal(status, 0, stderr)
  return stdout
}

test('npm links a fast vial-bwrap, and the script of it where scripts may not run', () => {
  const folder = newFolder(callers.at(-1)!)
  // A copy of the checkout, for packing changes what lies in dist.
  const copy = join(folder, 'checkout')
  mkdirSync(copy)
  for (const name of readdirSync(checkout))
    if (!['.git', 'node_modules', 'test', 'lab'].includes(name))
      cpSync(join(checkout, name), join(copy, name), { recursive: true })
  symlinkSync(join(checkout, 'node_modules'), join(copy, 'node_modules'))
  assert.ok(isElf(frontPath))
  const tarball = join(copy, npm(copy, 'pack', '--silent').trim().split('\n').at(-1)!)
  // It is as it was before.
  assert.ok(isElf(join(copy, 'dist/bin/vial-bwrap')))

  for (const [name, flags, elf] of [
    ['scripts', [], true],
    ['no-scripts', ['--ignore-scripts'], false],
  ] as const) {
    const project = join(folder, name)
    mkdirSync(project)
    writeFileSync(join(project, 'package.json'), '{ "private": true }')
    npm(project, 'install', '--prefer-offline', '--no-audit', '--no-fund', ...flags, tarball)
    const command = join(project, 'node_modules/.bin/vial-bwrap')
    assert.equal(isElf(command), elf)
    // What is compiled for one Node is not packed for all, and npm's scripts write it.
    const bundles = readdirSync(join(project, 'node_modules/vial/dist/src/cli/bundle'))
    assert.ok(bundles.includes('vial.cjs'))
    assert.equal(bundles.filter((file) => file.endsWith('.v8cache')).length, elf ? 3 : 0)
    const vial = spawnSync(join(project, 'node_modules/.bin/vial'), ['--version'], { encoding: 'utf8' })
    assert.match(vial.stdout, /^\d+\.\d+\.\d+\n$/)
    const cache = join(folder, `cache-${name}`)
    const run = (...args: string[]) =>
      spawnSync(command, args, { encoding: 'utf8', cwd: project, env: { ...process.env, VIAL_CACHE: cache } })
    for (let time = 0; time < 2; time++) assert.equal(run(...everything, '/bin/echo', 'ok').stdout, 'ok\n')
    assert.equal(entries(cache).length, elf ? 1 : 0)
    assert.equal(run('--bogus').stderr, 'bwrap: Unknown option --bogus\n')
    assert.equal(run(...everything, '/bin/sh', '-c', 'exit 3').status, 3)
  }
})

for (const caller of callers)
  test(`${caller.name}: vial front writes it elsewhere, whole or not at all`, () => {
    const folder = newFolder(caller)
    const path = join(folder, 'bwrap')
    writeFileSync(path, 'another program')
    if (process.getuid?.() === 0) chownSync(path, caller.uid, caller.gid)
    const { status, stdout, stderr } = vial(caller, ['front', '-o', 'bwrap'], { cwd: folder })
    assert.deepEqual([status, stdout, stderr], [0, `${path}\n`, ''])
    assert.ok(isElf(path))
    assert.equal(statSync(path).mode & 0o7777, 0o755)
    const cache = newFolder(caller)
    for (let time = 0; time < 2; time++)
      assert.equal(runAs(caller, path, [...everything, '/bin/echo', 'ok'], { cache }).stdout, 'ok\n')
    assert.equal(entries(cache).length, 1)
    assert.deepEqual(readdirSync(folder), ['bwrap'])
    mkdirSync(join(folder, 'taken'))
    for (const wrong of ['taken', 'none/bwrap', '/proc/bwrap']) {
      const failed = vial(caller, ['front', '-o', wrong], { cwd: folder })
      assert.notEqual(failed.status, 0)
      assert.match(failed.stderr, /^vial: .*(taken|bwrap)/)
      assert.equal(failed.stdout, '')
    }
    assert.deepEqual(readdirSync(folder).sort(), ['bwrap', 'taken'])
  })

for (const caller of callers)
  test(`${caller.name}: a front that was moved with the package, or copied alone, finds its compiler`, () => {
    const folder = newFolder(caller)
    chmodSync(folder, 0o755)
    // Beside it lies a compiler; the one that it was made with is another.
    mkdirSync(join(folder, 'dist/bin'), { recursive: true })
    cpSync(frontPath, join(folder, 'dist/bin/vial-bwrap'))
    const script = join(folder, 'dist/src/cli/bwrap/startFront.cjs')
    mkdirSync(join(script, '..'), { recursive: true })
    const path = join(folder, 'dist/bin/vial-bwrap')
    const run = () =>
      spawnSync(path, ['true'], {
        encoding: 'utf8',
        env: {},
        ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
      })
    assert.match(run().stderr, /^bwrap: /)
    writeFileSync(script, 'process.stderr.write("this one"); process.exitCode = 9')
    const { status, stderr } = run()
    assert.deepEqual([status, stderr], [9, 'this one'])
    assert.equal(front(caller, [...everything, '/bin/echo', 'ok'], { cache: newFolder(caller) }).stdout, 'ok\n')
  })

for (const caller of callers)
  test(`${caller.name}: a front takes no compiler that a payload may have put beside it`, () => {
    const home = newFolder(caller)
    const plant = (folder: string) => {
      const script = join(folder, 'src/cli/bwrap/startFront.cjs')
      mkdirSync(join(script, '..'), { recursive: true })
      writeFileSync(script, 'process.stderr.write("planted"); process.exitCode = 9')
    }
    const run = (path: string) => {
      const { stdout, stderr } = runAs(caller, path, [...everything, '/bin/echo', 'ok'], { cache: newFolder(caller) })
      return stdout + stderr
    }
    const copy = (folder: string) => {
      mkdirSync(folder, { recursive: true })
      cpSync(frontPath, join(folder, 'vial-bwrap'))
      return join(folder, 'vial-bwrap')
    }
    // A copy in ~/bin, and ~/src.
    const alone = copy(join(home, 'bin'))
    plant(home)
    assert.equal(run(alone), 'ok\n')
    // Named as in the package, where others may write.
    const named = copy(join(home, 'open/dist/bin'))
    plant(join(home, 'open/dist'))
    assert.equal(run(named), 'planted')
    chmodSync(join(home, 'open'), 0o777)
    assert.equal(run(named), 'ok\n')
  })
