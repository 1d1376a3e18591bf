/** nginx, redis and PostgreSQL of examples/daemons as named sandboxes, each by an ordinary user and by root: docs/services.md. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { notInstalled } from '../support/needs.js'
import { postgresPrograms } from '../support/postgres.js'
import { eventually } from '../support/processes.js'
import { type Caller, callers, vial, workDirectory } from '../support/user.js'

const top = resolve(fileURLToPath(import.meta.url), '../../../..')
const example = join(top, 'examples/daemons')

/** The commands of docs/services.md, and its policies. */
const page = readFileSync(join(top, 'docs/services.md'), 'utf8')
const section = page.slice(page.indexOf('\n## Named sandboxes\n'))
const blocksOf = (language: string) =>
  [...section.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, text]) => text!)
const lines = blocksOf('sh').flatMap((text) => text.split('\n'))

test('the policies of the page are those of the example', () => {
  const shown = blocksOf('json').map((text) => JSON.parse(text))
  const files = ['redis', 'postgres', 'nginx'].map((name) =>
    JSON.parse(readFileSync(join(example, `${name}.json`), 'utf8')),
  )
  assert.deepEqual(shown, files)
})

/** A directory of the caller's, with the records of the caller's sandboxes; what still runs at the end is removed. */
class Scene {
  readonly home: string
  readonly #children: ChildProcess[] = []

  constructor(
    t: TestContext,
    readonly caller: Caller,
    readonly name: string,
  ) {
    this.home = workDirectory(caller, `daemons-${name}`)
    for (const file of readdirSync(example))
      if (file.endsWith('.json')) cpSync(join(example, file), join(this.home, file))
    t.after(async () => {
      vial(caller, ['rm', '-f', name], this.#options)
      for (const child of this.#children) child.kill('SIGKILL')
      assert.deepEqual(readdirSync(join(this.home, 'vial')), [])
    })
  }

  get #options() {
    return { cwd: this.home, env: { XDG_RUNTIME_DIR: this.home } }
  }

  /** A directory below it, which the caller owns. */
  directory(name: string): string {
    return workDirectory(this.caller, join(`daemons-${this.name}`, name))
  }

  call(...args: readonly string[]) {
    return vial(this.caller, args, this.#options)
  }

  /** Its output; it has to succeed. */
  does(...args: readonly string[]): string {
    const { status, stdout, stderr } = this.call(...args)
    assert.equal(status, 0, `${args.join(' ')}: ${stdout}${stderr}`)
    return stdout
  }

  /** The words of the page's line that begins so. */
  documented(begin: string, change: (line: string) => string = (line) => line): readonly string[] {
    const line = lines.find((one) => one.startsWith(`vial ${begin}`))
    assert.ok(line, begin)
    return change(line).split(' ').slice(1)
  }

  /** `vial exec` in it. */
  inside(...words: readonly string[]): string {
    return this.does('exec', this.name, ...words)
  }

  /** Starts a command and does not wait for it. */
  begin(...args: readonly string[]): { readonly said: () => string; readonly ended: Promise<number | null> } {
    const { uid, gid } = this.caller
    const child = spawn(process.execPath, [join(top, 'dist/src/cli/main.cjs'), ...args], {
      cwd: this.home,
      env: { PATH: process.env.PATH, HOME: this.home, XDG_RUNTIME_DIR: this.home },
      ...(process.getuid?.() === 0 ? { uid, gid } : {}),
    })
    this.#children.push(child)
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        said += data
      })
    return { said: () => said, ended: once(child, 'close').then(([status]) => status) }
  }

  /** What is kept of its words, as soon as they say this. */
  async says(words: RegExp): Promise<string> {
    await eventually(
      () => this.does('logs', this.name),
      (text) => words.test(text),
    )
    const log = this.does('logs', this.name)
    assert.match(log, words)
    return log
  }

  record() {
    return JSON.parse(readFileSync(join(this.home, 'vial', this.name, 'record.json'), 'utf8'))
  }

  /** Stops it, and sees that its command ended by itself. */
  async stops(): Promise<string> {
    const { monitor, init } = this.record()
    this.does('stop', '--grace', '60s', this.name)
    for (const pid of [monitor.pid, init]) await assertThere(`/proc/${pid}`, false)
    assert.deepEqual(this.does('wait', this.name), '0\n')
    return this.does('logs', this.name)
  }
}

/** What a server says to this on a socket. */
async function ask(path: string, text: string): Promise<string> {
  const socket = connect(path)
  socket.end(text)
  let answer = ''
  for await (const part of socket) answer += part
  return answer
}

