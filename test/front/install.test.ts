/** The package as npm installs it: from the packed file, with its scripts and without. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { frontPath } from '../../src/bwrap/frontFile.js'
import { front as programOf } from '../../src/front/frontProgram.js'
import { hostArchitecture } from '../../src/host/thisHost.js'
import { assemble } from '../../src/machine/assemble.js'
import { type Caller, callers, vial } from '../support/user.js'
import { entries, everything, newDirectory, runAs } from './tools.js'

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
  const directory = newDirectory(callers.at(-1)!)
  // A copy of the checkout, for packing changes what lies in dist.
  const copy = join(directory, 'checkout')
  mkdirSync(copy)
  for (const name of readdirSync(checkout))
    if (!['.git', 'node_modules'].includes(name)) cpSync(join(checkout, name), join(copy, name), { recursive: true })
  symlinkSync(join(checkout, 'node_modules'), join(copy, 'node_modules'))
  // It is built already: what packing does besides is that of install.js.
  const manifest = JSON.parse(readFileSync(join(copy, 'package.json'), 'utf8'))
  manifest.scripts.prepare = manifest.scripts.prepare.split(' && ').at(-1)
  writeFileSync(join(copy, 'package.json'), JSON.stringify(manifest))
  assert.ok(isElf(frontPath))
  const tarball = join(copy, npm(copy, 'pack', '--silent').trim().split('\n').at(-1)!)
  // It is as it was before.
  assert.ok(isElf(join(copy, 'dist/bin/vial-bwrap')))

  for (const [name, flags, elf] of [
    ['scripts', [], true],
    ['no-scripts', ['--ignore-scripts'], false],
  ] as const) {
    const project = join(directory, name)
    mkdirSync(project)
    writeFileSync(join(project, 'package.json'), '{ "private": true }')
    npm(project, 'install', '--prefer-offline', '--no-audit', '--no-fund', ...flags, tarball)
    const command = join(project, 'node_modules/.bin/vial-bwrap')
    assert.equal(isElf(command), elf)
    // What is compiled for one Node is not packed for all, and npm's scripts write it.
    const bundles = readdirSync(join(project, 'node_modules/vial/dist/src/cli/bundle'))
    assert.ok(bundles.includes('vial.cjs'))
    assert.equal(bundles.filter((file) => file.endsWith('.v8cache')).length, elf ? 6 : 0)
    const vial = spawnSync(join(project, 'node_modules/.bin/vial'), ['--version'], { encoding: 'utf8' })
    assert.match(vial.stdout, /^\d+\.\d+\.\d+\n$/)
    const cache = join(directory, `cache-${name}`)
    const run = (...args: string[]) =>
      spawnSync(command, args, { encoding: 'utf8', cwd: project, env: { ...process.env, VIAL_CACHE: cache } })
    for (let time = 0; time < 2; time++) assert.equal(run(...everything, '/bin/echo', 'ok').stdout, 'ok\n')
    assert.equal(entries(cache).length, elf ? 1 : 0)
    assert.equal(run('--bogus').stderr, 'bwrap: Unknown option --bogus\n')
    assert.equal(run(...everything, '/bin/sh', '-c', 'exit 3').status, 3)
    if (elf) continue
    const copied = join(project, 'bin/bwrap')
    const planted = join(project, 'src/bwrap/bwrapCommand.js')
    for (const path of [copied, planted]) mkdirSync(dirname(path), { recursive: true })
    cpSync(realpathSync(command), copied)
    writeFileSync(planted, 'process.exit(9)')
    for (const type of ['commonjs', 'module']) {
      writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type }))
      const { status, stderr } = spawnSync(copied, ['true'], { encoding: 'utf8' })
      assert.equal(status, 1, stderr)
      assert.match(stderr, /^bwrap: this command was copied out of its package: .*vial front -o FILE\n$/)
    }
  }
})

for (const caller of callers)
  test(`${caller.name}: vial front writes it elsewhere, whole or not at all`, () => {
    const directory = newDirectory(caller)
    const path = join(directory, 'bwrap')
    writeFileSync(path, 'another program')
    if (process.getuid?.() === 0) chownSync(path, caller.uid, caller.gid)
    const { status, stdout, stderr } = vial(caller, ['front', '-o', 'bwrap'], { cwd: directory })
    assert.deepEqual([status, stdout, stderr], [0, `${path}\n`, ''])
    assert.ok(isElf(path))
    assert.equal(statSync(path).mode & 0o7777, 0o755)
    const cache = newDirectory(caller)
    for (let time = 0; time < 2; time++)
      assert.equal(runAs(caller, path, [...everything, '/bin/echo', 'ok'], { cache }).stdout, 'ok\n')
    assert.equal(entries(cache).length, 1)
    assert.deepEqual(readdirSync(directory), ['bwrap'])
    mkdirSync(join(directory, 'taken'))
    for (const wrong of ['taken', 'none/bwrap', '/proc/bwrap']) {
      const failed = vial(caller, ['front', '-o', wrong], { cwd: directory })
      assert.notEqual(failed.status, 0)
      assert.match(failed.stderr, /^vial: .*(taken|bwrap)/)
      assert.equal(failed.stdout, '')
    }
    assert.deepEqual(readdirSync(directory).sort(), ['bwrap', 'taken'])
  })

/** A package with a front and a compiler that only says where it is. */
function plantedPackage(caller: Caller, bin = 'dist/bin', name = 'vial-bwrap') {
  const directory = newDirectory(caller)
  chmodSync(directory, 0o755)
  const path = join(directory, bin, name)
  const script = join(directory, bin, '../src/cli/startFront.cjs')
  for (const one of [path, script]) mkdirSync(dirname(one), { recursive: true })
  cpSync(frontPath, path)
  writeFileSync(script, `process.stderr.write("planted: " + __dirname); process.exitCode = 9`)
  const run = (...args: string[]) => runAs(caller, path, args, { cache: newDirectory(caller) })
  return { directory, path, script, run }
}

