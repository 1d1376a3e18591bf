/** A commit that is killed at any moment is finished afterwards, and until then each file is whole. More of them: VIAL_ROUNDS=1000. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { finishCommit } from '../../src/live/workJournal.js'
import { evaluate } from '../support/evaluate.js'
import { shareOf } from '../support/share.js'
import { user, workDirectory } from '../support/user.js'

const committer = new URL('committer.js', import.meta.url).pathname
const home = realpathSync(workDirectory(user, 'work-kills'))
const large = (word: string) => `${word}\n`.repeat(50_000)

/** What is on the host and in the layer; /bin/mknod makes what overlay has for what was removed. */
const host = `mkdir -p gone/deep closed; echo 1 > gone/a; echo 1 > gone/deep/b; echo old > changed; echo old > closed/x; ln -s old link
  mkdir becomesFile; echo 1 > becomesFile/in; echo 1 > becomesDirectory; chmod 555 closed; echo mine > beside`
const upper = `mknod gone c 0 0; echo new > changed; mkdir closed; echo new > closed/x; chmod 550 closed; ln -s new link; echo > becomesFile
  mkdir becomesDirectory; echo > becomesDirectory/x; mkdir -p added/deep; echo new > added/deep/x; echo > -n`

function tree(): string {
  const top = join(home, 'tree')
  spawnSync('chmod', ['-R', 'u+rwX', top], { stdio: 'ignore' })
  rmSync(top, { recursive: true, force: true })
  for (const [name, script, word] of [
    ['host', host, 'old'],
    ['layer/upper', upper, 'new'],
  ] as const) {
    mkdirSync(join(top, name), { recursive: true })
    writeFileSync(join(top, name, 'large'), large(word))
    const { status, stderr } = spawnSync('sh', ['-ec', script], { cwd: join(top, name), encoding: 'utf8' })
    assert.equal(status, 0, stderr)
  }
  return top
}

/** Each entry with what it is; a file with its content. */
const contents = (top: string) =>
  Object.fromEntries(
    readdirSync(top, { recursive: true, withFileTypes: true }).map((entry) => {
      const path = join(entry.parentPath, entry.name)
      const mode = entry.isSymbolicLink() ? '' : (statSync(path).mode & 0o777).toString(8)
      const text = entry.isSymbolicLink() ? readlinkSync(path) : entry.isFile() ? readFileSync(path, 'utf8') : ''
      return [path.slice(top.length + 1), `${mode} ${text}`]
    }),
  )

const run = (top: string, what: 'commit' | 'finish', number: number) =>
  spawnSync(process.execPath, [committer, top, what, `${number}`], { encoding: 'utf8' })

test('a commit that is killed is finished, and no file is ever half written', () => {
  const first = tree()
  const before = contents(join(first, 'host'))
  assert.equal(run(first, 'commit', 1e6).status, 0)
  const done = contents(join(first, 'host'))
  assert.equal(done.large, `644 ${large('new')}`)
  const [added, gone] = [done, before].map((one) =>
    Object.keys(one).filter((path) => !(path in (one === done ? before : done))),
  )
  assert.deepEqual([gone!.includes('gone/deep/b'), added!.includes('added/deep/x')], [true, true])
  const rounds = Number(process.env.VIAL_ROUNDS ?? shareOf(12))
  let ended = 0
  for (let round = 0; round < rounds; round++) {
    const number = Math.floor(Math.random() * 70)
    const again = Math.floor(Math.random() * 30)
    const top = tree()
    const { signal, stderr } = run(top, 'commit', number)
    const about = `killed at ${number}, ${again}: ${stderr}`
    const begun = readdirSync(join(top, 'layer')).includes('journal')
    if (signal === null) ended++
    for (const [path, is] of Object.entries(contents(join(top, 'host'))))
      if (!path.includes('.vial-') && !is.endsWith(' '))
        assert.ok(
          [before, done].some((one) => one[path]?.replace(/^\d+/, '') === is.replace(/^\d+/, '')),
          `${path}, ${about}`,
        )
    run(top, 'finish', again)
    finishCommit(join(top, 'layer'))
    assert.deepEqual(contents(join(top, 'host')), begun || signal === null ? done : before, about)
    assert.deepEqual(
      readdirSync(join(top, 'layer')).filter((name) => name === 'journal'),
      [],
      about,
    )
  }
  assert.ok(ended < rounds, 'none was killed')
})

test('what the host changed since stays, and is told', () => {
  const top = tree()
  run(top, 'commit', 30)
  const script = 'rm -rf changed added -- -n; echo mine > changed; echo mine > added; echo mine > -n'
  spawnSync('sh', ['-c', script], { cwd: join(top, 'host') })
  const finished = finishCommit(join(top, 'layer'))
  const kept = contents(join(top, 'host'))
  for (const name of ['changed', 'added', '-n']) assert.equal(kept[name], '644 mine\n')
  assert.deepEqual(
    ['changed', 'added', '-n'].filter((name) => !finished?.left.includes(name)),
    [],
  )
  assert.equal(kept['closed/x'], '644 new\n')
})

test('after another boot nothing is written, and what was begun is removed', () => {
  const top = tree()
  run(top, 'commit', 24)
  const journal = join(top, 'layer/journal')
  const text = readFileSync(journal, 'utf8')
  const token = JSON.parse(text).token
  writeFileSync(join(top, `host/.vial-${token}-1`), 'half')
  writeFileSync(journal, JSON.stringify({ ...JSON.parse(text), boot: 'another' }))
  const before = contents(join(top, 'host'))
  finishCommit(join(top, 'layer'))
  const after = contents(join(top, 'host'))
  const { [`.vial-${token}-1`]: removed, ...rest } = before
  assert.ok(removed)
  assert.deepEqual(Object.fromEntries(Object.entries(rest).filter(([path]) => !path.includes('.vial-'))), after)
})

test('the next box with a work tree finishes the commit of a program that was killed', async () => {
  const top = workDirectory(user, 'work-killed')
  const [tree, cache] = [join(top, 'tree'), join(top, 'cache')]
  mkdirSync(tree)
  if (process.getuid?.() === 0) spawnSync('chown', ['-R', `${user.uid}:${user.gid}`, top])
  const killed = evaluate(
    user,
    async ({ sandbox }, tree) => {
      const { default: fs } = await import('node:fs')
      const { syncBuiltinESMExports } = await import('node:module')
      const box = await sandbox({ preset: 'system' }).open({ work: { path: tree } })
      await box.run('sh', ['-c', 'for i in 1 2 3 4; do echo $i > $i; done'], { cwd: tree })
      const original = fs.renameSync
      let renamed = 0
      fs.renameSync = (from, to) => {
        // The journal is the first.
        if (++renamed === 4) process.kill(process.pid, 'SIGKILL')
        original(from, to)
      }
      syncBuiltinESMExports()
      await box.commit()
    },
    tree,
    { env: { VIAL_CACHE: cache } },
  )
  await assert.rejects(killed, /SIGKILL/)
  assert.equal(readdirSync(tree).filter((name) => /^\d$/.test(name)).length, 2)
  const open: Parameters<typeof evaluate<string, void>>[1] = async ({ sandbox }, tree) => {
    const box = await sandbox({ preset: 'system' }).open({ work: { path: tree } })
    await box.close()
  }
  await evaluate(user, open, tree, { env: { VIAL_CACHE: cache } })
  assert.deepEqual(readdirSync(tree).sort(), ['1', '2', '3', '4'])
  assert.deepEqual(readdirSync(join(cache, 'layers')), [])
})
