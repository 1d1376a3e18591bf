/** What the text of an installed wrapper names is shown, and nothing that a stranger's script names. */
import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { test } from 'node:test'
import { closure } from '../../src/fill/closure.js'
import { findProgram } from '../../src/fill/findProgram.js'
import { isOfPackage, isProse } from '../../src/fill/own.js'
import { mentionedIn, readShebang } from '../../src/fill/shebang.js'
import { View } from '../../src/fill/view.js'
import { makeElf, withDirectory } from './tools.js'

function mentioned(text: string) {
  return withDirectory((directory) => {
    const file = path.join(directory, 'wrapper')
    fs.writeFileSync(file, text)
    return mentionedIn(file, readShebang(file)!)
  })
}

const commands: Readonly<Record<string, readonly [string, readonly string[]]>> = {
  'at the beginning of a line, behind separators and in substitutions': [
    'one a; two b | three\nx=$(four) `five`\n  six && seven || eight & nine',
    ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'],
  ],
  'behind words of the grammar, assignments, and commands that take one': [
    'if one; then two; else exec three; fi\nA=1 B="x y" four\n! five\ncommand -v six\nenv A=1 seven',
    ['one', 'two', 'three', 'four', 'five', 'six', 'seven'],
  ],
  'in quotes, and behind what keeps it from being an alias': [
    'A="`\\\\unset -f x; \\\\command -v one`"\nB="$(two)"',
    ['one', 'two'],
  ],
  'no builtin, comment, here-document or argument': [
    '# one\necho two\ncd three\ncat <<EOF\nfour\nEOF\nfive six',
    ['cat', 'five'],
  ],
}
for (const [name, [text, expected]] of Object.entries(commands)) {
  test(`commands: ${name}`, () => {
    assert.deepEqual([...mentioned(`#!/bin/sh\n${text}\n`).commands].sort(), [...expected].sort())
    assert.deepEqual(mentioned(`#!/usr/bin/perl\n${text}\n`).commands, [])
  })
}

test('paths: literal ones, and behind variables that the script sets', () => {
  const text = `#!/usr/bin/env bash
# /usr/lib/comment/x
HOME_OF=/usr/lib/tool
BIN="$HOME_OF/bin"
: \${DATA:=/usr/share/tool}
exec "$BIN/run" --data "\${DATA}/table" /opt/other/file relative/path "$UNKNOWN/x/y" http://host/usr/lib/net/x
`
  assert.deepEqual([...mentioned(text).paths].sort(), [
    '/opt/other/file',
    '/usr/lib/tool',
    '/usr/lib/tool/bin',
    '/usr/lib/tool/bin/run',
    '/usr/share/tool',
    '/usr/share/tool/table',
  ])
  assert.deepEqual(mentioned(`#!/bin/sh\n${'#'.repeat(1 << 17)}\none /usr/lib/tool\n`), { commands: [], paths: [] })
})

test("a package's directory, and what all packages share", () => {
  for (const one of [
    '/usr/lib/R',
    '/usr/lib/R/bin',
    '/usr/share/maven/lib',
    '/usr/lib/x86_64-linux-gnu/fpc',
    '/opt/tool',
    '/etc/php',
    '/var/lib/ghc',
    '/nix/store/x-y',
  ])
    assert.ok(isOfPackage(one), one)
  for (const one of [
    '/',
    '/usr',
    '/usr/lib',
    '/usr/bin/x',
    '/usr/lib/x86_64-linux-gnu',
    '/usr/local/share',
    '/opt',
    '/etc',
    '/var/lib',
    '/home/x',
    '/root/x/y',
    '/run/x',
    '/srv/x/y',
    '/tmp/x/y',
    '/var/log/x',
    '/nix/store',
  ])
    assert.ok(!isOfPackage(one), one)
  assert.ok(isProse('/usr/share/doc/x') && isProse('/usr/share/man') && !isProse('/usr/share/documents'))
})

test('a script that is not installed names nothing: its text may be a stranger’s', () =>
  withDirectory((directory) => {
    const script = path.join(directory, 'bin/tool')
    fs.mkdirSync(path.dirname(script))
    fs.writeFileSync(script, '#!/bin/sh\nenv /usr/share/ca-certificates /usr/bin/env\n', { mode: 0o755 })
    const shell = findProgram('sh')!
    const shown = (program: string) => closure(program).map((one) => JSON.stringify(one))
    assert.deepEqual(
      shown(script).filter(
        (one) => !shown(shell).includes(one) && !one.includes('/bin/sh') && !one.includes(directory),
      ),
      [],
    )
  }))

