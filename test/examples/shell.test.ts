/** The agent's shell by its two doors: JSON lines, and a terminal. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Answer } from '../../examples/shell/shell.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { assertGone, eventually, processesWith, uniqueSeconds } from '../support/processes.js'
import { Terminal } from '../support/terminal.js'
import { type Caller, callers, user, workDirectory } from '../support/user.js'

const top = resolve(fileURLToPath(import.meta.url), '../../../..')
const main = join(top, 'dist/examples/shell/main.js')

/** A repository of the caller's, with a policy in it. */
function repository(caller: Caller, name: string): string {
  const project = workDirectory(caller, name)
  const as = process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}
  spawnSync('sh', ['-c', `git init -q . && mkdir -p agent/of && cp ${top}/examples/shell/policy.json agent/of`], {
    cwd: project,
    env: { PATH: process.env.PATH, HOME: workDirectory(caller, 'home') },
    ...as,
  })
  return project
}

class Session {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  constructor(caller: Caller, ...args: string[]) {
    this.#child = spawn(process.execPath, [main, ...args], {
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: workDirectory(caller, 'home') },
      stdio: ['pipe', 'pipe', 'inherit'],
      ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
    })
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]()
  }
  async ask(command: unknown, more: object = {}): Promise<Answer & { id: number; error?: string }> {
    this.#child.stdin!.write(`${JSON.stringify({ id: 7, command, ...more })}\n`)
    const { value } = await this.#lines.next()
    return JSON.parse(value as string)
  }
  async close(): Promise<void> {
    this.#child.stdin!.end()
    if (this.#child.exitCode === null) await once(this.#child, 'exit')
  }
}

