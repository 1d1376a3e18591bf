/** The units of examples/daemons under a booted systemd, by a user's own manager and by that of the system: docs/services.md. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { resolve } from 'node:path'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually, processesWith } from '../../test/support/processes.js'

const top = resolve(fileURLToPath(import.meta.url), '../../../..')
const page = readFileSync(`${top}/docs/services.md`, 'utf8')
const uid = 12345
const asUser = [
  'setpriv',
  `--reuid=${uid}`,
  `--regid=${uid}`,
  '--clear-groups',
  'env',
  '-C',
  '/home/ordinary',
  'HOME=/home/ordinary',
]
const runtime = `XDG_RUNTIME_DIR=/run/user/${uid}`

interface Manager {
  readonly name: string
  /** Which block of the page installs the units. */
  readonly installs: string
  /** Where its directories of systemd.unit(5), "Specifiers", are. */
  readonly run: string
  readonly state: string
  /** Words before a command: of the manager's owner, and of the services' user, who enters them. */
  readonly owner: readonly string[]
  readonly user: (unit: string) => readonly string[]
  readonly systemctl: string
  readonly journal: string
}

const managers: readonly Manager[] = [
  {
    name: "a user's own systemd",
    installs: '~/.config/systemd/user',
    run: `/run/user/${uid}`,
    state: '/home/ordinary/.local/state',
    owner: [...asUser, runtime],
    // As a login has it: in a group of the user's manager.
    user: () => [...asUser, runtime, 'systemd-run', '--user', '--quiet', '--pipe', '--wait', '--collect'],
    systemctl: 'systemctl --user',
    journal: 'journalctl -o cat _SYSTEMD_USER_UNIT=',
  },
  {
    name: 'that of the system, with User=',
    installs: '/etc/systemd/system',
    run: '/run',
    state: '/var/lib',
    owner: [],
    user: (unit) => [...asUser, `XDG_RUNTIME_DIR=/run/${unit}`],
    systemctl: 'systemctl',
    journal: 'journalctl -o cat _SYSTEMD_UNIT=',
  },
]

function does(words: readonly string[], line: string): string {
  const all = [...words, 'bash', '-euc', line]
  const { status, stdout, stderr } = spawnSync(all[0]!, all.slice(1), { encoding: 'utf8', cwd: top })
  assert.equal(status, 0, `${line}: ${stdout}${stderr}`)
  return stdout.trim()
}

/** Whether a line succeeds in the end, and what it said. */
const succeeds = (words: readonly string[], line: string) =>
  eventually(
    () =>
      spawnSync([...words, 'bash', '-euc', line][0]!, [...words, 'bash', '-euc', line].slice(1), { encoding: 'utf8' }),
    ({ status }) => status === 0,
  ).then(({ stdout }) => stdout.trim())

const firstPage = (socketPath: string) =>
  new Promise<string>((done, failed) => {
    get({ socketPath, path: '/', agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part) => {
        text += part
      })
      response.on('end', () => done(text))
    }).on('error', failed)
  })

const sandboxes = { 'vial-redis': 'redis', 'vial-postgres': 'db', 'vial-nginx': 'web' } as const
const units = Object.keys(sandboxes) as (keyof typeof sandboxes)[]
/** What each says last, when it was asked by its own signal; nginx is quiet about it. */
const lastWords = {
  'vial-redis': /bye bye/,
  'vial-postgres': /received fast shutdown request[\s\S]*database system is shut down/,
  'vial-nginx': /GET \/ HTTP\/1\.1" 200/,
} as const
const servers = ['redis-server', '/bin/postgres', 'nginx']

before(() => {
  writeFileSync('/usr/local/bin/vial', `#!/bin/sh\nexec node ${top}/dist/src/cli/main.cjs "$@"\n`, { mode: 0o755 })
  does([], `systemctl start user@${uid}.service`)
})

