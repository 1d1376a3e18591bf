/** Advice that is not true costs more than none: what is said of a file is what stands in its way, and nothing of a file that is seen. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Caller, callers, user, vial, workDirectory } from '../support/user.js'

const caller = user
const isRoot = process.getuid!() === 0
const main = resolve(fileURLToPath(import.meta.url), '../../../src/cli/main.cjs')

/** Files of each kind that a command line may name. */
function scene(caller: Caller, name: string): string {
  const directory = workDirectory(caller, name)
  const outside = workDirectory(caller, `${name}-outside`)
  const put = (path: string, mode = 0o644) => {
    writeFileSync(join(directory, path), '{}', { mode })
    if (isRoot) chownSync(join(directory, path), caller.uid, caller.gid)
  }
  put('file')
  put('policy.json')
  writeFileSync(join(outside, 'data'), '')
  symlinkSync('loop', join(directory, 'loop'))
  symlinkSync('/no/where', join(directory, 'dangling'))
  symlinkSync(outside, join(directory, 'out'))
  // Of root's, so that the caller cannot even ask.
  mkdirSync(join(directory, 'closed'))
  if (isRoot) chownSync(join(directory, 'closed'), 0, 0)
  chmodSync(join(directory, 'closed'), isRoot ? 0o700 : 0o000)
  return directory
}

const cwd = scene(caller, 'advice')
const run = (...args: string[]) => vial(caller, ['run', ...args], { cwd })

describe('what cannot be shown is told by what stands in its way', () => {
  for (const [path, words] of [
    ['loop', /loop is a symbolic link to loop, which leads in a circle/],
    ['loop/x', /loop is a symbolic link to loop, which leads in a circle/],
    ['dangling', /dangling is a symbolic link to \/no\/where, which does not exist/],
    ['file/x', /\/file is not a directory/],
    ['closed/x', /\/closed is closed to this user/],
    ['fiel', /\/fiel does not exist \(did you mean file\?\)/],
    ['none/of/it', /\/none does not exist\n/],
  ] as const)
    test(path, () => {
      const { stderr, status } = run('--ro', `./${path}`, '--', 'true')
      assert.match(stderr, words)
      assert.ok(stderr.startsWith(`vial: --ro ./${path}: /`), stderr)
      assert.equal(status, 125)
    })
})