const works = [...everything, '/bin/echo', 'ok'] as const

for (const caller of callers) {
  test(`${caller.name}: a front that was moved with the package finds its compiler beside it, by its real path`, () => {
    const { directory, path, run } = plantedPackage(caller)
    const { status, stderr } = run('true')
    assert.deepEqual([status, stderr], [9, `planted: ${join(directory, 'dist/src/cli')}`])
    // By a link to it as well.
    symlinkSync(path, join(directory, 'link'))
    assert.equal(runAs(caller, join(directory, 'link'), ['true']).status, 9)
  })

  test(`${caller.name}: a front that was copied alone uses the compiler that it was written with`, () => {
    const { path, script, run } = plantedPackage(caller)
    rmSync(script)
    assert.equal(run(...works).stdout, 'ok\n')
    assert.match(runAs(caller, path, ['true']).stderr, /^bwrap: /)
  })

  // What lies around a copy is no part of the package: a sandbox with ~/src writable could have put it there.
  for (const [bin, name] of [
    ['bin', 'bwrap'],
    ['bin', 'vial-bwrap'],
    ['dist/bin', 'bwrap'],
    ['dist/bin', 'other-vial-bwrap'],
    ['otherdist/bin', 'vial-bwrap'],
  ] as const)
    test(`${caller.name}: a front that was copied to ${bin}/${name} does not execute what lies beside it`, () => {
      assert.equal(plantedPackage(caller, bin, name).run(...works).stdout, 'ok\n')
    })

  const changes: Record<string, (planted: ReturnType<typeof plantedPackage>) => void> = {
    'the directory': ({ script }) => chmodSync(dirname(script), 0o777),
    'a directory above': ({ directory }) => chmodSync(join(directory, 'dist'), 0o777),
    'a directory above, as a group': ({ directory }) => chmodSync(join(directory, 'dist'), 0o775),
    'the script': ({ script }) => chmodSync(script, 0o666),
  }
  for (const [what, change] of Object.entries(changes))
    test(`${caller.name}: others can write to ${what}: the compiler beside the front is not used`, () => {
      const planted = plantedPackage(caller)
      change(planted)
      assert.equal(planted.run(...works).stdout, 'ok\n')
    })

  test(`${caller.name}: where others can change the compiler that it was written with, the front says so`, () => {
    const { directory, script } = plantedPackage(caller)
    const facts = {
      ...{ build: new Uint8Array(16), options: {}, node: process.execPath },
      script: { directory: dirname(script), name: basename(script), front: 'dist/bin/none', beside: '../none' },
    }
    const path = join(directory, 'copy')
    writeFileSync(path, assemble(programOf(facts, hostArchitecture()), hostArchitecture()), { mode: 0o755 })
    const run = () => runAs(caller, path, ['true'])
    assert.equal(run().status, 9)
    // Its group may: the package is often installed so.
    chmodSync(dirname(script), 0o775)
    assert.equal(run().status, 9)
    const says = `bwrap: Cannot use the compiler in ${dirname(script)}: it is gone, or others can change it. Install vial where only root, you or the owner of this command can write, and write this command again: vial front -o FILE\n`
    chmodSync(dirname(script), 0o777)
    assert.deepEqual([run().status, run().stderr], [1, says])
    rmSync(dirname(script), { recursive: true })
    assert.deepEqual([run().status, run().stderr], [1, says])
  })
}

test("a stranger's directory on the way to the compiler", { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  const stranger = 54321
  for (const caller of callers) {
    const planted = plantedPackage(caller)
    chownSync(join(planted.directory, 'dist/src'), stranger, stranger)
    assert.equal(planted.run(...works).stdout, 'ok\n', 'not used')
    // The owner of the front may also own the compiler.
    chownSync(planted.path, stranger, stranger)
    assert.equal(planted.run('true').status, 9)
  }
})
