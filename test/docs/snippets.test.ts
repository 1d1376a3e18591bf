/**
 * The documents are true: their TypeScript type-checks, their policies compile, and what is marked `run` runs and prints
 * the text block that follows it.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { checkPolicy, compile } from '../../src/index.js'
import { namedButAbsent, notInstalled } from '../support/needs.js'
import { user, workDirectory } from '../support/user.js'

const top = resolve(fileURLToPath(import.meta.url), '../../../..')
const caller = user

interface Block {
  readonly name: string
  readonly language: string
  readonly run: boolean
  readonly text: string
  /** The text block right behind it. */
  readonly output: string | undefined
}

const files = ['README.md', ...readdirSync(join(top, 'docs')).map((name) => `docs/${name}`)]
const blocks = files.filter((name) => name.endsWith('.md')).flatMap(blocksOf)

function blocksOf(file: string): Block[] {
  const content = readFileSync(join(top, file), 'utf8')
  return [...content.matchAll(/^```(\w+)( run)?\n([\s\S]*?)^```\n(?:\n```text\n([\s\S]*?)^```\n)?/gm)].map((match) => ({
    name: `${file}:${content.slice(0, match.index).split('\n').length}`,
    language: match[1]!,
    run: match[2] !== undefined,
    text: match[3]!,
    output: match[4],
  }))
}

const absentIn = (text: string) =>
  namedButAbsent(text, 'python3', 'gcc', 'git', 'nginx', 'redis-server', 'bwrap', 'npm', 'ssh-agent')

function runAsCaller(command: string, args: readonly string[], cwd: string) {
  return spawnSync(command, args, {
    encoding: 'utf8',
    cwd,
    env: { PATH: `${commands()}:/usr/local/bin:/usr/bin:/bin`, HOME: workDirectory(caller, 'home'), LANG: 'C.UTF-8' },
    ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
  })
}

/** A directory with the command `vial`, as npm makes one. */
function commands(): string {
  const directory = workDirectory(caller, 'commands')
  const path = join(directory, 'vial')
  if (!existsSync(path)) {
    writeFileSync(path, `#!/bin/sh\nexec ${process.execPath} ${join(top, 'dist/src/cli/main.cjs')} "$@"\n`)
    chmodSync(path, 0o755)
  }
  return directory
}

describe('commands of the documents', () => {
  blocks
    .filter(({ language, run }) => language === 'sh' && run)
    .forEach(({ name, text, output }, index) => {
      test(name, { skip: absentIn(text) }, () => {
        const { stdout, stderr, status } = runAsCaller('bash', ['-euc', text], workDirectory(caller, `snippet${index}`))
        assert.equal(status, 0, stderr)
        if (output !== undefined) assert.equal(stdout, output, stderr)
      })
    })
})

describe('policies of the documents', () => {
  for (const { name, text } of blocks.filter(({ language }) => language === 'json')) {
    test(name, { skip: absentIn(text) }, () => {
      const policy = checkPolicy(JSON.parse(text))
      // A vial by itself has no cgroup.
      const limits = policy.limits === undefined ? {} : { limits: { ...policy.limits, required: false } }
      // Nor a process of Node.js beside it.
      const beside = typeof policy.network === 'object' ? { descriptors: { network: 1 } } : {}
      assert.ok(compile({ ...policy, ...limits }, beside).bytes.length > 0)
    })
  }
})

describe('TypeScript of the documents', () => {
  const snippets = blocks.filter(({ language }) => language === 'ts')
  // Below the package, whose own name they import.
  mkdirSync(join(top, 'dist/snippets'), { recursive: true })
  const directory = mkdtempSync(join(top, 'dist/snippets/'))
  chmodSync(directory, 0o755)
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
  const paths = snippets.map(({ text }, index) => {
    const path = join(directory, `${index}.mts`)
    writeFileSync(path, text)
    return path
  })

  test('type-checks', () => {
    const { config } = ts.readConfigFile(join(top, 'tsconfig.json'), ts.sys.readFile)
    const { options } = ts.parseJsonConfigFileContent({ ...config, files: paths, include: [] }, ts.sys, top)
    const program = ts.createProgram(paths, { ...options, incremental: false, noEmit: true, rootDir: top })
    const faults = ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
      const snippet = snippets[paths.indexOf(file?.fileName ?? '')]
      return `${snippet?.name}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
    })
    assert.deepEqual(faults, [])
  })

  snippets.forEach(({ name, text, run, output }, index) => {
    if (!run) return
    test(name, { skip: absentIn(text) }, () => {
      const path = join(directory, `${index}.mjs`)
      writeFileSync(path, ts.transpile(text, { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 }))
      const { stdout, stderr, status } = runAsCaller(process.execPath, [path], workDirectory(caller, 'typescript'))
      assert.equal(status, 0, stderr)
      if (output !== undefined) assert.equal(stdout, output, stderr)
    })
  })
})

test('the documents are found', () => {
  for (const language of ['sh', 'ts', 'json']) assert.ok(blocks.some((one) => one.language === language))
})

test('how-it-works has a command that disassembles a vial', {
  skip: notInstalled('objdump', 'readelf'),
}, () => {
  const block = blocks.find(({ name, text }) => name.includes('how-it-works') && text.includes('objdump'))!
  const cwd = workDirectory(caller, 'disassembled')
  writeFileSync(join(cwd, 'my-vial'), compile({ filesystem: [{ bind: '/usr' }] }).bytes)
  const machine = process.arch === 'arm64' ? 'aarch64' : 'i386:x86-64'
  const { stdout, stderr } = spawnSync('sh', ['-c', block.text.replace('i386:x86-64', machine)], {
    cwd,
    encoding: 'utf8',
  })
  assert.equal(stderr, '')
  assert.ok(stdout.split(/\b(?:syscall|svc)\b/).length > 20, stdout.slice(0, 1000))
})