describe('a file that the command line names for vial itself', () => {
  for (const [args, words] of [
    [
      ['run', '--policy', 'polcy.json', 'true'],
      /^vial: cannot read the policy polcy\.json: .* does not exist \(did you mean policy\.json\?\)/,
    ],
    [
      ['run', '--policy', 'closed/x', 'true'],
      /^vial: cannot read the policy closed\/x: .*\/closed is closed to this user/,
    ],
    [['run', '--policy', '.', 'true'], /^vial: cannot read the policy \.: it is a directory/],
    [['explain', 'loop'], /^vial: cannot read the policy loop: .* leads in a circle/],
    [
      ['run', '--seccomp', 'stirct', 'true'],
      /^vial: --seccomp stirct: must be one of default, .* \(did you mean strict\?\)/,
    ],
    [['run', '--seccomp', 'x.json', 'true'], /^vial: --seccomp x\.json: .*\/x\.json does not exist/],
    [['run', '--report', 'none/x', 'true'], /^vial: --report none\/x: .*\/none does not exist/],
    [['run', '--report', 'closed/x', 'true'], /^vial: --report closed\/x: .*\/closed is closed to this user/],
    [['run', '--report', '.', 'true'], /^vial: --report \.: it is a directory/],
    [['compile', '-o', 'none/x'], /^vial: --output none\/x: .*\/none does not exist/],
    [['compile', '-o', 'file/x'], /^vial: --output file\/x: .*\/file is not a directory/],
    [['front', '-o', 'none/x'], /^vial: --output .*none\/x: .*\/none does not exist/],
  ] as const)
    test(args.join(' '), () => {
      const { stderr, status } = vial(caller, args, { cwd })
      assert.match(stderr, words)
      assert.doesNotMatch(stderr, /E[A-Z]{3,}:|, open '/)
      assert.equal(status, 125)
    })

  test('a profile that is no JSON', () => {
    writeFileSync(join(cwd, 'broken.json'), '{,')
    assert.match(run('--seccomp', 'broken.json', 'true').stderr, /^vial: broken\.json:1:2: a key in double quotes/)
  })
})

describe('a command that fails', () => {
  for (const [name, args, words] of [
    [
      'a link that leads nowhere',
      ['--ro', '.', '--', 'cat', 'dangling'],
      /dangling cannot be reached outside either: .*does not exist/,
    ],
    ['a loop', ['--ro', '.', '--', 'cat', './loop'], /loop cannot be reached outside either: .*in a circle/],
    [
      'a file as a directory',
      ['--ro', '.', '--', 'cat', './file/x'],
      /file\/x cannot be reached outside either: .*is not a directory/,
    ],
    [
      'what is closed',
      ['--ro', '.', '--', 'cat', 'closed/x'],
      /closed\/x cannot be reached outside either: .*is closed to this user/,
    ],
    [
      'a link out of what is shown',
      ['--ro', '.', '--', 'cat', 'out/data'],
      /out\/data leads to (.*-outside\/data), which the sandbox does not see: add --ro \1 /,
    ],
  ] as const)
    test(name, () => {
      const { stderr, status } = run(...args)
      assert.match(stderr, words)
      assert.match(stderr, /^cat: .*\nvial: .*\n$/)
      assert.equal(status, 1)
    })

  test('a directory of root, which --ro would not open either', {
    skip: !isRoot && 'only root can close a directory to the caller',
  }, () => {
    assert.match(
      run('--', 'ls', join(cwd, 'closed')).stderr,
      /closed exists, but is closed to this user, and the sandbox does not see it\n$/,
    )
  })

  test('the advice for a link that leads out is right', () => {
    const outside = workDirectory(caller, 'advice-outside')
    assert.equal(run('--ro', '.', '--ro', outside, '--', 'cat', 'out/data').status, 0)
  })

  test('nothing is said of what the sandbox sees, or has of its own', () => {
    for (const args of [
      ['/bin/false'],
      ['grep', 'no such line', '/etc/passwd'],
      ['grep', 'no such line', '/bin/sh', '/usr/bin/env', '/etc/hosts'],
      ['sh', '-c', 'exit 3', '/tmp', '/home', '/etc', '/', '/proc/self/exe', '/dev/null'],
    ])
      assert.equal(run('--', ...args).stderr, '', args.join(' '))
    assert.equal(run('--ro', '.', '--', 'sh', '-c', 'exit 3', 'file', './file', cwd, '.').stderr, '')
  })
})

const noRoot = !isRoot && 'only root can mount a FUSE filesystem without a server'
/** Mounts on the first argument, ends the server, and becomes the rest. */
const dead = `
import ctypes, os, sys
fuse = os.open('/dev/fuse', os.O_RDWR)
options = b'fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other' % fuse
if ctypes.CDLL(None).mount(b'dead', sys.argv[1].encode(), b'fuse', 0, options) != 0: sys.exit(9)
os.close(fuse)
os.execvp(sys.argv[2], sys.argv[2:])`

test('a FUSE mount whose server has ended', { skip: noRoot }, () => {
  const place = workDirectory(callers.at(-1)!, 'dead')
  const inside = (...args: string[]) =>
    spawnSync('unshare', ['-m', 'python3', '-c', dead, place, process.execPath, main, 'run', ...args], {
      encoding: 'utf8',
      cwd: join(place, '..'),
      env: { ...process.env, VIAL_CACHE: workDirectory(callers.at(-1)!, 'cache') },
    })
  const words = `${place} is a FUSE mount whose server has ended: fusermount3 -u ${place}\n`
  assert.equal(inside('--ro', place, '--', 'true').stderr, `vial: --ro ${place}: ${words}`)
  const policy = join(workDirectory(callers.at(-1)!, 'policies'), 'dead.json')
  writeFileSync(policy, JSON.stringify({ preset: 'system', filesystem: [{ bind: place }] }))
  assert.match(
    inside('--policy', policy, '--', 'true').stderr,
    /: Transport endpoint is not connected\n {6}a FUSE mount on the way has lost its server: /,
  )
  const { stderr } = inside('--ro', '.', '--', 'ls', 'dead')
  assert.ok(stderr.endsWith(`\nvial: dead cannot be reached outside either: ${words}`), stderr)
})

test('what cannot be executed is told by what it is', () => {
  const caller = user
  const directory = workDirectory(caller, 'commands')
  writeFileSync(join(directory, 'script'), 'echo ran\n', { mode: 0o644 })
  const last = (command: string) =>
    vial(caller, ['run', '--ro', '.', '--', command], { cwd: directory }).stderr.split('\n').at(-2)
  assert.equal(last(directory), `vial: ${directory} is a directory`)
  assert.equal(
    last('./script'),
    'vial: ./script is not executable: chmod +x ./script, or name the program that reads it',
  )
  // What the sandbox has of its own is not looked at.
  assert.equal(last('/tmp'), '      it is not executable, or lies on a noexec mount')
})
