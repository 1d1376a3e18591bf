/** Real programs, by the library and by the command, in the preset and in their own closure. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { before, describe, test } from 'node:test'
import type { Policy, RunResult } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { type Caller, callers, vial, workDirectory } from '../support/user.js'

interface Case {
  readonly name: string
  /** Programs of the closure; the first has to be installed. */
  readonly programs: readonly string[]
  readonly command: readonly [string, ...string[]]
  readonly prints: string
  readonly files?: Policy['filesystem']
}

const everyModule =
  'import json, ssl, sqlite3, hashlib, zlib, bz2, lzma, ctypes, decimal, asyncio, urllib.request, xml.etree.ElementTree'
const python = `${everyModule}
import multiprocessing, os, subprocess, sys, tempfile
from concurrent.futures import ThreadPoolExecutor
database = sqlite3.connect(':memory:')
print(json.dumps(database.execute('select 6 * 7').fetchone()))
print(ssl.create_default_context().verify_mode.name)
print(subprocess.run([sys.executable, '-c', 'print("child")'], capture_output=True, text=True).stdout.strip())
with multiprocessing.get_context('fork').Pool(2) as pool: print(pool.map(abs, [-1, -2, -3]))
with ThreadPoolExecutor(4) as threads: print(sum(threads.map(len, ['a', 'bb'])))
with tempfile.TemporaryFile() as file: print(file.write(b'xyz'))
print(os.getpid() > 1, os.getuid())
`
const c = `#include <math.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) { printf("%d %.3f %d\\n", argc, sqrt(2.0 * argc), getuid()); return 3; }
`
const perl = `use strict; use warnings; use POSIX qw(floor); use List::Util qw(sum); use File::Temp;
print join(",", map { $_ * 2 } grep { $_ % 2 } 1..5), " ", floor(2.7), " ", sum(1..4), "\\n";
my $pid = open(my $from, "-|") // die; if (!$pid) { print "child\\n"; exit } print <$from>;`
const node = `const { execFileSync } = require('node:child_process')
const { createHash } = require('node:crypto')
const { Worker } = require('node:worker_threads')
console.log(createHash('sha256').update('vial').digest('hex').slice(0, 8), process.pid > 1)
console.log(execFileSync(process.execPath, ['-p', '6*7']).toString().trim())
new Worker('require("node:worker_threads").parentPort.postMessage(1)', { eval: true }).on('message', (m) => console.log('worker', m))`

/** The system's own, not one that a version manager put before it: all users see it. */
const path = '/usr/local/bin:/usr/bin:/bin:/usr/sbin'

const cases: readonly Case[] = [
  {
    name: 'python3',
    programs: ['python3'],
    command: ['python3', '-c', python],
    prints: '[42]\nCERT_REQUIRED\nchild\n[1, 2, 3]\n3\n3\nTrue 1000\n',
  },
  { name: 'perl', programs: ['perl'], command: ['perl', '-e', perl], prints: '2,6,10 2 10\nchild\n' },
  { name: 'node', programs: ['node'], command: ['node', '-e', node], prints: 'b107fb28 true\n42\nworker 1\n' },
  {
    name: 'gcc, and what it made',
    programs: ['gcc', 'sh'],
    command: ['sh', '-c', 'gcc -O2 -Wall -o /tmp/made /main.c -lm && /tmp/made a b; echo $?'],
    prints: '3 2.449 1000\n3\n',
    files: [{ file: '/main.c', content: c }],
  },
  {
    name: 'a pipeline of the shell',
    programs: ['sh', 'sort', 'uniq', 'tr', 'head', 'seq', 'wc', 'cat', 'sed'],
    command: [
      'sh',
      '-c',
      'seq 20000 | tr 0-9 a-j | sort | uniq -c | wc -l; seq 5 | (sed s/3/x/; cat) | sort -r | head -n 2; cat <<.\nhere\n.',
    ],
    prints: '20000\nx\n5\nhere\n',
  },
  {
    name: 'bash with its jobs',
    programs: ['bash', 'sleep', 'cat'],
    command: [
      'bash',
      '-c',
      'sleep 0 & sleep 0 & wait; cat <(echo one) <(echo two); set -o pipefail; false | true; echo $?',
    ],
    prints: 'one\ntwo\n1\n',
  },
  {
    name: 'java',
    programs: ['java'],
    command: ['java', '-Xmx64m', '-XX:+UseSerialGC', '-version'],
    prints: '',
  },
  {
    name: 'ruby',
    programs: ['ruby'],
    command: ['ruby', '-rjson', '-e', 'puts JSON.generate([6 * 7])'],
    prints: '[42]\n',
  },
]

