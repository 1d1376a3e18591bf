/** What a newcomer does wrong, and that the answer says what to do next. */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { user, vial, workDirectory } from '../support/user.js'

const caller = user

const usage: readonly (readonly [string, string[], RegExp])[] = [
  ['no command', ['run'], /no command to run was given: vial run .*COMMAND/],
  ['a flag that ate the command', ['run', '--rw', 'make'], /no command to run was given/],
  ['the command of the shell as the command of vial', ['ls', '-l'], /to run it in a sandbox: vial run -- ls -l/],
  ['a misspelled command', ['exlain'], /did you mean explain\?/],
  ['flags before the command', ['--ro', '.', 'run'], /the command comes before its flags/],
  ['a misspelled flag', ['run', '--tmfs', '/x', '--', 'true'], /no flag --tmfs \(did you mean --tmpfs\?\)/],
  ['a flag without its value', ['run', '--ro', '--', 'true'], /--ro needs a value: --ro PATH/],
  ['a time that is none', ['run', '--timeout', 'soon', '--', 'true'], /--timeout soon: must be a time such as "2s"/],
  ['a time before now', ['run', '--timeout', '-1', '--', 'true'], /--timeout -1: must be a time such as "2s"/],
  ['no time at all', ['run', '--timeout', '0', '--', 'true'], /--timeout 0: must be at least a millisecond/],
  [
    'a wall time with a unit that is none',
    ['run', '--wall-time=5sec', 'true'],
    /--wall-time 5sec: must be a time such as/,
  ],
  [
    'a size of the one command that has it',
    ['run', '--output', '12x', 'true'],
    /--output 12x: must be a size such as "64M"/,
  ],
  ['a size with a blank', ['run', '--memory', '256 MB', 'true'], /--memory 256 MB: must be a size such as "64M"/],
  ['a number in another base', ['run', '--uid', '0x10', 'true'], /--uid 0x10: must be a whole number/],
  ['a number with an exponent', ['run', '--pids', '1e3', 'true'], /--pids 1e3: must be a whole number/],
  ['cores that are none', ['run', '--cpus', 'all', 'true'], /--cpus all: must be a number of cores, such as 0\.5/],
  ['the beginning of a flag', ['run', '--mem', '1G', 'true'], /no flag --mem \(did you mean --memory\?\)/],
  ['one dash for two', ['run', '-memory', '1G', 'true'], /no flag -memory \(did you mean --memory\?\)/],
  ['a flag of another command', ['explain', '--report', 'x'], /no flag --report: it is one of "vial run"/],
  ['a letter of another command', ['run', '-o', 'x', 'true'], /no flag -o: it is one of "vial compile", "vial front"/],
  ["docker's volume", ['run', '-v', '.:/x', 'true'], /no flag -v: write --rw PATH\[:INSIDE\], or --ro /],
  ["docker's letters together", ['run', '-dit', 'bash'], /no flag -dit:\n {6}-d: write vial start .*\n {6}see/],
  ["docker's letters, of another command", ['start', '-it', 'bash'], /no flag -it:\n {6}-i: .*\n {6}-t: .*"vial exec"/],
  ['two terminals', ['run', '-t', '--share-session', 'sh'], /^vial: -t: .* with --share-session .*: leave one out/],
  ['a terminal where there is none', ['run', '-it', 'sh'], /^vial: -t: standard input is not a terminal: leave it out/],
  ["docker's letters, of which one is none", ['run', '-iz', 'bash'], /no flag -iz\n/],
  ["docker's pid", ['run', '--pid', 'host', 'true'], /no flag --pid: "namespaces\.pid" of a policy .*--pids COUNT/],
  [
    "bubblewrap's bind",
    ['run', '--ro-bind', '/', '/', 'true'],
    /no flag --ro-bind: write --ro SRC:DEST\n.*"vial bwrap"/,
  ],
  [
    "bubblewrap's namespaces",
    ['run', '--unshare-net', 'true'],
    /no flag --unshare-net: .*leave it out\n.*"vial bwrap"/,
  ],
  ['a value that is none of the choices', ['run', '--network', 'hots', '--', 'true'], /--network hots: must be "none"/],
  [
    'flags that contradict',
    ['run', '--ro', '/usr', '--rw', '/usr', '--', 'true'],
    /--ro \/usr and --rw \/usr are for the/,
  ],
  ['fill and a preset', ['run', '--fill', 'sh', '--preset', 'system', '--', 'true'], /leave one of them out/],
  ['one flag twice', ['run', '--cwd', '/', '--cwd', '/tmp', '--', 'true'], /--cwd is given twice/],
  ['a place that is not absolute', ['run', '--tmpfs', 'x:1M', '--', 'true'], /--tmpfs x:1M: must be an absolute path/],
  [
    'a missing source',
    ['run', '--ro', '/usr/bni', '--', 'true'],
    /--ro \/usr\/bni: \/usr\/bni does not exist \(did you mean bin\?\)/,
  ],
  ['a missing policy', ['explain', 'none.json'], /cannot read the policy none\.json: .*\/none\.json does not exist/],
  [
    'a program to fill with that is not there',
    ['run', '--fill', 'no-such', '--', 'true'],
    /"no-such" was not found on PATH/,
  ],
  ['an output that is missing', ['compile', 'x.json'], /--output FILE is missing/],
  ['another machine', ['compile', '-o', 'x', '--arch', 'mips'], /--arch: must be one of x64, arm64/],
  ['two policies', ['explain', '--policy', 'a.json', 'b.json'], /two policies are given: b\.json and --policy a\.json/],
]

