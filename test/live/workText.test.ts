/** The changes of a work tree as unified diffs: git(1) takes them, and makes of the tree what a commit does. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { user } from '../support/user.js'
import { hostTree } from '../support/workTree.js'

const changed = (tree: string, inside: string, commits = false) =>
  evaluate(
    user,
    async ({ sandbox }, { tree, inside, commits }) => {
      const box = await sandbox({ preset: 'system' }).open({ work: { path: tree } })
      try {
        const { exitCode, stderr } = await box.run('sh', ['-ec', inside], { cwd: tree })
        if (exitCode !== 0) throw new Error(stderr)
        const texts = await box.diff({ text: true })
        const plain = await box.diff()
        if (commits) await box.commit()
        return { texts, plain: plain.some((change) => 'text' in change) }
      } finally {
        await box.close()
      }
    },
    { tree, inside, commits },
    { env: { VIAL_CACHE: join(tree, '../cache') } },
  )

/** Bytes, so that names that are no UTF-8 are compared too. */
function contents(tree: string, below = ''): string[] {
  return (readdirSync(join(tree, below), { withFileTypes: true, encoding: 'latin1' } as never) as never[]).flatMap(
    (entry: { name: string; isDirectory(): boolean; isSymbolicLink(): boolean }) => {
      const [name, path] = [join(below, entry.name), Buffer.from(join(tree, below, entry.name), 'latin1')]
      if (entry.isDirectory()) return contents(tree, name)
      if (entry.isSymbolicLink()) return [`${name} -> ${readlinkSync(path)}`]
      return [`${name} ${statSync(path).mode & 0o100} ${readFileSync(path, 'latin1')}`]
    },
  )
}

test('text is a unified diff, of files and links, and only where it is asked for', async () => {
  const { tree } = hostTree(
    user,
    'printf "1\\n2\\n3\\n" > a; echo gone > gone; ln -s here link; printf "\\0" > bin; echo > mode; chmod 644 mode; mkdir e; echo file > type',
  )
  const inside = `sed -i s/2/two/ a; rm gone; ln -sf there link; printf "\\0\\0" > bin; chmod 755 mode; printf new > "n w"
    rm type; ln -s a type; mkdir d; mkfifo d/p; head -c 2000000 /dev/zero | tr '\\0' x > large`
  const { texts, plain } = await changed(tree, inside)
  assert.equal(plain, false)
  const said = Object.fromEntries(texts.map(({ path, text }) => [path, text]))
  assert.deepEqual(said, {
    a: 'diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,3 +1,3 @@\n 1\n-2\n+two\n 3\n',
    bin: 'diff --git a/bin b/bin\nBinary files a/bin and b/bin differ\n',
    d: undefined,
    'd/p': undefined,
    gone: 'diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n',
    large: 'diff --git a/large b/large\nnew file mode 100644\nBinary files /dev/null and b/large differ\n',
    link: 'diff --git a/link b/link\n--- a/link\n+++ b/link\n@@ -1 +1 @@\n-here\n\\ No newline at end of file\n+there\n\\ No newline at end of file\n',
    mode: 'diff --git a/mode b/mode\nold mode 100644\nnew mode 100755\n',
    'n w':
      'diff --git a/n w b/n w\nnew file mode 100644\n--- /dev/null\n+++ b/n w\t\n@@ -0,0 +1 @@\n+new\n\\ No newline at end of file\n',
    type: 'diff --git a/type b/type\ndeleted file mode 100644\n--- a/type\n+++ /dev/null\n@@ -1 +0,0 @@\n-file\ndiff --git a/type b/type\nnew file mode 120000\n--- /dev/null\n+++ b/type\n@@ -0,0 +1 @@\n+a\n\\ No newline at end of file\n',
  })
})

test('git apply makes of the tree what the commit makes', { skip: notInstalled('git') }, async () => {
  const { top, tree, own } = hostTree(
    user,
    `ln -s a l; echo x > "$(printf 'q"\\t\\377 \\n')"; echo old > "a b"; mkdir d; echo 1 > d/x; seq 3000 > large; seq 3000 > shorter`,
  )
  // What two texts have in common is left to chance, so that all kinds of hunks come.
  const lines = () => Array.from({ length: Math.random() * 60 }, () => 'abcdef'[Math.floor(Math.random() * 6)])
  const text = () => lines().join('\n') + (Math.random() < 0.5 ? '\n' : '')
  const next = join(top, 'next')
  mkdirSync(next)
  for (let at = 0; at < 60; at++) {
    const before = text()
    const now = Math.random() < 0.5 ? text() : before.replace(/[ab]\n/g, () => (Math.random() < 0.3 ? 'z\nz\n' : 'a\n'))
    if (at % 10 !== 0) writeFileSync(join(tree, `f${at}`), before)
    if (at % 9 !== 0) writeFileSync(join(next, `f${at}`), now)
  }
  own()
  const copy = join(top, 'copy')
  spawnSync('cp', ['-a', tree, copy])
  const packed = spawnSync('tar', ['cz', '.'], { cwd: next, maxBuffer: 2 ** 26 }).stdout.toString('base64')
  const inside = `rm -f f*; base64 -d <<'E' | tar xz
${packed}
E
    # More edits than are looked for.
    seq 10001 14000 > large; printf end >> large; seq 20001 21000 > shorter; ln -sf b l; echo y > "$(printf 'q"\\t\\377 \\n')"; echo new > "a b"; chmod +x "a b"; rm -r d; echo > "$(printf '\\303\\244')"`
  const { texts } = await changed(tree, inside, true)
  const { status, stderr } = spawnSync('git', ['apply', '--whitespace=nowarn'], {
    cwd: copy,
    encoding: 'utf8',
    env: { ...process.env, GIT_CEILING_DIRECTORIES: top },
    input: texts.map((change) => change.text ?? '').join(''),
  })
  assert.equal(status, 0, stderr)
  assert.deepEqual(contents(copy), contents(tree))
})
