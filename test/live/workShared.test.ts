/** The work tree of a named sandbox when commands are killed, or come at once, and when what they find was not written by vial. More rounds: VIAL_ROUNDS=1000. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { notRoot } from '../support/needs.js'
import { shareOf } from '../support/share.js'
import { user, vial, workDirectory } from '../support/user.js'
import { hostTree } from '../support/workTree.js'
import { edit } from './scene.js'

const main = new URL('../../src/cli/main.cjs', import.meta.url).pathname
const killed = new URL('killed.cjs', import.meta.url).pathname
const rounds = Number(process.env.VIAL_ROUNDS ?? shareOf(12))

let scenes = 0
function scene(t: TestContext, before: string) {
  const place = hostTree(user, before)
  const runtime = workDirectory(user, `work-shared-${++scenes}`)
  const env = { XDG_RUNTIME_DIR: runtime, VIAL_CACHE: place.cache }
  const call = (args: readonly string[], killAt?: number) => {
    const hook = killAt === undefined ? {} : { NODE_OPTIONS: `--require ${killed}`, VIAL_KILL_AT: `${killAt}` }
    const { status, stdout, stderr } = vial(user, args, { env: { ...env, ...hook }, cwd: place.tree })
    return { status, stdout, stderr }
  }
  const done = (...args: string[]) => {
    const { status, stdout, stderr } = call(args)
    assert.equal(status, 0, `${args.join(' ')}: ${stderr}`)
    return stdout
  }
  const inside = (script: string) => done('exec', '--cwd', place.tree, 'box', 'sh', '-ec', script)
  /** All at once. */
  const together = (...all: readonly (readonly string[])[]) =>
    Promise.all(
      all.map(async (args) => {
        const child = spawn(process.execPath, [main, ...args], {
          cwd: place.tree,
          env: { PATH: process.env.PATH, HOME: place.top, ...env },
          ...(process.getuid?.() === 0 ? { uid: user.uid, gid: user.gid } : {}),
        })
        let said = ''
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => (said += piece))
        const [status] = await once(child, 'close')
        return { status: status as number, said }
      }),
    )
  const home = join(place.cache, 'layers')
  const layers = () => (existsSync(home) ? readdirSync(home) : [])
  const directory = join(runtime, 'vial/box')
  t.after(() => {
    for (const name of existsSync(join(runtime, 'vial')) ? readdirSync(join(runtime, 'vial')) : [])
      call(['rm', '-f', name])
  })
  return { ...place, call, done, inside, together, layers, directory }
}

const list = 'for f in $(find . -type f | sort); do echo $f $(cat $f); done'
const onHost = (tree: string) => spawnSync('sh', ['-c', list], { cwd: tree, encoding: 'utf8' }).stdout
const random = (most: number) => Math.floor(Math.random() * most)

