import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { before, test } from 'node:test'
import { accountFiles } from '../../src/fill/accounts.js'
import { closure } from '../../src/fill/closure.js'
import type { FillEntry } from '../../src/fill/entry.js'
import { findProgram } from '../../src/fill/findProgram.js'
import { systemEntries } from '../../src/fill/system.js'
import { View } from '../../src/fill/view.js'
import { notInstalled } from '../support/needs.js'
import { inside, makeElf, withDirectory } from './tools.js'

let noBwrap: string | false = notInstalled('bwrap')
before(() => {
  if (!noBwrap && inside(systemEntries(), ['true']).status !== 0)
    noBwrap = 'bwrap does not work for ordinary users here'
})

const place = (entry: FillEntry) => Object.values(entry)[0] as string

function assertOrdered(entries: FillEntry[]): void {
  const places = entries.map(place)
  assert.equal(new Set(places).size, places.length)
  const bound = entries.flatMap((one) => ('bind' in one ? [one.bind] : []))
  for (const [index, one] of places.entries()) {
    assert.deepEqual(
      bound.filter((bind) => one.startsWith(`${bind}/`)),
      [],
      `${one} is beneath a bound directory`,
    )
    assert.ok(!places.slice(index + 1).some((later) => one.startsWith(`${later}/`)), `${one} comes before its parent`)
  }
}

const PROGRAMS: Record<string, { program?: string; commands: string[][]; prints?: string }> = {
  'python3 -c': {
    commands: [
      [
        'python3',
        '-c',
        'import json, ssl, sqlite3, ctypes, zoneinfo, hashlib; ssl.create_default_context(); print("ok")',
      ],
    ],
  },
  'perl -MPOSIX': {
    commands: [['perl', '-MPOSIX', '-MSocket', '-MEncode', '-e', 'print POSIX::floor(1.5) ? "ok\n" : ""']],
  },
  'node -e': { commands: [['node', '-e', 'require("crypto"); console.log("ok")']] },
  'npm --version': { commands: [['npm', '--version']], prints: '' },
  'java -version': { commands: [['java', '-Xmx64m', '-XshowSettings:vm', '-version']], prints: '' },
  'git --version': { commands: [['git', 'init', '-q', '/tmp/x']], prints: '' },
  'bash -c': { commands: [['bash', '-c', 'echo ok; test ! -e /usr/share/doc']] },
  'ruby -e': { commands: [['ruby', '-rjson', '-e', 'puts "ok"']] },
}

for (const [name, { commands, prints = 'ok' }] of Object.entries(PROGRAMS)) {
  const program = commands[0]![0]!
  test(`${name} works with its closure alone`, { skip: notInstalled('bwrap', program) }, (context) => {
    if (noBwrap) return context.skip(noBwrap)
    const entries = closure(program)
    assertOrdered(entries)
    assert.ok(!entries.some((one) => ['/usr', '/usr/lib', '/usr/share', '/usr/share/doc', '/etc'].includes(place(one))))
    for (const command of commands) {
      const { stdout, stderr, status } = inside(entries, command)
      assert.equal(status, 0, stderr)
      assert.ok(stdout.includes(prints), stdout)
    }
  })
}

test('gcc compiles, links and runs a program with its closure alone', {
  skip: notInstalled('bwrap', 'gcc', 'bash'),
}, (context) => {
  if (noBwrap) return context.skip(noBwrap)
  const view = [...closure('gcc'), ...closure('bash')]
  const entries = [...new Map(view.map((one) => [place(one), one])).values()]
  const source =
    '#include <stdio.h>\\n#include <math.h>\\nint main(int c, char **v) { printf("ok %%g\\\\n", sqrt(c)); }\\n'
  for (const flags of ['', '-static', '-O2 -flto']) {
    const script = `printf '${source}' >/tmp/a.c && gcc ${flags} -o /tmp/a /tmp/a.c -lm && /tmp/a`
    const { stdout, stderr, status } = inside(entries, ['bash', '-c', script])
    assert.equal(status, 0, stderr)
    assert.equal(stdout, 'ok 1\n')
  }
})