for (const manager of managers)
  for (const type of ['exec', 'forking'] as const)
    describe(`units of ${manager.name}, Type=${type}`, () => {
      const { owner, systemctl, run } = manager
      const show = (unit: string, property: string) => does(owner, `${systemctl} show --value -p ${property} ${unit}`)
      const groupOf = (unit: string) => `/sys/fs/cgroup${show(unit, 'ControlGroup')}`
      /** The process whose words begin so, of all in the unit. */
      const inGroup = (unit: string, words: string) =>
        does([], `find ${groupOf(unit)} -name cgroup.procs | xargs cat`)
          .split('\n')
          .find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(words))
      const inside = (unit: keyof typeof sandboxes, words: string) =>
        does(manager.user(unit), `vial exec ${sandboxes[unit]} ${words}`)
      const journal = (unit: string) => does([], `journalctl --sync; ${manager.journal}${unit}.service`)
      const redisSays = (words: string) => `redis-cli -s ${manager.state}/vial-redis/socket ${words}`
      const socket = `${run}/vial-nginx/run/socket`
      const answers = () =>
        allAnswer().catch((error: Error) => {
          const said = units.map(
            (unit) =>
              `${spawnSync('bash', ['-c', `journalctl -b -o cat | grep ${unit} | tail -20`], { encoding: 'utf8' }).stdout}\n${journal(unit)}`,
          )
          throw new Error(`${error.message}\n${said.join('\n')}`)
        })
      const allAnswer = async () => {
        await succeeds([], `${redisSays('ping')} | grep PONG`)
        await succeeds(
          owner.length === 0 ? asUser : owner,
          `psql -h ${manager.state}/vial-postgres -U vial -qAtc 'select 1' postgres`,
        )
        await eventually(() => existsSync(socket), Boolean)
        assert.equal(await firstPage(socket), '<p>hello from nginx in a vial</p>\n')
      }

      test('are installed and started as docs/services.md says', async () => {
        const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, text]) => text!)
        const install = blocks.find(
          (text) => text.includes('examples/daemons/exec') && text.includes(manager.installs),
        )!
        const [, begun] = /^([\s\S]*?enable --now [^\n]*\n)/.exec(install)!
        const version = readdirSync('/usr/lib/postgresql')[0]
        const directory = manager.installs.replace('~', '/home/ordinary')
        const adapted = begun!
          .replaceAll('sudo ', '')
          .replaceAll('examples/daemons', `${top}/examples/daemons`)
          .replace('daemons/exec/', `daemons/${type}/`)
          .replace(
            /^(?=systemctl .*daemon-reload)/m,
            `sed -i 's,/postgresql/15/,/postgresql/${version}/,' ${directory}/vial-postgres.service\n`,
          )
        does(owner, adapted)
        await answers()
        for (const unit of units) assert.equal(show(unit, 'ActiveState'), 'active')
        if (type === 'forking')
          assert.equal(show('vial-redis', 'MainPID'), readFileSync(`${run}/vial-redis/pid`, 'utf8').trim())
      })

      test('are entered, and what they say is found', () => {
        assert.equal(inside('vial-redis', 'redis-cli set key kept'), 'OK')
        assert.equal(inside('vial-postgres', 'psql -qAtc "select current_user"'), 'vial')
        const log = (unit: keyof typeof sandboxes) =>
          type === 'exec' ? journal(unit) : does(manager.user(unit), `vial logs ${sandboxes[unit]}`)
        assert.match(log('vial-redis'), /ready to accept connections/i)
        assert.match(log('vial-postgres'), /database system is ready/)
        assert.match(log('vial-nginx'), /GET \/ HTTP\/1\.1" 200/)
      })

      test('nginx reads its configuration again at a reload', async () => {
        const workers = () => processesWith('nginx: worker').join()
        const old = workers()
        does(owner, `${systemctl} reload vial-nginx`)
        await eventually(workers, (pids) => pids !== old && pids !== '')
        assert.equal(await firstPage(socket), '<p>hello from nginx in a vial</p>\n')
      })

      test('are started again after a crash', async () => {
        process.kill(Number(inGroup('vial-redis', 'redis-server')), 'SIGKILL')
        await eventually(
          () => show('vial-redis', 'NRestarts'),
          (count) => count === '1',
        )
        await answers()
      })

      test('with limits: the sandbox has a group in that of the unit, and is entered by what may', async () => {
        // What redis was told last it has written at its stop, unlike at the crash before.
        does([], redisSays('set key kept'))
        const drop = `${manager.installs.replace('~', '/home/ordinary')}/vial-redis.service.d`
        const unit = does(owner, `${systemctl} cat vial-redis | grep ^ExecStart=`)
        does(
          owner,
          `mkdir -p ${drop}; printf '[Service]\\nExecStart=\\n%s\\n' '${unit.replace('--name redis', '--name redis --memory 96M --pids 40')}' > ${drop}/limits.conf; ${systemctl} daemon-reload; ${systemctl} restart vial-redis`,
        )
        // Type=exec tells of the start of "vial start" only.
        await answers()
        const groups = does([], `find ${groupOf('vial-redis')} -name memory.max | xargs grep -l ^${96 * 2 ** 20}$`)
        assert.match(groups, /^\S+\/vial-redis\.service\/\S*vial\.\S+\/memory\.max$/)
        const entered = spawnSync(
          'bash',
          ['-euc', [...manager.user('vial-redis'), 'vial', 'exec', 'redis', 'redis-cli', 'get', 'key'].join(' ')],
          { encoding: 'utf8' },
        )
        if (owner.length > 0) assert.deepEqual([entered.stdout, entered.status], ['kept\n', 0], entered.stderr)
        else assert.match(entered.stderr, /cannot be entered from here: it has limits/)
        does(owner, `rm -r ${drop}; ${systemctl} daemon-reload`)
      })

      test('stop as they want to, and nothing is left', async () => {
        const groups = units.map(groupOf)
        does(owner, `${systemctl} stop ${units.join(' ')}`)
        for (const unit of units) {
          const state = ['ActiveState', 'Result', 'ExecMainStatus'].map((property) => show(unit, property))
          assert.deepEqual(state, ['inactive', 'success', '0'], unit)
        }
        for (const group of groups) assert.equal(existsSync(group), false, group)
        for (const server of servers) assert.deepEqual(processesWith(server), [], server)
        if (type === 'exec') for (const unit of units) assert.match(journal(unit), lastWords[unit])
        // A user's own are known until they are started again.
        if (owner.length > 0) {
          const rows = JSON.parse(does(manager.user(''), 'vial ps --json'))
          assert.deepEqual(
            rows.map(({ name, state, status }: { name: string; state: string; status: number }) => [
              name,
              state,
              status,
            ]),
            [
              ['db', 'ended', 0],
              ['redis', 'ended', 0],
              ['web', 'ended', 0],
            ],
          )
          for (const unit of units)
            assert.match(does(manager.user(unit), `vial logs ${sandboxes[unit]}`), lastWords[unit])
        }
        for (const unit of units) assert.equal(existsSync(`${run}/${unit}`), false)
        does(owner, `${systemctl} disable ${units.join(' ')}`)
      })
    })