test('a link to a directory, in a tree of a stranger, shows nothing of what is installed or of a home', () =>
  withDirectory((directory) => {
    const prefix = path.join(directory, 'env')
    fs.mkdirSync(path.join(prefix, 'bin'), { recursive: true })
    fs.mkdirSync(path.join(prefix, 'lib/python3.9'), { recursive: true })
    fs.mkdirSync(path.join(directory, 'open/below'), { recursive: true })
    fs.writeFileSync(path.join(prefix, 'bin/python3.9'), makeElf({ type: 2 }), { mode: 0o755 })
    fs.symlinkSync(path.join(directory, 'open'), path.join(prefix, 'lib/python3.9/open'))
    fs.symlinkSync('/usr/share/keyrings', path.join(prefix, 'lib/python3.9/keyrings'))
    const places = closure(path.join(prefix, 'bin/python3.9')).map((one) => Object.values(one)[0] as string)
    assert.ok(places.includes(path.join(prefix, 'lib/python3.9')))
    assert.deepEqual(
      places.filter((one) => one.startsWith(path.join(directory, 'open')) || one.startsWith('/usr/share/keyrings')),
      [],
    )
  }))

test('of settings in which something is closed to others, the rest is shown', () =>
  withDirectory((directory) => {
    const at = (name: string) => path.join(directory, name)
    for (const one of ['tool/open', 'tool/closed', 'tool/partly']) fs.mkdirSync(at(one), { recursive: true })
    for (const one of ['tool/open/a', 'tool/closed/a', 'tool/partly/a', 'tool/partly/key', 'tool/a'])
      fs.writeFileSync(at(one), '')
    fs.writeFileSync(at('other'), '')
    // They stay links: what they lead to is not shown with them.
    fs.symlinkSync('partly/key', at('tool/link'))
    fs.symlinkSync('../other', at('tool/out'))
    const links = [
      { symlink: at('tool/link'), to: 'partly/key' },
      { symlink: at('tool/out'), to: '../other' },
    ]
    const entries = () => {
      const view = new View()
      view.reachOpen(at('tool'))
      return view.entries()
    }
    for (const one of ['', '/open', '/partly', '/closed']) fs.chmodSync(at(`tool${one}`), 0o755)
    assert.deepEqual(entries(), [{ bind: at('tool') }])
    fs.chmodSync(at('tool/closed'), 0o750)
    fs.chmodSync(at('tool/partly/key'), 0o640)
    const open = ['tool/a', 'tool/open', 'tool/partly/a'].map((one) => ({ bind: at(one) }))
    assert.deepEqual(entries(), [open[0], links[0], open[1], links[1], open[2]])
  }))

test('a proxy of rustup is the program of the default toolchain, whether it is a link or another name of rustup', () =>
  withDirectory((directory) => {
    const at = (name: string) => path.join(directory, name)
    // It comes before what lies beside the proxy.
    delete process.env.RUSTUP_HOME
    const toolchain = '.rustup/toolchains/stable-x86_64-unknown-linux-gnu/bin'
    for (const one of ['.cargo/bin', toolchain]) fs.mkdirSync(at(one), { recursive: true })
    for (const one of ['.cargo/bin/rustup', `${toolchain}/rustfmt`, `${toolchain}/cargo-fmt`])
      fs.copyFileSync(fs.realpathSync('/usr/bin/true'), at(one))
    fs.linkSync(at('.cargo/bin/rustup'), at('.cargo/bin/rustfmt'))
    fs.symlinkSync('rustup', at('.cargo/bin/cargo-fmt'))
    // Its name without the machine, as an older rustup wrote it.
    fs.writeFileSync(at('.rustup/settings.toml'), 'version = "12"\ndefault_toolchain = "stable"\n')
    for (const name of ['rustfmt', 'cargo-fmt']) {
      const entries = closure(at(`.cargo/bin/${name}`))
      assert.deepEqual(
        entries.find((one) => 'symlink' in one && one.symlink === at(`.cargo/bin/${name}`)),
        { symlink: at(`.cargo/bin/${name}`), to: at(`${toolchain}/${name}`) },
      )
      const places = entries.map((one) => Object.values(one)[0] as string)
      assert.ok(
        places.some((one) => at(`${toolchain}/${name}`).startsWith(one)),
        places.join('\n'),
      )
    }
  }))
