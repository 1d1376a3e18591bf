/**
 * A program that does one kind of operation of an open sandbox over and over, while something of it is killed: boxRounds.ts starts it, and
 * tells it what was. Then the operation has to work once more, or the sandbox to have ended; else it fails.
 *
 *     node boxWorker.js KIND DIRECTORY LIMITED
 */
import { once } from 'node:events'
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import type * as Vial from '../../src/index.js'

type Box = Vial.Box

/** What is killed: the program; what holds the sandbox; its pid 1; the gate or the house; any other process that it has by then. */
export type Victim = 'node' | 'monitor' | 'init' | 'server' | 'any'

/** A file of many equal lines: one that is half written, or of two versions, is seen. */
export const version = (number: number): string => `${number}\n`.repeat(50_000)
export const isWhole = (text: string): boolean => text === version(Number.parseInt(text, 10))
/** Of the tree that is committed. */
export const names = ['a', 'b', 'c/d', 'c/e']

interface Scene {
  readonly box: Box
  readonly pool: Vial.Pool
  /** Directories of the host: the tree, and where copies go. */
  readonly tree: string
  readonly out: string
  /** Of this round of the operation. */
  readonly number: number
}

const same = (one: unknown, other: unknown) => {
  if (one !== other) throw new Error(`${String(one).slice(0, 100)} is not ${String(other).slice(0, 100)}`)
}
const ifMissing = (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? undefined : Promise.reject(error))
/** Of a command that was not killed. */
const done = ({ verdict, stdout }: Vial.RunResult): string => {
  if (verdict.kind !== 'ok') throw Object.assign(new Error(`it ended by ${JSON.stringify(verdict)}`), { killed: true })
  return stdout
}
const sh = async ({ run }: Pick<Box, 'run'>, script: string, cwd = '/tmp') =>
  done(await run('sh', ['-c', script], { cwd }))

/** Writes a version of each file of the tree, in the box. */
const writes = ({ box, tree, number }: Scene) => {
  // A part of a pipeline that was killed is not told by the shell.
  const one = `yes ${number} | head -n 50000 > $f; [ $(wc -l < $f) = 50000 ]`
  return sh(box, `set -e; mkdir -p c; for f in ${names.join(' ')}; do ${one}; done`, tree)
}
const first = ({ box, tree }: Scene) => sh(box, 'head -n 1 a', tree)

export const operations: Readonly<Record<string, (scene: Scene) => Promise<unknown>>> = {
  async run({ box }) {
    const all = await Promise.all(
      ['echo 1', 'cat /dev/null', 'seq 1 20000', '(sleep 600 &) >/dev/null 2>&1'].map((one) => sh(box, one)),
    )
    same(all[2]!.length, 108_894)
  },
  async spawn({ box }) {
    const child = box.spawn('cat')
    child.stdin!.on('error', () => {}).end('a'.repeat(300_000))
    const said = await buffer(child.stdout!)
    const { verdict } = await child.result
    if (verdict.kind === 'ok') same(said.length, 300_000)
    else throw Object.assign(new Error(verdict.kind), { killed: true })
  },
  async mount({ box, tree }) {
    await box.unmount('/tmp/mnt').catch(() => {})
    await box.mount(tree, '/tmp/mnt')
    same(await sh(box, 'head -n 1 /tmp/mnt/a'), '0\n')
    await box.unmount('/tmp/mnt')
  },
  async write({ box: { files }, number }) {
    await files.write('/tmp/file', version(number))
    await files.append('/tmp/file', 'end')
    same(await files.read('/tmp/file', { encoding: 'utf8' }), `${version(number)}end`)
  },
  async copyIn({ box: { files }, tree }) {
    await files.remove('/tmp/in', { recursive: true }).catch(ifMissing)
    await files.copyIn(tree, '/tmp/in')
    same((await files.tree('/tmp/in')).filter(({ kind }) => kind === 'file').length, names.length)
  },
  async copyOut({ box: { files }, out, number }) {
    await files.mkdir('/tmp/out/below', { recursive: true })
    for (const name of ['one', 'below/two']) await files.write(`/tmp/out/${name}`, version(number))
    await files.copyOut('/tmp/out/one', join(out, 'single'))
    await files.copyOut('/tmp/out', out)
  },
  async streams({ box: { files }, tree, number }) {
    await files.remove('/tmp/copy', { recursive: true }).catch(ifMissing)
    await files.copyIn(tree, '/tmp/in')
    await files.unpack('/tmp/copy', files.pack('/tmp/in'))
    same((await files.tree('/tmp/copy')).filter(({ kind }) => kind === 'file').length >= names.length, true)
    const stream = files.createWriteStream('/tmp/stream')
    stream.end(version(number))
    await once(stream, 'close')
    same((await buffer(files.createReadStream('/tmp/stream'))).toString(), version(number))
  },
  async pool({ pool }) {
    const text = 'a'.repeat(100_000)
    const run = () =>
      pool.run('sh', ['-c', '(sleep 600 &) >/dev/null 2>&1; wc -c < /tmp/file'], { files: { '/tmp/file': text } })
    for (const said of (await Promise.all([run(), run(), run()])).map(done)) same(said.trim(), '100000')
  },
  async snapshot(scene) {
    const { box, number } = scene
    await writes(scene)
    await box.snapshot()
    same(await first(scene), `${number}\n`)
    await sh(box, 'rm -r a c', scene.tree)
    await box.rollback()
    same(await first(scene), '0\n')
  },
  async restore(scene) {
    const { box, number } = scene
    await writes(scene)
    const kept = await box.snapshot()
    await sh(box, 'rm -r a c', scene.tree)
    await box.restore(kept)
    same(await first(scene), `${number}\n`)
  },
  async fork(scene) {
    await writes(scene)
    const fork = await scene.box.fork()
    try {
      same(await first({ ...scene, box: fork }), `${scene.number}\n`)
    } finally {
      await fork.close()
    }
  },
  async commit(scene) {
    const { box, tree, number } = scene
    await box.rollback()
    await writes(scene)
    await box.commit()
    same(readFileSync(join(tree, 'a'), 'utf8'), version(number))
  },
  async named(scene) {
    for (const one of ['run', 'spawn', 'mount', 'write'] as const) await operations[one]!(scene)
  },
}
export const ofWorkTree = ['snapshot', 'restore', 'fork', 'commit']

