/** What a payload could do against the layers of a work tree, from inside, while they are compared, committed and exchanged. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { user, workDirectory } from '../support/user.js'

let trees = 0
function scene() {
  const top = workDirectory(user, `attacked-${++trees}`)
  const [tree, secret] = [join(top, 'tree'), join(top, 'secret')]
  for (const directory of [tree, secret, join(tree, 'd')]) mkdirSync(directory)
  writeFileSync(join(secret, 'file'), 'of the host\n')
  writeFileSync(join(tree, 'd/file'), 'before\n')
  if (process.getuid?.() === 0) spawnSync('chown', ['-R', `${user.uid}:${user.gid}`, top])
  return { top, tree, secret, env: { VIAL_CACHE: join(top, 'cache') } }
}

test('a directory that is exchanged for a link, again and again, shows nothing of the host, and leads no commit out', async () => {
  const { tree, secret, env } = scene()
  const said = await evaluate(
    user,
    async ({ sandbox }, { tree, secret }) => {
      const box = await sandbox({ preset: 'system' }).open({ work: { path: tree } })
      const script = `echo mine > d/file; mkfifo d/pipe; while :; do mv d e; ln -s ${secret} d; echo $((n = n + 1)) > other; rm d; mv e d; done`
      const attacker = box.spawn('sh', ['-c', script], { cwd: tree })
      const texts: string[] = []
      const written: string[] = []
      for (let round = 0; round < 20; round++) {
        const changes = await box.diff({ text: true }).catch(() => [])
        texts.push(...changes.flatMap(({ text }) => text ?? []))
        const only = changes.filter(({ type }) => type !== 'fifo').map(({ path }) => path)
        const made = await box.commit({ only, conflict: 'overwrite' }).catch(() => [])
        written.push(...made.map(({ path }) => path))
      }
      attacker.kill('SIGKILL')
      await attacker.result.catch(() => {})
      await box.close()
      return {
        shows: texts.filter((text) => text.includes('of the host')),
        texts: texts.length,
        written: written.length,
      }
    },
    { tree, secret },
    { env },
  )
  assert.deepEqual(said.shows, [])
  assert.ok(said.texts > 0)
  assert.deepEqual(readdirSync(secret), ['file'])
  assert.equal(readFileSync(join(secret, 'file'), 'utf8'), 'of the host\n')
  const left = readdirSync(tree, { recursive: true, encoding: 'utf8' })
  assert.deepEqual(
    left.filter((name) => name.includes('.vial-')),
    [],
  )
  for (const name of ['d', 'e'])
    if (left.includes(`${name}/file`))
      assert.match(readFileSync(join(tree, name, 'file'), 'latin1'), /^(?:before|mine|of the host)\n$/)
})

test('a snapshot does not change, by whatever of its layer a payload still holds', async () => {
  const { tree, env } = scene()
  const said = await evaluate(
    user,
    async ({ sandbox }, tree) => {
      const box = await sandbox({ preset: 'system', seccomp: 'nested' }).open({ work: { path: tree } })
      const run = async (script: string) => (await box.run('sh', ['-c', script], { cwd: tree })).stdout
      await run('echo kept > kept')
      // A mount namespace of its own has a mount of its own of the same overlay.
      const tries =
        'echo ready; read go; { echo evil > kept; } 2> /dev/null && echo wrote; { echo > new; } 2> /dev/null && echo made; mount -o remount,rw . 2> /dev/null && echo remounted; echo over'
      const holder = box.spawn('unshare', ['-Urm', 'sh', '-c', tries], { cwd: tree })
      let out = ''
      const heard = new Promise<void>((resolve) => {
        holder.stdout!.on('data', (piece) => {
          out += piece
          resolve()
        })
      })
      await Promise.race([heard, holder.result])
      // A writer that goes on holds the exchange up, or is held up by it.
      const writer = box.spawn('sh', ['-c', 'while :; do echo x >> log || exit; done'], { cwd: tree })
      for (let made = false; !made; ) {
        made = await box.snapshot('s').then(
          () => true,
          ({ code }) => {
            if (code !== 'EBUSY') throw new Error(code)
            return false
          },
        )
      }
      const first = await run('cat kept; wc -l < log; ls')
      holder.stdin!.end('\n')
      await holder.result
      writer.kill('SIGKILL')
      await writer.result
      await run('echo changed > kept; rm log')
      await box.restore('s')
      const again = await run('cat kept; wc -l < log; ls')
      await box.close()
      return { first, again, out }
    },
    tree,
    { env },
  )
  assert.match(said.first, /^kept\n\d+\nd\nkept\nlog\n$/)
  assert.equal(said.again, said.first)
  assert.equal(said.out, 'ready\nover\n')
})