for (const caller of callers)
  describe(`named sandboxes of ${caller.name}`, () => {
    test('redis', { skip: notInstalled('redis-server', 'redis-cli') }, async (t) => {
      const scene = new Scene(t, caller, 'redis')
      const data = scene.directory('redis')
      const start = scene.documented('start --name redis')
      scene.does(...start)
      await scene.says(/ready to accept connections at socket/i)
      const followed = scene.begin('logs', '-f', 'redis')
      // By the sandbox's own loopback, which no other process reaches; from outside by the socket, which is the caller's.
      assert.equal(scene.inside('redis-cli', 'ping'), 'PONG\n')
      assert.equal(scene.inside('redis-cli', 'set', 'key', 'kept'), 'OK\n')
      assert.equal(await ask(join(data, 'socket'), 'get key\r\nquit\r\n'), '$4\r\nkept\r\n+OK\r\n')
      assert.equal(statSync(join(data, 'socket')).uid, caller.uid)
      assert.match(await scene.stops(), /DB saved on disk[\s\S]*bye bye/)
      assert.equal(await followed.ended, 0)
      assert.match(followed.said(), /ready to accept connections at socket[\s\S]*bye bye/i)
      assert.equal(scene.call('exec', 'redis', 'redis-cli', 'ping').status, 125)
      scene.does(...start)
      await scene.says(/DB loaded from disk[\s\S]*ready to accept connections at socket/i)
      assert.equal(scene.inside('redis-cli', 'get', 'key'), 'kept\n')
      scene.does('stop', '--rm', 'redis')
    })

    const programs = postgresPrograms()
    test('PostgreSQL', {
      skip: programs === undefined ? 'not installed: postgresql' : notInstalled('psql'),
    }, async (t) => {
      const scene = new Scene(t, caller, 'db')
      const data = scene.directory('db')
      const installedHere = (line: string) => line.replace(/\S+\/bin\//, `${programs}/`)
      scene.does(...scene.documented('run --policy postgres', installedHere), '--no-sync')
      const start = async (words: RegExp) => {
        scene.does(...scene.documented('start --name db', installedHere))
        await scene.says(/ready to accept connections/)
        assert.match(scene.does('logs', 'db'), words)
      }
      const sql = (text: string) => scene.inside('psql', '-qAtc', text)
      await start(/database system was shut down at/)
      const followed = scene.begin('logs', '-f', 'db')
      assert.equal(sql('create table kept (word text)'), '')
      assert.equal(sql("insert into kept values ('first') returning word"), 'first\n')
      // By what was said when it was initialised the name of a user outside is that of a role inside: others are refused.
      assert.equal(sql('select current_user'), 'vial\n')
      assert.match(
        scene.call('exec', 'db', 'psql', '-U', 'postgres', '-c', 'select 1').stderr,
        /Peer authentication failed/,
      )
      assert.equal(statSync(join(data, '.s.PGSQL.5432')).uid, caller.uid)

      // A client is no reason to wait: INT is the fast way, while TERM, the smart one, would wait for it.
      const client = scene.begin('exec', 'db', 'psql', '-c', "select 'begun'", '-c', 'select pg_sleep(600)')
      await eventually(client.said, (said) => said.includes('begun'))
      const log = await scene.stops()
      assert.match(log, /received fast shutdown request[\s\S]*database system is shut down\n$/)
      assert.notEqual(await client.ended, 0)
      assert.equal(await followed.ended, 0)
      assert.ok(followed.said().endsWith(log.slice(-200)))

      await start(/database system was shut down at/)
      assert.equal(sql('select word from kept'), 'first\n')
      assert.equal(sql("insert into kept values ('second') returning word"), 'second\n')
      // As a power failure would: what it finds it repairs.
      scene.does('kill', 'db')
      assert.equal(scene.call('wait', 'db').status, 137)
      await start(/was not properly shut down; automatic recovery in progress/)
      assert.equal(sql('select word from kept order by word'), 'first\nsecond\n')
      await scene.stops()
      scene.does('rm', 'db')
    })

    test('nginx', { skip: notInstalled('nginx') }, async (t) => {
      const scene = new Scene(t, caller, 'web')
      const site = scene.directory('web')
      cpSync(join(example, 'web'), site, { recursive: true })
      const socketPath = join(scene.directory('web/run'), 'socket')
      const large = 'large'.repeat(2 ** 21)
      writeFileSync(join(site, 'html/large'), large)
      const ask = (path: string) =>
        new Promise<IncomingMessage>((done, failed) =>
          get({ socketPath, path, agent: false }, done).on('error', failed),
        )
      const read = async (response: IncomingMessage) => {
        let text = ''
        for await (const part of response) text += part
        return text
      }
      /** From the worker that has the new configuration: the old ones may still answer. */
      const answers = async (expected: string) => {
        let text = ''
        for (let left = 3000; left > 0 && text !== expected; left--) text = await read(await ask('/'))
        assert.equal(text, expected)
      }
      const start = (signal: string) =>
        scene.documented('start --name web', (line) => line.replace('--stop-signal QUIT', `--stop-signal ${signal}`))
      scene.does(...start('QUIT'))
      await assertThere(socketPath)
      const followed = scene.begin('logs', '-f', 'web')
      assert.equal(await read(await ask('/')), '<p>hello from nginx in a vial</p>\n')
      await eventually(followed.said, (said) => said.includes('GET / HTTP/1.1" 200'))
      // What it serves it cannot change, and a socket of its own is all that it hears: there is no network.
      const { init } = scene.record()
      assert.doesNotMatch(readFileSync(`/proc/${init}/net/dev`, 'utf8'), /eth|ens|enp/)

      // QUIT lets it finish what it serves; TERM does not.
      for (const [signal, whole] of [
        ['QUIT', true],
        ['TERM', false],
      ] as const) {
        if (!existsSync(socketPath)) scene.does(...start(signal))
        await assertThere(socketPath)
        const response = await ask('/large')
        const stopped = scene.begin('stop', '--grace', '60s', 'web')
        await assertThere(socketPath, false)
        const text = await read(response).catch(() => 'cut')
        assert.equal(text === large, whole, signal)
        assert.equal(await stopped.ended, 0)
        assert.equal(scene.does('wait', 'web'), '0\n')
      }
      assert.equal(await followed.ended, 0)
      scene.does(...start('QUIT'))
      await assertThere(socketPath)
      writeFileSync(
        join(site, 'nginx.conf'),
        readFileSync(join(site, 'nginx.conf'), 'utf8').replace('root html', 'return 200 "read again"'),
      )
      scene.does('kill', '-s', 'HUP', 'web')
      await answers('read again')
      await scene.stops()
      scene.does('rm', 'web')
    })
  })

/** Whether there is such a path, soon. */
async function assertThere(path: string, expected = true): Promise<void> {
  await eventually(
    () => existsSync(path),
    (there) => there === expected,
  )
}