test('a commit, a snapshot or a way back that is killed is done or not done, and all goes on', (t) => {
  const { call, done, inside, tree, layers } = scene(t, 'echo 0 > a; echo 0 > b; mkdir d; echo 0 > d/x')
  done('start', '--name', 'box', '--work', '.')
  done('snapshot', 'box', 'first')
  let [cut, finished] = [0, 0]
  for (let round = 0; round < rounds; round++) {
    inside(`echo ${round} > a; rm -f b; mkdir -p n; echo ${round} > n/${round}; echo ${round} > d/x`)
    const before = { seen: inside(list), host: onHost(tree), diff: done('diff', 'box') }
    const [command, most] = (
      [
        ['commit', 34],
        ['snapshot', 28],
        ['rollback', 34],
      ] as const
    )[round % 3]!
    const words =
      command === 'commit' ? ['commit', 'box'] : [command, 'box', command === 'snapshot' ? `r${round}` : 'first']
    const at = random(most)
    const { status } = call(words, at)
    if (status !== 0) cut++
    const about = `${command} killed at ${at}`
    const { stderr, stdout: diff } = call(['diff', 'box'])
    if (stderr.includes('finished a commit')) finished++
    const [seen, host] = [inside(list), onHost(tree)]
    if (command === 'commit') {
      assert.equal(seen, before.seen, about)
      if (diff === '') assert.equal(host, seen, about)
      else assert.deepEqual([host, diff], [before.host, before.diff], about)
    } else {
      assert.equal(host, before.host, about)
      if (seen === before.seen) assert.equal(diff, before.diff, about)
      else assert.equal(command, 'rollback', about)
    }
    if (status === 0 && command === 'rollback') assert.notEqual(seen, before.seen, about)
    // It can be written to, and what it shows is what is compared.
    inside('echo w > w')
    assert.match(done('diff', 'box'), /^A +2 +w$/m, about)
    inside('rm w')
    if (command === 'snapshot') {
      const back = call(['rollback', 'box', `r${round}`])
      assert.ok(status !== 0 || back.status === 0, back.stderr)
      assert.equal(inside(list), before.seen, about)
    }
    done('rollback', 'box')
  }
  assert.ok(cut > 0, 'none was killed')
  t.diagnostic(`${cut} of ${rounds} were killed, ${finished} commits finished`)
  assert.equal(layers().length, 1)
  done('rm', '-f', 'box')
  assert.deepEqual(layers(), [])
  assert.deepEqual(
    readdirSync(tree, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('.vial-')),
    [],
  )
})

test('a start that is killed leaves nothing that vial gc does not remove', (t) => {
  const { call, done, layers, tree } = scene(t, 'echo 0 > a')
  for (let round = 0; round < rounds / 3; round++) {
    call(['start', '--name', 'box', '--work', '.'], random(60))
    const { stdout } = call(['ps', '--json'])
    if (JSON.parse(stdout).length > 0) {
      done('diff', 'box')
      done('rm', '-f', 'box')
    }
    done('gc')
    assert.deepEqual(layers(), [])
  }
  assert.equal(onHost(tree), './a 0\n')
})

test('commands at once come one after another', async (t) => {
  const { done, inside, together, tree, layers } = scene(t, 'echo 0 > a; echo 0 > b')
  done('start', '--name', 'box', '--work', '.')
  inside('echo 1 > a; echo 1 > b; for i in 1 2 3 4 5 6 7 8; do echo $i > n$i; done')
  const first = await together(
    ['commit', 'box', '--only', 'a'],
    ['snapshot', 'box'],
    ['commit', 'box', '--only', 'b'],
    ['snapshot', 'box'],
    ['commit', 'box'],
    ['diff', 'box'],
  )
  // What another has committed just now is in no diff any more.
  assert.ok(
    first.every(({ status, said }) => status === 0 || said.includes('is no path of the diff')),
    JSON.stringify(first),
  )
  assert.deepEqual([first[1]!.said, first[3]!.said].sort(), ['s1\n', 's2\n'])
  assert.equal(onHost(tree), inside(list))
  inside('rm n*; echo 2 > a')
  const next = await together(['commit', 'box'], ['rm', '-f', 'box'], ['commit', 'box'])
  assert.ok(
    next.every(({ status }) => status === 0 || status === 125),
    JSON.stringify(next),
  )
  if (layers().length > 0) done('rm', '-f', 'box')
  assert.deepEqual(layers(), [])
  assert.equal(readFileSync(join(tree, 'a'), 'utf8').length, 2)
})