for (const caller of callers) {
  describe(`the agent's shell by ${caller.name}`, { skip: notInstalled('git') }, () => {
    const project = repository(caller, 'project')
    const policy = join(project, 'agent/of/policy.json')
    let session: Session
    before(() => {
      session = new Session(caller, project, '--policy', policy)
    })
    after(() => session.close())

    test('the directory lasts from command to command, what they export does not', async () => {
      assert.deepEqual(await session.ask('mkdir src; cd src; export A=b; exit 3'), {
        id: 7,
        output: '',
        verdict: { kind: 'exit', code: 3 },
        cwd: join(project, 'src'),
      })
      const { output } = await session.ask('pwd; echo "A is $A"; echo error >&2')
      assert.equal(output, `${join(project, 'src')}\nA is \nerror\n`)
      const gone = await session.ask('cd "$(mktemp -d)"')
      const { output: back, cwd } = await session.ask('true')
      assert.deepEqual([back, cwd], [`${gone.cwd} is gone: back in ${project}\n`, project])
    })

    test('a command cannot lead the next one astray', async () => {
      for (const said of ['relative', '/bin/ls', '', '/etc\\0/x', '/a\\n/b'])
        await session.ask(`trap - EXIT; printf '${said}' >&3`)
      await session.ask('head -c 1000000 /dev/zero >&3')
      assert.equal((await session.ask('pwd')).output.split('\n').at(-2), project)
    })

    test('the project can be written, git and the policy cannot', async () => {
      const attempt = (command: string) => session.ask(command).then(({ output }) => output)
      assert.equal(await attempt('echo mine > file && cat file'), 'mine\n')
      assert.equal(readFileSync(join(project, 'file'), 'utf8'), 'mine\n')
      assert.match(await attempt('git status'), /Untracked files:[\s\S]*file/)
      assert.match(await attempt('git config alias.status "!touch /tmp/x"'), /could not lock config.*Read-only/)
      assert.match(await attempt('echo > .git/hooks/post-checkout'), /Read-only file system/)
      assert.match(await attempt('mv .git elsewhere'), /Device or resource busy/)
      assert.match(await attempt('echo > agent/of/policy.json'), /Read-only file system/)
      assert.match(await attempt('mv agent/of elsewhere'), /Device or resource busy/)
      assert.match(await attempt('mv agent elsewhere'), /Device or resource busy/)
    })

    test('they can when nothing is kept', async () => {
      const other = repository(caller, 'unguarded')
      const { output } = await evaluate(
        caller,
        async (_, { url, project }) => {
          const { openShell }: typeof import('../../examples/shell/shell.js') = await import(url)
          const shell = openShell({ project, policy: { preset: 'system' }, kept: [] })
          return shell.run('echo hook > .git/hooks/post-checkout && mv agent elsewhere && mkdir agent && ls')
        },
        { url: new URL('../../examples/shell/shell.js', import.meta.url).href, project: other },
      )
      assert.equal(output, 'agent\nelsewhere\n')
      assert.ok(existsSync(join(other, '.git/hooks/post-checkout')))
    })

    test('a network by choice only', async () => {
      const server = createServer((socket) => socket.end('reached\n')).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as { port: number }
      const command = `exec 4<>/dev/tcp/127.0.0.1/${port} && cat <&4`
      assert.match((await session.ask(command)).output, /Connection refused/)
      const other = new Session(caller, project, '--network')
      assert.equal((await other.ask(command)).output, 'reached\n')
      await other.close()
      server.close()
    })

    test('output and time are bounded, and the next command runs', async () => {
      const long = await session.ask('seq 100000')
      assert.match(long.output, /^1\n2\n[\s\S]*\n\[\d+ characters are left out\]\n[\s\S]*\n100000\n$/)
      assert.ok(long.output.length < 21_000)
      const endless = await session.ask('yes')
      assert.deepEqual(endless.verdict, { kind: 'output-limit', stream: 'both', limit: 2 ** 23 })
      assert.deepEqual((await session.ask('sleep 1000', { timeout: 200 })).verdict, { kind: 'killed', by: 'timeout' })
      const seconds = uniqueSeconds()
      assert.equal((await session.ask(`sleep ${seconds} & echo started`)).output, 'started\n')
      await assertGone(seconds)
    })

    test('what is no command is an error, in its place', async () => {
      assert.equal((await session.ask(3)).error, '"command" must be a text')
      assert.equal((await session.ask('echo on')).output, 'on\n')
    })

    test('where git would find no repository, a command could make one: no shell', async () => {
      const bare = workDirectory(caller, 'bare')
      const { stderr, status } = spawnSync(process.execPath, [main, bare], { encoding: 'utf8' })
      assert.deepEqual([status, /bare\/\.git is not there, and a command could make it/.test(stderr)], [1, true])
      assert.deepEqual(readdirSync(bare), [])
    })

    test('a terminal: commands, ^C, and no escape sequence of a command', {
      skip: notInstalled('script'),
    }, async () => {
      const terminal = new Terminal(caller, `exec ${process.execPath} ${main} ${project}`)
      try {
        await terminal.shows(`${project}$ `)
        terminal.type('cd src; printf "\\033[31mred"\n')
        await terminal.shows('\ufffd[31mred')
        await terminal.shows(`${project}/src$ `)
        const seconds = uniqueSeconds()
        terminal.type(`sleep ${seconds}\n`)
        const isAsleep = (pid: number) => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n'
        await eventually(
          () => processesWith(seconds),
          (pids) => pids.some(isAsleep),
        )
        terminal.type('\x03')
        await terminal.shows('interrupted')
        terminal.type('echo "go"es on\n')
        await terminal.shows('goes on')
      } finally {
        await terminal.close()
      }
    })
  })
}

test('what cannot be started is told in one line', { skip: notInstalled('git') }, () => {
  const caller = user
  const plain = workDirectory(caller, 'plain')
  const wrong: readonly (readonly [args: readonly string[], said: RegExp])[] = [
    [[plain], /^\/.*\/plain\/\.git is not there, and a command could make it: .*git init.*\n$/],
    [['/no/such/place'], /^ENOENT: .*'\/no'?.*\n$/],
    [['--no-such-flag'], /^Unknown option '--no-such-flag'.*\n$/],
    [['a', 'b'], /^usage: .*\n$/],
    [[plain, '--policy', '/no/such/policy'], /^ENOENT: .*\n$/],
  ]
  for (const [args, said] of wrong) {
    const { status, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', input: '' })
    assert.match(stderr, said)
    assert.equal(status, 1)
  }
})
