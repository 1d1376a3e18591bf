/** The units of examples/daemons: docs/services.md shows them, and what they execute does what a supervisor expects. lab/tests/daemons.test.ts has systemd itself. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { notInstalled } from '../support/needs.js'
import { postgresPrograms } from '../support/postgres.js'
import { eventually } from '../support/processes.js'
import { user, vial, workDirectory } from '../support/user.js'

const top = resolve(fileURLToPath(import.meta.url), '../../../..')
const example = join(top, 'examples/daemons')
const types = ['exec', 'forking'] as const
const units = types.flatMap((type) => readdirSync(join(example, type)).map((name) => join(type, name)))
const read = (name: string) => readFileSync(join(example, name), 'utf8')
const caller = user

test('docs/services.md shows these very files', () => {
  const page = readFileSync(join(top, 'docs/services.md'), 'utf8')
  const shown = [...page.matchAll(/^`(\S+\/)?(\S+)`:\n\n```ini\n([\s\S]*?)^```$/gm)]
  const files = shown.map(([, directory = '', name]) => `${directory}${name}`)
  assert.deepEqual(files.sort(), [...units, 'system.conf'].sort())
  for (const [, directory = '', name, text] of shown) assert.equal(text, read(`${directory}${name}`))
})

test('systemd-analyze(1) finds no fault in them', { skip: notInstalled('systemd-analyze') }, () => {
  const directory = workDirectory(caller, 'units')
  /** Of a program that is not there it says only that: each is another here. */
  const faults = (type: string, change: (text: string) => string) => {
    const place = join(directory, type)
    mkdirSync(place, { recursive: true })
    const names = units.filter((name) => name.startsWith(type)).map((name) => name.slice(type.length + 1))
    for (const name of names) {
      writeFileSync(
        join(place, name),
        change(read(join(type, name)).replaceAll(/^(Exec\w+=)(vial|kill)/gm, '$1/bin/sh')),
      )
      mkdirSync(join(place, `${name}.d`), { recursive: true })
      cpSync(join(example, 'system.conf'), join(place, `${name}.d`, 'system.conf'))
    }
    const { stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...names.map((name) => join(place, name))], {
      encoding: 'utf8',
    })
    return stderr.split('\n').filter((line) => line.includes('vial-'))
  }
  for (const type of types) {
    assert.deepEqual(
      faults(type, (text) => text),
      [],
    )
    assert.notDeepEqual(
      faults(type, (text) => text.replace('KillMode', 'KilMode')),
      [],
    )
  }
})

/** What a unit asks of a manager, in a directory of the caller's that stands for its directories: systemd.unit(5), "Specifiers". */
class Manager {
  readonly directory: string
  readonly #unit: string
  readonly #name: string

  constructor(t: TestContext, type: (typeof types)[number], name: string) {
    this.#name = name
    this.#unit = read(join(type, `${name}.service`))
    const home = `${type}-${name}`
    this.directory = workDirectory(caller, home)
    const made = (path: string) => workDirectory(caller, join(home, path))
    for (const path of ['config', 'config/vial', 'state', `state/${name}`, 'run']) made(path)
    for (const path of this.values('RuntimeDirectory').join(' ').split(' ').filter(Boolean)) made(`run/${path}`)
    for (const entry of readdirSync(example))
      if (!/^(?:exec|forking|system\.conf)$/.test(entry))
        cpSync(join(example, entry), join(this.directory, 'config/vial', entry), { recursive: true })
    made('config/vial/web/run')
    t.after(() => {
      for (const name of ['redis', 'db', 'web']) this.vial('rm', '-f', name)
      assert.deepEqual(readdirSync(join(this.directory, 'run/vial')), [])
    })
  }

