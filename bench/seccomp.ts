/**
 * What the filter costs: to load (a tree, and the same decisions one after the other), per run, and per system call.
 *
 *     npm run build && node dist/bench/seccomp.js
 *
 * Needs gcc. With bubblewrap installed, the same filter is also measured there (bwrap --seccomp), and with libseccomp-dev
 * that library's of the same profile.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { compile } from '../src/compile/compile.js'
import { hostArchitecture } from '../src/host/thisHost.js'
import { abiFacts } from '../src/kernel/abis.js'
import { SECCOMP } from '../src/kernel/flags.js'
import { compileSeccomp, filterOf, profiles } from '../src/seccomp/compileProfile.js'
import { assembleFilter } from '../src/seccomp/searchTree.js'
import { filterOfProfile } from '../src/seccomp/typed.js'
import { alone, work } from './support/directory.js'
import { byLibseccomp } from './support/libseccomp.js'

const architecture = hostArchitecture()
const kernel = release()

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!
const say = (what: string, value: number, unit: string) =>
  process.stdout.write(`${what.padEnd(84)} ${value.toFixed(value < 10 ? 2 : 0).padStart(8)} ${unit}\n`)

/** `load FILE` prints the microseconds that seccomp(2) takes; `calls` the nanoseconds of a getpid and of an ioctl. */
const source = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e9 + t.tv_nsec; }
int main(int argc, char **argv) {
  if (strcmp(argv[1], "load") == 0) {
    static struct sock_filter code[4096];
    int fd = open(argv[2], O_RDONLY);
    struct sock_fprog program = {read(fd, code, sizeof code) / 8, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    double start = now();
    int failed = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
    printf("%f\\n", failed ? -1 : (now() - start) / 1000);
    return 0;
  }
  const int count = 200000;
  double best[2] = {1e9, 1e9};
  for (int round = 0; round < 5; round++) {
    double start = now();
    for (int i = 0; i < count; i++) syscall(SYS_getpid);
    double middle = now();
    for (int i = 0; i < count; i++) syscall(SYS_ioctl, -1, 0, 0);
    double end = now();
    if ((middle - start) / count < best[0]) best[0] = (middle - start) / count;
    if ((end - middle) / count < best[1]) best[1] = (end - middle) / count;
  }
  printf("%f %f\\n", best[0], best[1]);
  return 0;
}`
/** The same allow-list, one comparison after the other: what a compiler makes that does not search. */
function linear(): Uint8Array {
  const own = filterOf(profiles.default, { architecture, kernel }).abis[0]!
  const rows: [number, number, number, number][] = [
    [0x20, 0, 0, 4],
    [0x15, 1, 0, abiFacts[architecture].audit],
    [0x06, 0, 0, SECCOMP.RET_KILL_PROCESS],
    [0x20, 0, 0, 0],
  ]
  for (const [number, rules] of own.rules) {
    if (rules[0]!.tests.length > 0) continue
    rows.push([0x15, 0, 1, number], [0x06, 0, 0, rules[0]!.action])
  }
  rows.push([0x06, 0, 0, own.otherwise])
  const view = new DataView(new ArrayBuffer(8 * rows.length))
  rows.forEach(([code, yes, no, value], index) => {
    view.setUint16(8 * index, code, true)
    view.setUint8(8 * index + 2, yes)
    view.setUint8(8 * index + 3, no)
    view.setUint32(8 * index + 4, value, true)
  })
  return new Uint8Array(view.buffer)
}

export async function bench(): Promise<void> {
  const tool = join(work, 'tool')
  writeFileSync(`${tool}.c`, source)
  if (spawnSync('gcc', ['-O2', '-static', '-o', tool, `${tool}.c`], { stdio: 'inherit' }).status !== 0)
    throw new Error('gcc is missing')

  const tree = compileSeccomp('default', { architecture, kernel })!.program
  const treeFile = join(work, 'tree')
  const linearFile = join(work, 'linear')
  writeFileSync(treeFile, tree)
  writeFileSync(linearFile, linear())

  process.stdout.write(`Linux ${kernel}, ${architecture}, Node ${process.version}\n\n`)
  const load = (file: string) =>
    median(Array.from({ length: 51 }, () => Number(spawnSync(tool, ['load', file], { encoding: 'utf8' }).stdout)))
  say(`load the default profile, a tree of ${tree.length / 8} instructions`, load(treeFile), 'us')
  say(`load its allow-list as ${linear().length / 8} instructions in a row`, load(linearFile), 'us')
  const own = filterOf(profiles.default, { architecture, kernel }).abis[0]!
  const exported: [name: string, file: string][] = []
  for (const [optimize, how] of [
    [1, 'as it comes'],
    [2, 'its binary tree'],
  ] as const) {
    const program = byLibseccomp(own, optimize, work)
    if (program === undefined) continue
    const file = join(work, `libseccomp-${optimize}`)
    writeFileSync(file, program)
    const name = `libseccomp's export, ${how}: ${program.length / 8} instructions`
    exported.push([name, file])
    say(`load ${name}`, load(file), 'us')
  }

  const started = performance.now()
  assembleFilter(filterOfProfile(profiles.default, architecture, [], []))
  say('compile the default profile, once more in this process', performance.now() - started, 'ms')
  const many = performance.now()
  for (let index = 0; index < 1000; index++) compileSeccomp('default', { architecture, kernel })
  say('ask for it again', performance.now() - many, 'us')

  const show = [{ bind: '/tool', from: tool }]
  const vials = (
    [
      ['none', 'off'],
      ['default', 'off'],
      ['default', 'required'],
    ] as const
  ).map(([seccomp, landlock]) => {
    const path = join(work, `${seccomp}-${landlock}`)
    const { bytes } = compile({ filesystem: show, seccomp, landlock }, { architecture })
    writeFileSync(path, bytes, { mode: 0o755 })
    return { name: `seccomp ${seccomp}, Landlock ${landlock}`, path, size: bytes.length }
  })
  process.stdout.write('\n')
  const inBwrap: readonly (readonly [name: string, file: string | undefined])[] =
    spawnSync('bwrap', ['--version']).status !== 0
      ? []
      : [
          ['bwrap without a filter', undefined],
          ['bwrap --seccomp, the same tree', treeFile],
          ['bwrap --seccomp, its allow-list in a row', linearFile],
          ...exported.map(([name, file]) => [`bwrap --seccomp, ${name}`, file] as const),
        ]
  const runners: readonly Runner[] = [
    ...vials.map(({ name, path, size }) => ({
      name: `vial of ${size} bytes, ${name}`,
      run: (words: readonly string[]) => spawnSync(path, ['/tool', ...words], { encoding: 'utf8' }).stdout,
    })),
    ...inBwrap.map(([name, file]) => ({ name, run: (words: readonly string[]) => bwrap(tool, file, words) })),
  ]
  const times = new Map<Runner, number[]>(runners.map((runner) => [runner, []]))
  for (let round = 0; round < 200; round++)
    for (const [runner, list] of times) {
      const start = performance.now()
      runner.run(['load', '/none'])
      list.push((performance.now() - start) * 1000)
    }
  for (const [{ name }, list] of times) say(`run a static program, ${name}`, median(list), 'us')

  process.stdout.write('\n')
  const outside = {
    name: 'no sandbox',
    run: (words: readonly string[]) => spawnSync(tool, words, { encoding: 'utf8' }).stdout,
  }
  for (const { name, run } of [outside, ...runners]) {
    const [getpid = 0, ioctl = 0] = run(['calls']).split(' ').map(Number)
    say(`getpid, ${name}`, getpid, 'ns')
    say(`ioctl (its argument is tested), ${name}`, ioctl, 'ns')
  }
}

interface Runner {
  readonly name: string
  /** What the tool prints. */
  readonly run: (words: readonly string[]) => string
}

function bwrap(tool: string, filter: string | undefined, words: readonly string[]): string {
  const options = ['--unshare-all', '--ro-bind', tool, '/tool', ...(filter === undefined ? [] : ['--seccomp', '3'])]
  const fd = filter === undefined ? undefined : openSync(filter, 'r')
  const { stdout } = spawnSync('bwrap', [...options, '/tool', ...words], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit', ...(fd === undefined ? [] : [fd])],
  })
  if (fd !== undefined) closeSync(fd)
  return stdout
}

await alone(import.meta.url, bench)