test('layers that are not those of the sandbox are not used, nor removed', (t) => {
  const { call, done, inside, layers, tree, directory, top, cache, own } = scene(t, 'echo 0 > a')
  done('start', '--name', 'box', '--work', '.')
  inside('echo 1 > a')
  done('start', '--name', 'other', '--work', '.')
  const record = join(directory, 'record.json')
  const { layers: real } = JSON.parse(readFileSync(record, 'utf8')).work
  const others = JSON.parse(readFileSync(join(directory, '../other/record.json'), 'utf8')).work.layers
  const victim = join(top, 'layers/named.victim')
  mkdirSync(victim, { recursive: true })
  writeFileSync(join(victim, 'kept'), 'kept')
  const link = join(cache, 'layers/named.link')
  symlinkSync(real, link)
  const copy = join(top, 'layers/copy')
  // But the kernel's own, which is closed to its owner.
  cpSync(real, copy, { recursive: true, filter: (from) => (lstatSync(from).mode & 0o700) !== 0 })
  own()
  const point = (to: unknown) => edit(directory, (found) => ({ ...found, work: { layers: to } }))
  const why = (...args: string[]) => {
    const { status, stdout, stderr } = call(args)
    assert.deepEqual([status, stdout], [125, ''])
    return stderr.split('\n')[0]
  }
  for (const to of [others, victim, link, copy, tree, '/etc', join(cache, 'layers/gone')]) {
    point(to)
    assert.match(why('diff', 'box')!, /^vial: \S+ cannot be used as the layers of the work tree: /, to)
    for (const words of [
      ['commit', 'box'],
      ['snapshot', 'box'],
      ['rollback', 'box'],
    ])
      assert.match(why(...words)!, /cannot be used/)
  }
  for (const to of ['layers', 7, '']) {
    point(to)
    assert.match(why('diff', 'box')!, /its record is damaged/)
  }
  // What is known of it, damaged, or a link of another's making.
  point(real)
  const state = join(real, 'state.json')
  renameSync(state, `${state}.kept`)
  for (const text of [
    '',
    '{',
    '{"version":1}',
    JSON.stringify({ ...JSON.parse(readFileSync(`${state}.kept`, 'utf8')), last: -1 }),
  ]) {
    writeFileSync(state, text)
    own()
    assert.match(why('diff', 'box')!, /^vial: what is known of the work tree is gone or damaged/)
  }
  rmSync(state)
  renameSync(`${state}.kept`, state)
  assert.equal(done('diff', 'box'), 'M  2  a\n')
  point(victim)
  done('rm', '-f', 'box')
  assert.equal(readFileSync(join(victim, 'kept'), 'utf8'), 'kept')
  // Those that no record names any more.
  assert.equal(layers().length, 3)
  // Nor does one that has the name by now.
  done('start', '--name', 'box')
  assert.match(done('gc'), new RegExp(`^removed .*/${real.split('/').at(-1)}$`, 'm'))
  assert.deepEqual(layers().sort(), [link.split('/').at(-1), others.split('/').at(-1)].sort())
  done('diff', 'other')
  done('rm', '-f', 'other')
  assert.equal(readFileSync(join(tree, 'a'), 'utf8'), '0\n')
})

for (const [how, args, stays] of [
  ['what lists sandboxes removes them', ['ps'], 0],
  ['what looks for it leaves them to vial gc', ['exec', 'box', 'true'], 1],
] as const)
  test(`layers of a sandbox that is lost: ${how}`, (t) => {
    const { call, done, layers, directory } = scene(t, 'echo 0 > a')
    done('start', '--name', 'box', '--work', '.')
    const { pid } = JSON.parse(readFileSync(join(directory, 'record.json'), 'utf8')).monitor
    edit(directory, (found) => ({ ...found, boot: '00000000-0000-0000-0000-000000000000' }))
    assert.match(call(args).stderr, /lost/)
    assert.deepEqual([existsSync(directory), layers().length], [false, stays])
    process.kill(pid, 'SIGKILL')
    done('gc')
    assert.deepEqual(layers(), [])
  })

test('layers of another user are not used', { skip: notRoot }, (t) => {
  const { call, done, directory, top } = scene(t, 'echo 0 > a')
  done('start', '--name', 'box', '--work', '.')
  const { layers: real } = JSON.parse(readFileSync(join(directory, 'record.json'), 'utf8')).work
  spawnSync('chown', ['-R', '0:0', real])
  assert.match(call(['diff', 'box']).stderr, /belongs to another user, uid 0/)
  done('rm', '-f', 'box')
  assert.equal(statSync(join(real, 'state.json')).uid, 0)
  rmSync(join(top, 'cache'), { recursive: true })
})
