/**
 * The machine of an agent: a shell that goes on, files, and a work tree that can be rolled back. Run it with: node dist/examples/agent/main.js
 *
 * Look at what each call leaves on the host: nothing, until changes are kept.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sandbox } from 'vial'

/** What an agent's model may call. */
async function openAgent(project: string) {
  const box = await sandbox({ preset: 'system' }).open({ work: { path: project } })
  let shell = box.shell({ cwd: project })
  /** A shell stays in the layers that it was started in. */
  const anew = async <Value>(change: () => Promise<Value>) => {
    await shell.close()
    const value = await change()
    shell = box.shell({ cwd: project })
    return value
  }
  return {
    async run(script: string) {
      const { stdout, stderr, exitCode } = await shell.run(script, { timeout: 60_000, maxBuffer: 2 ** 20 })
      return { exitCode, output: stdout + stderr }
    },
    read: (path: string) => box.files.read(join(project, path), { encoding: 'utf8', limit: '1M' }),
    write: (path: string, text: string) => box.files.write(join(project, path), text),
    changes: async () => (await box.diff({ text: true })).map(({ kind, path, text }) => ({ kind, path, text })),
    /** What is undone later is what comes behind it. */
    mark: () => anew(() => box.snapshot()),
    undo: (mark?: string) => anew(() => (mark === undefined ? box.rollback() : box.restore(mark))),
    keep: (only?: string[]) => box.commit(only === undefined ? {} : { only }),
    close: () => box.close(),
  }
}

const project = mkdtempSync(join(tmpdir(), 'vial-agent-'))
writeFileSync(join(project, 'sum.py'), 'print(sum([1, 2, 3])\n')
const agent = await openAgent(project)
try {
  console.log('it fails:', (await agent.run('python3 sum.py')).exitCode)
  const text = await agent.read('sum.py')
  await agent.write('sum.py', text.replace('])', ']))'))
  const mended = await agent.mark()
  console.log('mended:', (await agent.run('out=$(python3 sum.py); echo "$out"')).output.trim())
  await agent.run('rm -rf ./* && mkdir wreck')
  console.log('wrecked:', (await agent.run('ls; echo "the shell knows: $out"')).output.trim().split('\n'))
  await agent.undo(mended)
  for (const { kind, path, text } of await agent.changes()) console.log(kind, path, text?.split('\n').slice(-4))
  console.log('on the host:', readdirSync(project), readFileSync(join(project, 'sum.py'), 'utf8').trim())
  await agent.keep()
  console.log('kept:', readFileSync(join(project, 'sum.py'), 'utf8').trim())
} finally {
  await agent.close()
  rmSync(project, { recursive: true })
}
