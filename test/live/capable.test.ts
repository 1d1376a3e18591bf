/** A caller that may trace other processes is one like any other: what enters hides from it too, and works. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { notInstalled, notRoot } from '../support/needs.js'
import { ordinary, workDirectory } from '../support/user.js'

const dist = resolve(fileURLToPath(import.meta.url), '../../..')

test('a user with CAP_SYS_PTRACE starts a sandbox, enters it and runs commands in it', {
  skip: notRoot || notInstalled('setpriv'),
}, () => {
  const home = workDirectory(ordinary, 'capable')
  const env = { PATH: process.env.PATH, HOME: home, XDG_RUNTIME_DIR: join(home, 'run') }
  const { uid, gid } = ordinary
  const asCapable = (...args: string[]) => {
    const caps = ['--inh-caps=+sys_ptrace', '--ambient-caps=+sys_ptrace', '--bounding-set=+all']
    const ids = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
    const { status, stdout, stderr } = spawnSync('setpriv', [...ids, ...caps, process.execPath, ...args], {
      encoding: 'utf8',
      cwd: home,
      env,
    })
    assert.equal(status, 0, `${args.join(' ')}: ${stderr}`)
    return stdout
  }
  assert.match(
    asCapable('-p', "require('node:fs').readFileSync('/proc/self/status', 'utf8')"),
    new RegExp(`^CapEff:\\s*0*${(1 << 19).toString(16)}$`, 'm'),
  )
  asCapable(
    '-e',
    `require('node:fs').mkdirSync(${JSON.stringify(join(home, 'run'))}, { mode: 0o700, recursive: true })`,
  )
  const vial = (...args: string[]) => asCapable(join(dist, 'src/cli/main.cjs'), ...args)
  assert.equal(vial('run', '--', 'echo', 'run'), 'run\n')
  vial('start', '--name', 'box')
  try {
    assert.equal(vial('exec', 'box', 'sh', '-c', 'grep -c "^CapEff:.0*$" /proc/self/status'), '1\n')
    const script = `import { Sandbox } from ${JSON.stringify(join(dist, 'src/index.js'))}
const box = await Sandbox.attach('box')
const { stdout } = await box.run('echo', ['through the gate'])
await box.files.write('/tmp/file', 'by the helper')
console.log(stdout + (await box.files.read('/tmp/file', { encoding: 'utf8' })))`
    assert.equal(asCapable('--input-type=module', '-e', script), 'through the gate\nby the helper\n')
  } finally {
    vial('rm', '-f', 'box')
  }
})
