/** Each example, as its reader runs it: its own status says whether it shows what it should; here is what it prints. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { namedButAbsent } from '../support/needs.js'
import { type Caller, callers, workDirectory } from '../support/user.js'

const top = resolve(fileURLToPath(import.meta.url), '../../../..')
const program = (name: string): readonly string[] =>
  name.endsWith('.ts')
    ? [process.execPath, join(top, 'dist/examples', name.replace('.ts', '.js'))]
    : ['bash', join(top, 'examples', name)]

const examples: Readonly<Record<string, readonly RegExp[]>> = {
  'untrusted-python.ts': [
    /^secrets: refused, No such file or directory\n/,
    /network: refused, Network is unreachable\n/,
    /answer: 42\nstatus 0, \d+ MiB at the most\n/,
    /an endless loop: {"kind":"time-limit","clock":"cpu","limit":1000}\n/,
    /a flood of output: {"kind":"output-limit","stream":"both","limit":1048576}\n$/,
  ],
  'npm-test.sh': [
    /^into the project: written\n/,
    /into the home of the caller: refused, ENOENT\na secret beside the project: not there\n/,
    /outside, afterwards: project secret\n$/,
  ],
  'compile-then-run.ts': [/in the directory now: hello hello\.c\nhello from C; I see \/hello\nhello: status 42\n$/],
  'nginx-config.sh': [/^hello from \.\/config\noutside there is no such server\n$/],
  'agent/main.ts': [
    /^it fails: 1\nmended: 6\nwrecked: \[ 'wreck', 'the shell knows: 6' \]\n/,
    /\nchanged sum\.py \[.*\+print\(sum\(\[1, 2, 3\]\)\)/s,
    /on the host: \[ 'sum\.py' \] print\(sum\(\[1, 2, 3\]\)\nkept: print\(sum\(\[1, 2, 3\]\)\)\n$/,
  ],
  'worker/main.ts': [
    /^exitCode: 0, .*stdout: "42\\n"/,
    /\nexitCode: 0, .*stdout: "\[\] False\\n"/,
    /"killed","by":"maxBuffer".*\nexitCode: 1, .*\n$/,
  ],
  'service/try.sh': [
    /^ready\nhello, visit 1 of process 2, uid 1000\n/m,
    /^\/etc\/shadow: No such file or directory\nended with 3\nready\nhello, visit 1 of process 2/m,
    /stopping: SIGTERM\nended with 0\n$/,
  ],
  'standalone-vial.sh': [/^outside, the user is \d+\ninside: guest 4711 elsewhere False\n$/],
}

function run(caller: Caller, name: string, temporary: string) {
  const [command = '', ...args] = program(name)
  const home = workDirectory(caller, 'home')
  return spawnSync(command, args, {
    encoding: 'utf8',
    cwd: home,
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: home, TMPDIR: temporary },
    ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
  })
}

for (const caller of callers) {
  describe(`examples by ${caller.name}`, () => {
    for (const [name, expected] of Object.entries(examples)) {
      const text = readFileSync(join(top, 'examples', name), 'utf8')
      test(name, { skip: namedButAbsent(text, 'python3', 'gcc', 'nginx', 'curl') }, () => {
        // Others have to get to what an example leaves for them.
        const temporary = mkdtempSync(join(tmpdir(), 'vial-examples-'))
        try {
          spawnSync('chown', [`${caller.uid}`, temporary])
          spawnSync('chmod', ['0711', temporary])
          const { stdout, stderr, status } = run(caller, name, temporary)
          for (const line of expected) assert.match(stdout, line, stderr)
          assert.equal(status, 0, stderr)
          if (caller.uid === 0 && name === 'standalone-vial.sh') assert.match(stdout, /the user is 65534/)
          assert.deepEqual(readdirSync(temporary), [])
        } finally {
          rmSync(temporary, { recursive: true, force: true })
        }
      })
    }
  })
}

test('the list of examples has each of them', () => {
  const listed = readFileSync(join(top, 'examples/README.md'), 'utf8')
  const entries = readdirSync(join(top, 'examples'), { withFileTypes: true })
  const files = entries.filter(({ name }) => /\.(?:ts|sh)$/.test(name)).map(({ name }) => name)
  assert.deepEqual(
    files.sort(),
    Object.keys(examples)
      .filter((name) => !name.includes('/'))
      .sort(),
  )
  // A directory with code in it has a test above, or a file of its own.
  const directories = entries
    .filter(
      (one) =>
        one.isDirectory() && readdirSync(join(top, 'examples', one.name)).some((name) => /\.(?:ts|sh|py)$/.test(name)),
    )
    .map(({ name }) => name)
  const isTested = (name: string) =>
    Object.keys(examples).some((one) => one.startsWith(`${name}/`)) ||
    existsSync(join(top, `test/examples/${name}.test.ts`))
  for (const name of directories) assert.ok(isTested(name), name)
  for (const name of [...files, ...directories]) assert.ok(listed.includes(`](${name})`), name)
})