describe('a wrong command line', () => {
  for (const [name, args, expected] of usage) {
    test(name, () => {
      const { status, stderr, stdout } = vial(caller, args)
      assert.match(stderr, expected)
      assert.match(stderr, /^vial: /)
      assert.deepEqual([status, stdout], [125, ''])
    })
  }
})

const texts: readonly (readonly [string, string, RegExp])[] = [
  ['a comma too many', '{\n  "cwd": "/",\n}', /p\.json:3:1: JSON takes no comma after the last item/],
  ['single quotes', "{ 'cwd': '/' }", /p\.json:1:3: a key in double quotes was expected/],
  ['a comment', '{\n // here\n "cwd": "/" }', /p\.json:2:2: JSON has no comments/],
  ['a bracket that is not closed', '{ "env": { "inherit": ["A" }', /p\.json:1:28: "," or "\]" was expected/],
  ['no colon', '{ "cwd" "/" }', /p\.json:1:9: ":" was expected after the key/],
  ['nothing', '', /p\.json:1:1: the text ends where a value was expected/],
  ['text behind it', '{} {}', /p\.json:1:4: nothing may follow the policy/],
  ['a word', '{ "cwd": here }', /p\.json:1:10: a value was expected, not "h"/],
  ['an end that is missing', '{ "cwd": "/"', /p\.json:1:13: "}" is missing at the end/],
  ['a wrong key', '{ "filesytem": [] }', /p\.json: filesytem: is not a known key \(did you mean filesystem\?\)/],
  ['a wrong key inside', '{ "identity": { "uidd": 1 } }', /identity\.uidd: is not a known key \(did you mean uid\?\)/],
  [
    'a wrong key of an entry',
    '{ "filesystem": [{ "bind": "/usr", "writeable": true }] }',
    /filesystem\[0\]\.writeable: is not a known key \(did you mean writable\?\)/,
  ],
  [
    'a wrong kind',
    '{ "filesystem": [{ "binds": "/usr" }] }',
    /filesystem\[0\]: has "binds", which is not a key of an entry; did you mean "bind"\?/,
  ],
]

describe('a wrong policy file', () => {
  for (const [name, text, expected] of texts) {
    test(name, () => {
      const cwd = workDirectory(caller, 'policies')
      writeFileSync(join(cwd, 'p.json'), text)
      const { status, stderr } = vial(caller, ['run', '--policy', 'p.json', '--', 'true'], { cwd })
      assert.match(stderr, expected)
      assert.equal(status, 125)
    })
  }
})

describe('a command that fails inside', () => {
  const cwd = workDirectory(caller, 'project')
  writeFileSync(join(cwd, 'greet'), '#!/bin/sh\necho ran\n')
  chmodSync(join(cwd, 'greet'), 0o755)
  const run = (...args: string[]) => vial(caller, ['run', ...args], { cwd })

  test('a script of a directory that is not shown', () => {
    const { status, stderr } = run('--', './greet')
    assert.match(stderr, /\.\/greet exists, but the sandbox does not see it: add --ro \. /)
    assert.equal(status, 127)
    assert.equal(run('--ro', '.', '--', './greet').stdout, 'ran\n')
  })

  test('a script that lies where one works, without ./', () => {
    const { stderr } = run('--', 'greet')
    assert.match(stderr, /greet is not on your PATH either; for the file in this directory: --ro \. -- \.\/greet/)
  })

  test('a command that is not to be found anywhere', () => {
    const { stderr, status } = run('--', 'pyhton3')
    assert.match(stderr, /cannot run pyhton3: No such file.*\n.*\nvial: pyhton3 is not on your PATH either/)
    assert.equal(status, 127)
  })

  test('a working directory other than the one that is meant', () => {
    const { stderr } = run('--ro', '.', '--cwd', '/', '--', 'cat', 'greet')
    assert.match(stderr, new RegExp(`greet starts from this directory.* add --cwd ${cwd}`))
  })

  test('a directory that is not writable', () => {
    const { stderr, status } = run('--ro', '.', '--', 'touch', 'out.txt')
    assert.match(stderr, /Read-only file system\n.*out\.txt is not there.*add --rw /)
    assert.equal(status, 1)
    assert.equal(run('--rw', '.', '--', 'touch', 'out.txt').status, 0)
  })

  test('a command that fails for reasons of its own gets no advice', () => {
    const { stderr } = run('--ro', '.', '--', 'sh', '-c', 'exit 3')
    assert.equal(stderr, '')
  })
})