test('g++ compiles a program with its closure alone', { skip: notInstalled('bwrap', 'g++', 'bash') }, (context) => {
  if (noBwrap) return context.skip(noBwrap)
  const entries = [...new Map([...closure('g++'), ...closure('bash')].map((one) => [place(one), one])).values()]
  const script = `echo '#include <iostream>
    int main() { std::cout << "ok" << std::endl; }' >/tmp/a.cc && g++ -o /tmp/a /tmp/a.cc && /tmp/a`
  const { stdout, stderr } = inside(entries, ['bash', '-c', script])
  assert.equal(stdout, 'ok\n', stderr)
})

test('documentation is not there', { skip: notInstalled('bwrap', 'python3') }, (context) => {
  if (noBwrap) return context.skip(noBwrap)
  const code =
    'import os; print([os.path.exists(f) for f in ("/usr/share/doc", "/usr/bin/ls", "/home", "/etc/passwd")])'
  assert.equal(inside(closure('python3'), ['python3', '-c', code]).stdout, '[False, False, False, False]\n')
})

test('a program that is not there', () => {
  assert.throws(() => closure('foo-of-vial'), {
    message: '"foo-of-vial" was not found on PATH (/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin)',
  })
  assert.throws(() => closure('foo', { path: '/nowhere' }), { message: /"foo" was not found on PATH \(\/nowhere\)/ })
  assert.throws(() => closure('/nowhere/foo'), { message: /"\/nowhere\/foo" is not an executable file/ })
  assert.throws(() => closure(''), { message: /"" was not found/ })
})

function script(file: string, text: string | Buffer): void {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, text, { mode: 0o755 })
}

test('scripts: their interpreter, also by way of env', { skip: notInstalled('bash') }, () =>
  withDirectory((directory) => {
    script(path.join(directory, 'plain'), '#! /bin/bash -e\n')
    script(path.join(directory, 'env'), '#!/usr/bin/env -S -u HOME A=1 bash -e\n')
    for (const name of ['plain', 'env']) {
      const places = closure(path.join(directory, name)).map(place)
      assert.ok(places.includes(path.join(directory, name)))
      assert.ok(places.includes(fs.realpathSync('/bin/bash')), name)
      assert.equal(places.includes('/usr/bin/env'), name === 'env')
    }
    assert.equal(findProgram('plain', directory), path.join(directory, 'plain'))
  }),
)