async function main([kind = '', directory = '', limited = '']: readonly string[]): Promise<void> {
  const { sandbox, Sandbox, VialError }: typeof Vial = createRequire(import.meta.url)('../../cjs/index.js')
  const [tree, out] = [join(directory, 'tree'), join(directory, 'out')]
  const policy: Vial.Policy = {
    preset: 'system',
    filesystem: [{ tmpfs: '/tmp' }],
    ...(limited === '' ? {} : { limits: { pids: 200 } }),
  }
  const one = sandbox(policy)
  const open = () => {
    if (kind === 'named') return Sandbox.attach('box')
    return one.open(ofWorkTree.includes(kind) ? { work: { path: tree } } : {})
  }
  const pool = kind === 'pool' ? await one.pool({ size: 2, max: 2 }) : undefined
  const box = pool === undefined ? await open() : undefined
  let victim: Victim | undefined
  process.stdin.once('data', (bytes) => (victim = String(bytes).trim() as Victim))
  const scene = { box: box!, pool: pool!, tree, out }
  const operation = operations[kind]!
  await operation({ ...scene, number: 1 })
  // From here on all that serves it is there.
  console.log(`ready ${box?.pid ?? 0}`)
  /** What a killed process comes to. */
  const isTold = (error: unknown) => error instanceof VialError || (error as { readonly killed?: true }).killed === true
  let number = 2
  for (; victim === undefined; number++)
    try {
      await operation({ ...scene, number })
    } catch (error) {
      if (!isTold(error)) throw error
      // What was killed is told a moment later.
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  if (victim === 'monitor' || victim === 'init') await box!.wait().catch(() => {})
  else {
    // What was killed may not be known to be over yet: then it is told once more, and once only.
    const again = () => operation({ ...scene, number: ++number })
    await again().catch((error) => (isTold(error) ? again() : Promise.reject(error)))
  }
  await pool?.close()
  // What another program has started is not for this one to end.
  if (kind !== 'named') await box?.close()
  process.stdin.destroy()
}

/** The tree, in its first version. */
export function prepare(directory: string): void {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(join(directory, 'tree/c'), { recursive: true })
  mkdirSync(join(directory, 'out'))
  for (const name of names) writeFileSync(join(directory, 'tree', name), version(0))
}

/** What is half written of what lies below. */
export function halfWritten(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const path = join(entry.parentPath, entry.name)
    return !entry.isFile() || isWhole(readFileSync(path, 'utf8')) ? [] : [path]
  })
}

if (import.meta.url === pathToFileURL(process.argv[1]!).href) await main(process.argv.slice(2))