const installed = (program: string) => path.split(':').some((directory) => existsSync(`${directory}/${program}`))
const skip = (program: string) => (installed(program) ? false : `${program} is not installed`)

const withFiles = (policy: Policy, { files }: Case): Policy =>
  files === undefined ? policy : { ...policy, filesystem: files }
const systemOf = (one: Case) => withFiles({ preset: 'system', env: { set: { PATH: path } } }, one)
const closureOf = (one: Case) => withFiles({ fill: { program: one.programs.filter(installed), path } }, one)

interface Run {
  readonly policy: Policy
  readonly command: readonly string[]
}

/** All in one Node process, whose start costs more than the sandboxes do. */
function runAll(caller: Caller, runs: Run[]): Promise<RunResult[]> {
  return evaluate(
    caller,
    async ({ sandbox }, runs) => {
      const results: RunResult[] = []
      for (const { policy, command } of runs) results.push(await sandbox(policy).run(command[0]!, command.slice(1)))
      return results
    },
    runs,
  )
}

for (const caller of callers) {
  describe(`programs, by ${caller.name}`, () => {
    const found = cases.filter(({ programs }) => installed(programs[0]!))
    const runs = found.flatMap((one) =>
      [systemOf(one), closureOf(one)].map((policy) => ({ policy, command: one.command })),
    )
    let results: RunResult[] = []
    before(async () => {
      results = await runAll(caller, runs)
    })
    for (const { name, programs, prints } of cases) {
      test(name, { skip: skip(programs[0]!) }, () => {
        const at = 2 * found.findIndex((one) => one.name === name)
        const [inSystem, inClosure] = [results[at]!, results[at + 1]!]
        assert.deepEqual([inSystem.stdout, inSystem.exitCode], [prints, 0], inSystem.stderr)
        assert.deepEqual([inClosure.stdout, inClosure.exitCode], [prints, 0], inClosure.stderr)
      })
    }

    test("python3's closure shows nothing else of /usr", { skip: notInstalled('python3') }, async () => {
      const list = `import os
for directory in ['/', '/usr', '/usr/bin', '/usr/share', '/usr/lib', '/usr/local', '/usr/local/share', '/home']:
    if os.path.isdir(directory): print(directory, *sorted(os.listdir(directory)))`
      const policy: Policy = { fill: { program: 'python3', path } }
      const [{ stdout, stderr }] = (await runAll(caller, [{ policy, command: ['python3', '-c', list] }])) as [RunResult]
      const shown = new Map(
        stdout
          .trim()
          .split('\n')
          .map((line) => line.split(' '))
          .map(([directory, ...names]) => [directory!, names]),
      )
      assert.ok(shown.size >= 5, stderr)
      for (const name of shown.get('/usr/bin')!) assert.match(name, /^python3/)
      for (const name of shown.get('/usr')!) assert.match(name, /^(bin|lib\w*|share|local)$/)
      for (const name of shown.get('/usr/share')!)
        assert.match(name, /^(zoneinfo|ca-certificates|locale|terminfo|python3|python-wheels|tcltk)$/)
      for (const name of shown.get('/usr/lib')!)
        assert.match(name, /^(python3|ssl$|locale$|terminfo$|[\w]+-linux-gnu$)/)
      assert.ok(!shown.get('/')!.some((name) => ['root', 'opt', 'srv', 'mnt', 'work', 'boot', 'sys'].includes(name)))
    })

    test('git in a directory that is writable, by the command', { skip: skip('git') }, () => {
      const script = [
        'git init -q -b main .',
        'git config user.name v && git config user.email v@example.org',
        'echo text > file && git add file && git commit -q -m first',
        'echo more >> file && git commit -q -a -m second && git gc -q',
        'git log --format=%s && git status --short && git show --stat --format= HEAD',
      ].join(' && ')
      for (const flags of [[], ['--fill', 'git', '--fill', 'sh']]) {
        const place = workDirectory(caller, `repository/${flags.length}`)
        const words = ['run', ...flags, '--rw', '.', '--env', `PATH=${path}`, '--', 'sh', '-c', script]
        const { stdout, stderr, status } = vial(caller, words, { cwd: place })
        assert.deepEqual([stdout, status], ['second\nfirst\n file | 1 +\n 1 file changed, 1 insertion(+)\n', 0], stderr)
        assert.ok(existsSync(`${place}/.git/HEAD`))
      }
    })

    test('gcc, and its program elsewhere, by the command', { skip: skip('gcc') }, () => {
      const directory = workDirectory(caller, 'compiled')
      const make = vial(
        caller,
        [
          'run',
          '--fill',
          'gcc',
          '--rw',
          '.',
          '--env',
          `PATH=${path}`,
          '--',
          'gcc',
          '-x',
          'c',
          '-o',
          'made',
          '-',
          '-lm',
        ],
        { cwd: directory, input: c },
      )
      assert.deepEqual([make.stderr, make.status], ['', 0])
      const used = vial(caller, ['run', '--uid', '77', '--ro', './made:/opt/made', '--', '/opt/made', 'x'], {
        cwd: directory,
      })
      assert.deepEqual([used.stdout, used.status], ['2 2.000 77\n', 3], used.stderr)
    })

    test("nginx serves the sandbox's own loopback", { skip: skip('nginx') }, async () => {
      const config = `daemon off; master_process on; worker_processes 2; pid /tmp/nginx.pid; error_log stderr;
events { worker_connections 64; }
http { access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f;
  uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
  server { listen 127.0.0.1:80; listen [::1]:80; location / { root /site; } } }
`
      // Binding port 80 needs no capability of the host: the network is the sandbox's own.
      const fetch = `import subprocess, time, urllib.request
server = subprocess.Popen(['nginx', '-c', '/nginx.conf', '-e', 'stderr'])
for _ in range(500):
    try: page = urllib.request.urlopen('http://127.0.0.1/page'); break
    except OSError: time.sleep(0.02)
print(page.status, page.headers['Server'].split('/')[0], page.read().decode().strip())
print(urllib.request.urlopen('http://[::1]/page').read().decode().strip())
server.terminate()
print(server.wait())`
      const policies = [{ preset: 'system' } as const, { fill: { program: ['nginx', 'python3'], path } }].map(
        (ready): Policy => ({
          ...ready,
          env: { set: { PATH: path } },
          capabilities: ['CAP_NET_BIND_SERVICE'],
          filesystem: [
            { file: '/nginx.conf', content: config },
            { file: '/site/page', content: 'hello from nginx\n' },
            { tmpfs: '/var/log/nginx' },
            { tmpfs: '/var/lib/nginx' },
          ],
        }),
      )
      const served = await runAll(
        caller,
        policies.map((policy) => ({ policy, command: ['python3', '-c', fetch] })),
      )
      for (const { stdout, stderr } of served) {
        assert.equal(stdout, '200 nginx hello from nginx\nhello from nginx\n0\n', stderr)
      }
    })
  })
}