test('scripts: an interpreter that is missing, none at all, and one that is itself', () =>
  withDirectory((directory) => {
    const file = path.join(directory, 'a')
    script(file, '#!/nowhere/sh\n')
    assert.throws(() => closure(file), { message: /begins with #!\/nowhere\/sh, which is not an executable file/ })
    script(file, 'echo\n')
    assert.throws(() => closure(file), { message: /neither an ELF file nor a #! script/ })
    script(file, `#!${file}\n`)
    assert.deepEqual(closure(file), [{ bind: file }])
    script(file, '#!/usr/bin/env foo-of-vial\n')
    assert.throws(() => closure(file), { message: /"foo-of-vial" was not found on PATH/ })
  }))

test('a program that needs what no directory has, and a damaged one', () =>
  withDirectory((directory) => {
    const file = path.join(directory, 'a')
    script(file, makeElf({ needed: ['libvial-none.so'] }))
    assert.throws(() => closure(file), { message: /a needs the library libvial-none\.so, which ld\.so\(8\) would not/ })
    script(file, makeElf({ interpreter: '/nowhere/ld.so' }))
    assert.throws(() => closure(file), { message: /needs the ELF interpreter \/nowhere\/ld\.so/ })
    script(file, makeElf({ needed: ['libvial-none.so'] }).subarray(0, 100))
    assert.throws(() => closure(file), { message: /a: damaged ELF file/ })
  }))

test('shims of version managers lead to the version that is chosen, or are passed over', () =>
  withDirectory((directory) => {
    const root = path.join(directory, 'pyenv')
    const shim = path.join(root, 'shims/tool')
    script(shim, '#!/usr/bin/env bash\n')
    script(path.join(root, 'versions/2/bin/tool'), makeElf({ type: 2 }))
    script(path.join(directory, 'bin/tool'), makeElf({ type: 2 }))
    const search = `${root}/shims:${directory}/bin`
    assert.deepEqual(closure('tool', { path: search }), [{ bind: path.join(directory, 'bin/tool') }])
    fs.writeFileSync(path.join(root, 'version'), 'system\n2\n')
    const target = path.join(root, 'versions/2/bin/tool')
    const expected = [{ symlink: shim, to: target }, { bind: target }]
    assert.deepEqual(closure('tool', { path: search }), expected)
    assert.deepEqual(closure(shim), expected)
  }))

test('a venv: its settings and packages, and the interpreter it leads to', { skip: notInstalled('python3') }, () =>
  withDirectory((directory) => {
    const link = path.join(directory, 'bin/python')
    fs.mkdirSync(path.dirname(link))
    fs.symlinkSync(findProgram('python3')!, link)
    fs.writeFileSync(path.join(directory, 'pyvenv.cfg'), '')
    const version = /\d\.\d+$/.exec(fs.realpathSync(link))![0]
    fs.mkdirSync(path.join(directory, `lib/python${version}/site-packages`), { recursive: true })
    const places = closure(link).map(place)
    for (const one of [link, path.join(directory, 'pyvenv.cfg'), path.join(directory, `lib/python${version}`)]) {
      assert.ok(places.includes(one), one)
    }
    assert.ok(places.includes(fs.realpathSync(link)))
  }),
)

test('the view: links, loops and the directories that links pass through', () =>
  withDirectory((directory) => {
    const at = (name: string) => path.join(directory, name)
    fs.mkdirSync(at('a/empty'), { recursive: true })
    fs.mkdirSync(at('b'))
    fs.writeFileSync(at('b/file'), '')
    fs.symlinkSync('a/empty/../../b/file', at('link'))
    fs.symlinkSync('loop2', at('loop1'))
    fs.symlinkSync('loop1', at('loop2'))
    const view = new View()
    assert.equal(view.reach(at('loop1')), undefined)
    assert.equal(view.reach(at('b/absent')), undefined)
    assert.deepEqual(view.entries(), [])
    assert.equal(view.reach(at('link')), at('b/file'))
    assert.deepEqual(view.entries(), [
      { directory: at('a/empty') },
      { bind: at('b/file') },
      { symlink: at('link'), to: 'a/empty/../../b/file' },
    ])
    view.reach(at('b'))
    assert.deepEqual(view.entries()[1], { bind: at('b') })
  }))

test('the system: /usr whole, the root directories as the host has them, nothing of its accounts', () => {
  const entries = systemEntries()
  assertOrdered(entries)
  assert.ok(entries.some((one) => 'bind' in one && one.bind === '/usr'))
  for (const directory of ['/bin', '/sbin', '/lib', '/lib64']) {
    const entry = entries.find((one) => place(one) === directory)
    if (!fs.existsSync(directory)) assert.equal(entry, undefined)
    else if (fs.lstatSync(directory).isSymbolicLink())
      assert.deepEqual(entry, { symlink: directory, to: fs.readlinkSync(directory) })
    else assert.deepEqual(entry, { bind: directory })
  }
  for (const absent of [
    '/etc',
    '/etc/passwd',
    '/etc/shadow',
    '/etc/ssl',
    '/etc/ssl/private',
    '/opt',
    '/etc/resolv.conf',
  ]) {
    assert.ok(!entries.some((one) => place(one) === absent), absent)
  }
})

test('the system: the programs of the host work', { skip: notInstalled('bwrap', 'perl') }, (context) => {
  if (noBwrap) return context.skip(noBwrap)
  for (const command of [
    ['/bin/sh', '-c', 'ls / >/dev/null && date'],
    ['perl', '-MPOSIX', '-e', '1'],
    ['awk', 'BEGIN {}'],
  ]) {
    const { status, stderr } = inside(systemEntries(), command)
    assert.equal(status, 0, stderr)
  }
})

test('accounts: the files, root and nobody once', () => {
  const text = (entries: FillEntry[], file: string) =>
    entries.flatMap((one) => ('file' in one && 'content' in one && one.file === file ? [one.content] : []))[0]
  const user = accountFiles({
    uid: 1000,
    gid: 100,
    user: 'ann',
    group: 'staff',
    home: '/home/ann',
    hostname: 'box',
    shell: '/bin/bash',
  })
  assert.equal(
    text(user, '/etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nann:x:1000:100:ann:/home/ann:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n',
  )
  assert.equal(text(user, '/etc/group'), 'root:x:0:\nstaff:x:100:\nnogroup:x:65534:\n')
  assert.equal(text(user, '/etc/hosts'), '127.0.0.1 localhost box\n::1 localhost ip6-localhost ip6-loopback\n')
  assert.equal(text(user, '/etc/hostname'), 'box\n')
  const root = text(accountFiles({ uid: 0, gid: 0, home: '/' }), '/etc/passwd')
  assert.equal(root, 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n')
  assert.equal(text(accountFiles({ uid: 65534, gid: 65534 }), '/etc/passwd')?.match(/65534:65534/g)?.length, 1)
  for (const bad of [{ user: 'a:b' }, { home: '/a\nroot::0:0::/:' }, { hostname: 'a b' }, { group: '' }]) {
    assert.throws(() => accountFiles({ uid: 1, gid: 1, ...bad }), { message: /cannot be written to an account file/ })
  }
})

test('accounts: the C library reads them', { skip: notInstalled('bwrap', 'id') }, (context) => {
  if (noBwrap) return context.skip(noBwrap)
  withDirectory((directory) => {
    const entries = [...systemEntries(), ...accountFiles({ uid: 12345, gid: 12345, user: 'ann', hostname: 'box' })]
    const { stdout, stderr } = inside(
      entries,
      ['sh', '-c', 'getent passwd 12345; getent group ann; getent hosts box'],
      directory,
    )
    assert.match(stdout, /^ann:x:12345:12345:ann:\/:\/bin\/sh\nann:x:12345:\n127\.0\.0\.1 .*box/, stderr)
  })
})

test('a program does not name files of the host for itself', () => {
  withDirectory((directory) => {
    const secrets = path.join(directory, 'secrets')
    const key = path.join(secrets, 'key')
    fs.mkdirSync(secrets)
    fs.writeFileSync(key, 'secret', { mode: 0o600 })
    fs.writeFileSync(path.join(secrets, 'open'), '', { mode: 0o644 })
    const environment = (name: string, interpreter?: string) => {
      const prefix = path.join(directory, name)
      for (const one of ['bin', 'lib']) fs.mkdirSync(path.join(prefix, one), { recursive: true })
      const program = path.join(prefix, 'bin/python3.9')
      fs.writeFileSync(program, makeElf({ type: 2, ...(interpreter === undefined ? {} : { interpreter }) }), {
        mode: 0o755,
      })
      return { prefix, program }
    }
    const shown = (program: string) =>
      closure(program).flatMap((one) => ('bind' in one && one.bind.startsWith(secrets) ? [one.bind] : []))

    // What the kernel would not take for an interpreter either: execve(2).
    for (const interpreter of [key, secrets])
      assert.throws(() => closure(environment(path.basename(interpreter), interpreter).program), /ELF interpreter/)

    // Its directories and settings are links that lead elsewhere.
    const linked = environment('linked')
    fs.symlinkSync(secrets, path.join(linked.prefix, 'lib/python3.9'))
    fs.symlinkSync(key, path.join(linked.prefix, 'pyvenv.cfg'))
    assert.deepEqual(shown(linked.program), [])

    // So are files in them. What every user may read is no secret: tools do link their caches so.
    const files = environment('files')
    fs.mkdirSync(path.join(files.prefix, 'lib/python3.9'))
    for (const name of ['key', 'open'])
      fs.symlinkSync(path.join(secrets, name), path.join(files.prefix, 'lib/python3.9', `${name}.py`))
    assert.deepEqual(shown(files.program), [path.join(secrets, 'open')])

    // A prefix that is reached by a link has its own directories.
    const real = environment('real')
    fs.mkdirSync(path.join(real.prefix, 'lib/python3.9'))
    fs.symlinkSync('real', path.join(directory, 'alias'))
    assert.ok(
      closure(path.join(directory, 'alias/bin/python3.9')).some(
        (one) => place(one) === path.join(real.prefix, 'lib/python3.9'),
      ),
    )
  })
})
