/** Names in a work tree that no commit writes, and that need not exist. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { user } from '../support/user.js'
import { hostTree } from '../support/workTree.js'

interface Asked {
  readonly before: string
  readonly inside: string
  readonly protect?: readonly string[]
  readonly only?: readonly string[]
}
/** What is marked, what a commit wrote or why it did not, and what the host has then. */
async function committed({ before, inside, protect, only }: Asked) {
  const { tree, cache } = hostTree(user, before)
  const answer = await evaluate(
    user,
    async ({ sandbox }, { tree, inside, protect, only }) => {
      const work = protect === undefined ? { path: tree } : { path: tree, protect }
      const box = await sandbox({ preset: 'system' }).open({ work })
      try {
        const { exitCode, stderr } = await box.run('sh', ['-ec', inside], { cwd: tree })
        if (exitCode !== 0) throw new Error(stderr)
        const marked = (await box.diff()).filter((change) => change.protected).map(({ path }) => path)
        const made = await box.commit(only === undefined ? {} : { only }).then(
          (changes) => changes.map(({ path }) => path),
          ({ code, message }) => [code, message.split('\n')[0]] as string[],
        )
        const left = (await box.diff()).map(({ path }) => path)
        return { marked, made, left }
      } finally {
        await box.close()
      }
    },
    { tree, inside, protect, only },
    { env: { VIAL_CACHE: cache } },
  )
  return { ...answer, tree, has: readdirSync(tree, { recursive: true, encoding: 'utf8' }).sort() }
}

test('what is protected stays in the layer, whether it exists or not, and leaves nothing on the host', async () => {
  const { marked, made, left, has } = await committed({
    before: ':',
    inside: `mkdir -p .git/hooks sub/.GIT/Hooks src; echo > .git/hooks/pre-commit; echo > .git/HEAD; echo > sub/.GIT/Hooks/x
      echo > .env; echo > src/.bashrc; echo > src/.env.example; echo > src/x`,
  })
  assert.deepEqual(marked, [
    ...['.env', '.git/hooks', '.git/hooks/pre-commit', 'src/.bashrc', 'sub/.GIT/Hooks', 'sub/.GIT/Hooks/x'],
  ])
  assert.deepEqual(made, ['.git', '.git/HEAD', 'src', 'src/.env.example', 'src/x', 'sub', 'sub/.GIT'])
  assert.deepEqual(left, marked)
  assert.deepEqual(has, made)
})

test('nothing takes the place of a directory on the way, and what holds it stays', async () => {
  const { marked, made, tree } = await committed({
    before: `for d in a b c moved; do mkdir -p $d/.git/hooks; echo hook > $d/.git/hooks/h; echo > $d/other; done; echo > gitfile; mkdir f; echo > f/.git`,
    inside: `rm -r a; mv b/.git b/x; ln -s x b/.git; rm -r c; echo > c; mkdir evil; mkdir -p evil/hooks; ln -s ../evil moved/link
      mv moved gone; ln -s evil .git; rm f/.git; mkdir -p f/.git/objects`,
  })
  assert.deepEqual(
    marked.filter((path) => !path.startsWith('gone/')),
    [
      ...['.git', 'a', 'a/.git', 'a/.git/hooks', 'a/.git/hooks/h', 'b/.git', 'b/.git/hooks', 'b/.git/hooks/h'],
      ...['c', 'c/.git', 'c/.git/hooks', 'c/.git/hooks/h', 'f/.git', 'f/.git/objects'],
      ...['moved', 'moved/.git', 'moved/.git/hooks', 'moved/.git/hooks/h'],
    ],
  )
  assert.ok(marked.includes('gone/.git/hooks'))
  assert.ok(['a/other', 'c/other', 'evil/hooks', 'gone/.git'].every((path) => made.includes(path)))
  for (const directory of ['a', 'b', 'c', 'moved'])
    assert.equal(readFileSync(join(tree, directory, '.git/hooks/h'), 'utf8'), 'hook\n')
})

test('protect names others; only refuses one, and takes what lies beside it', async () => {
  const asked = { before: 'mkdir d', inside: 'echo > d/key; echo > d/other; echo > .env', protect: ['d/key'] }
  assert.deepEqual(await committed(asked).then(({ marked, made }) => ({ marked, made })), {
    marked: ['d/key'],
    made: ['.env', 'd/other'],
  })
  assert.deepEqual((await committed({ ...asked, only: ['d/key'] })).made, [
    ...['EPERM', 'protected, and never committed: d/key'],
  ])
  assert.deepEqual((await committed({ ...asked, protect: [], only: ['d/key'] })).made, ['d/key'])
  await assert.rejects(committed({ ...asked, protect: ['../x'] }), /work.protect/)
})
