/**
 * What the filter costs: to load (a tree, and the same decisions one after the other), per run, and per system call.
 *
 *     npm run build && node dist/bench/seccomp.js
 *
 * Needs gcc. With bubblewrap installed, the same filter is also measured there (bwrap --seccomp).
 */
import { spawnSync } from 'node:child_process'
import { openSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { abiFacts } from '../src/kernel/abis.js'
import { SECCOMP } from '../src/kernel/flags.js'
import { compile, hostArchitecture } from '../src/run/compile.js'
import { compileSeccomp, filterOf, profiles } from '../src/seccomp/compile.js'
import { filterOfProfile } from '../src/seccomp/typed.js'
import { assembleFilter } from '../src/seccomp/tree.js'
import { alone, work } from './support/folder.js'

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

  const started = performance.now()
  assembleFilter(filterOfProfile(profiles.default, architecture, []))
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
  const times = new Map<string, number[]>(vials.map(({ path }) => [path, []]))
  for (let round = 0; round < 200; round++)
    for (const { path } of vials) {
      const start = performance.now()
      spawnSync(path, ['/tool', 'load', '/none'])
      times.get(path)!.push((performance.now() - start) * 1000)
    }
  for (const { name, path, size } of vials)
    say(`run a static program in a vial of ${size} bytes, ${name}`, median(times.get(path)!), 'us')

  process.stdout.write('\n')
  const calls = (what: string, command: string, args: string[], fd?: number) => {
    const { stdout } = spawnSync(command, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit', ...(fd === undefined ? [] : [fd])],
    })
    const [getpid = 0, ioctl = 0] = stdout.split(' ').map(Number)
    say(`getpid, ${what}`, getpid, 'ns')
    say(`ioctl (its argument is tested), ${what}`, ioctl, 'ns')
  }
  calls('no sandbox', tool, ['calls'])
  for (const { name, path } of vials) calls(`vial, ${name}`, path, ['/tool', 'calls'])
  if (spawnSync('bwrap', ['--version']).status === 0) {
    const bwrap = ['--unshare-all', '--ro-bind', tool, '/tool']
    calls('bwrap without a filter', 'bwrap', [...bwrap, '/tool', 'calls'])
    calls(
      'bwrap --seccomp, the same tree',
      'bwrap',
      [...bwrap, '--seccomp', '3', '/tool', 'calls'],
      openSync(treeFile, 'r'),
    )
    calls(
      'bwrap --seccomp, the instructions in a row',
      'bwrap',
      [...bwrap, '--seccomp', '3', '/tool', 'calls'],
      openSync(linearFile, 'r'),
    )
  }
}

await alone(import.meta.url, bench)