  get #env() {
    return { XDG_RUNTIME_DIR: join(this.directory, 'run') }
  }

  vial(...args: readonly string[]) {
    return vial(caller, args, { cwd: this.directory, env: this.#env })
  }

  /** All that it says of a key, without specifiers. */
  values(key: string): string[] {
    const places = { E: 'config', S: 'state', t: 'run' } as const
    return [...this.#unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) =>
      value!
        .replaceAll('%N', this.#name)
        .replaceAll(/%([ESt])/g, (_, letter: keyof typeof places) => join(this.directory, places[letter]))
        .replaceAll(/\S+\/bin\/(?=initdb|postgres )/g, `${postgresPrograms()}/`),
    )
  }

  /** The process of such a line. */
  execute(key: string): ChildProcess {
    const [line] = this.values(key)
    // As sh(1) does, systemd takes quotes off and looks for the program.
    const main = join(top, 'dist/src/cli/main.cjs')
    const script = `vial() { "${process.execPath}" "${main}" "$@"; }\n`
    const words = line!.startsWith('vial ') ? line!.replace(/^vial/, `exec "${process.execPath}" "${main}"`) : line!
    return spawn('sh', ['-c', words.startsWith('sh -c') ? words.replace("sh -c '", `sh -c '${script}`) : words], {
      cwd: this.directory,
      env: { PATH: process.env.PATH, HOME: workDirectory(caller, 'home'), ...this.#env },
      ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
    })
  }

  async executes(key: string): Promise<void> {
    for (const _ of this.values(key)) {
      const child = this.execute(key)
      const said = [child.stdout!, child.stderr!].map((stream) => text(stream))
      const [status] = await once(child, 'close')
      assert.equal(status, 0, `${key}: ${(await Promise.all(said)).join('')}`)
    }
  }
}

interface Daemon {
  readonly unit: string
  readonly sandbox: string
  readonly skip: string | false
  readonly ready: RegExp
  /** What it says last, when it was asked to end by its own signal. */
  readonly bye: RegExp
}
const daemons: readonly Daemon[] = [
  {
    unit: 'vial-redis',
    sandbox: 'redis',
    skip: notInstalled('redis-server'),
    ready: /ready to accept connections/i,
    bye: /bye bye/,
  },
  {
    unit: 'vial-postgres',
    sandbox: 'db',
    skip: postgresPrograms() === undefined && 'not installed: postgresql',
    ready: /ready to accept connections/,
    bye: /received fast shutdown request[\s\S]*database system is shut down/,
  },
  {
    unit: 'vial-nginx',
    sandbox: 'web',
    skip: notInstalled('nginx'),
    ready: /GET \/ HTTP\/1\.1" 200/,
    bye: /GET \/ HTTP\/1\.1" 200/,
  },
]

const asked = (socketPath: string) =>
  new Promise<void>((done, failed) => {
    get({ socketPath, path: '/', agent: false }, (response) => {
      response.resume().on('end', done)
    }).on('error', failed)
  })

for (const { unit, sandbox, skip, ready, bye } of daemons) {
  /** nginx says something once it is asked. */
  const begun = async (manager: Manager) => {
    if (unit !== 'vial-nginx') return
    const socket = join(manager.directory, 'run/vial-nginx/run/socket')
    await eventually(() => existsSync(socket), Boolean)
    await asked(socket)
  }

  describe(`${unit}.service`, { skip }, () => {
    test('Type=exec: what it says comes out, and SIGTERM ends it as it wants to be ended', async (t) => {
      const manager = new Manager(t, 'exec', unit)
      await manager.executes('ExecStartPre')
      const child = manager.execute('ExecStart')
      t.after(() => child.kill('SIGKILL'))
      let said = ''
      for (const stream of [child.stdout!, child.stderr!])
        stream.on('data', (data) => {
          said += data
        })
      const ended = once(child, 'close')
      await begun(manager)
      await eventually(
        () => said,
        (text) => ready.test(text),
      )
      child.kill('SIGTERM')
      assert.deepEqual(await ended, [0, null])
      assert.match(said, bye)
    })

    test('Type=forking: the pid is that of the monitor, and ExecStop= ends it as it wants to be ended', async (t) => {
      const manager = new Manager(t, 'forking', unit)
      await manager.executes('ExecStartPre')
      await manager.executes('ExecStart')
      const log = () => manager.vial('logs', sandbox).stdout
      const [pidFile] = manager.values('PIDFile')
      const pid = Number(readFileSync(pidFile!, 'utf8'))
      const record = JSON.parse(readFileSync(join(manager.directory, 'run/vial', sandbox, 'record.json'), 'utf8'))
      assert.equal(pid, record.monitor.pid)
      assert.equal(statSync(pidFile!).uid, caller.uid)
      await begun(manager)
      await eventually(log, (text) => ready.test(text))
      await manager.executes('ExecStop')
      assert.equal(manager.vial('wait', sandbox).stdout, '0\n')
      assert.match(log(), bye)
      await eventually(
        () => existsSync(`/proc/${pid}`),
        (there) => !there,
      )
    })
  })
}
