/** Runtimes that make garbage within a limit of memory: what each sees of it, and what it has to be told. docs/limits.md has these rows. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Policy } from '../../src/index.js'
import { noGroups, notInstalled, notRoot } from '../support/needs.js'
import { type Caller, ordinary, root, vial, workDirectory } from '../support/user.js'

/** How a program ends that keeps at most 152 MiB, and makes far more of garbage than the limit. */
type End = 'is killed' | 'fails' | 'lives'

interface Runtime {
  readonly name: string
  readonly needs: readonly string[]
  /** By file name. */
  readonly source: readonly [name: string, text: string]
  readonly build?: readonly string[]
  readonly command: readonly [string, ...string[]]
  /** By itself: in a cgroup, and where RLIMIT_DATA stands in. */
  readonly ends: readonly [inGroup: End, byRlimit: End]
  /** What it obeys: with this it lives in both. */
  readonly set?: readonly [variable: string, value: string]
}

const PATH = '/usr/bin:/bin'
const memory = '256M'

const runtimes: readonly Runtime[] = [
  {
    name: 'Java',
    needs: ['java', 'javac'],
    source: [
      'Main.java',
      `public class Main {
  static byte[] last;
  public static void main(String[] words) {
    for (int i = 0; i < 6000; i++) last = new byte[1 << 20];
    System.out.println("done");
  }
}`,
    ],
    build: ['javac', 'Main.java'],
    command: ['java', '-cp', '/p', 'Main'],
    ends: ['is killed', 'fails'],
    set: ['JAVA_TOOL_OPTIONS', '-XX:MaxRAM=256M'],
  },
  {
    name: 'Node',
    needs: ['/usr/bin/node'],
    source: [
      'main.js',
      `const ring = []
for (let i = 0; i < 6e6; i++) ring[i % 400000] = { a: i, b: 's' + i, c: [i, i + 1] }
console.log('done')`,
    ],
    command: ['node', '/p/main.js'],
    ends: ['is killed', 'fails'],
    set: ['NODE_OPTIONS', '--max-old-space-size=160'],
  },
  {
    name: 'Go',
    needs: ['go'],
    source: [
      'main.go',
      `package main

import "fmt"

var keep, last []byte

func fill(all []byte) []byte {
	for i := 0; i < len(all); i += 4096 {
		all[i] = 1
	}
	return all
}

func main() {
	keep = fill(make([]byte, 152<<20))
	for i := 0; i < 2000; i++ {
		last = fill(make([]byte, 1<<20))
	}
	fmt.Println("done")
}`,
    ],
    build: ['go', 'build', '-o', 'main', 'main.go'],
    command: ['/p/main'],
    ends: ['is killed', 'fails'],
    set: ['GOMEMLIMIT', '175MiB'],
  },
  {
    name: 'Mono',
    needs: ['mono', 'mcs'],
    source: [
      'Main.cs',
      `public class Node { public byte[] Data = new byte[64]; }
public class Program {
  public static void Main() {
    var ring = new Node[600000];
    for (int i = 0; i < 12000000; i++) ring[i % 600000] = new Node();
    System.Console.WriteLine("done");
  }
}`,
    ],
    build: ['mcs', 'Main.cs'],
    command: ['mono', '/p/Main.exe'],
    ends: ['lives', 'lives'],
  },
  {
    name: 'Python',
    needs: ['/usr/bin/python3'],
    source: ['main.py', 'for i in range(3000):\n    last = bytearray(1 << 20)\nprint("done")'],
    command: ['python3', '/p/main.py'],
    ends: ['lives', 'lives'],
  },
  {
    name: 'Ruby',
    needs: ['ruby'],
    source: ['main.rb', '3000.times { |i| $last = "a" * (1 << 20) }\nputs "done"'],
    command: ['ruby', '/p/main.rb'],
    ends: ['lives', 'lives'],
  },
]

/** The payload as this caller's: root has groups, the ordinary user has none. */
function end({ command }: Runtime, caller: Caller, directory: string, set: Runtime['set']): End {
  const file = join(directory, 'policy.json')
  const policy: Policy = {
    preset: 'system',
    env: { set: { PATH, ...(set === undefined ? {} : { [set[0]]: set[1] }) } },
    filesystem: [{ bind: '/p', from: directory }],
    limits: { memory, required: caller === root },
  }
  writeFileSync(file, JSON.stringify(policy))
  const { stdout, stderr, status } = vial(caller, ['run', '--policy', file, '--verdict', '--', ...command])
  if (/^vial: memory-limit: /m.test(stderr)) return 'is killed'
  return stdout === 'done\n' && status === 0 ? 'lives' : 'fails'
}

for (const runtime of runtimes) {
  const { name, needs, source, build, ends, set } = runtime
  test(`${name} in ${memory}`, { skip: notRoot || notInstalled(...needs) || noGroups('memory') }, () => {
    const directory = workDirectory(ordinary, `garbage-${name}`)
    writeFileSync(join(directory, source[0]), source[1])
    if (build !== undefined) {
      const [compiler = '', ...args] = build
      const env = { PATH: process.env.PATH, HOME: directory, GOCACHE: join(directory, 'cache') }
      const { status, stderr } = spawnSync(compiler, args, { cwd: directory, encoding: 'utf8', env })
      assert.equal(status, 0, stderr)
    }
    const both = (set?: Runtime['set']) => [root, ordinary].map((caller) => end(runtime, caller, directory, set))
    assert.deepEqual(both(), ends)
    if (set !== undefined) assert.deepEqual(both(set), ['lives', 'lives'])
  })
}

test('docs/limits.md has these rows', () => {
  const text = readFileSync(fileURLToPath(new URL('../../../docs/limits.md', import.meta.url)), 'utf8')
  for (const { name, ends, set } of runtimes)
    assert.ok(
      text.includes(`| ${name} | ${ends.join(' | ')} | ${set === undefined ? 'nothing' : `\`${set.join('=')}\``} |\n`),
      name,
    )
})
