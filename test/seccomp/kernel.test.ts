/** The profiles in the real kernel: forbidden calls fail as they should, and everyday programs run. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { hostArchitecture } from '../../src/host/thisHost.js'
import { type Policy, profiles, type SeccompProfile } from '../../src/index.js'
import { errnoName } from '../../src/kernel/errno.js'
import { syscallNumbers, x64OnlySyscalls } from '../../src/kernel/syscalls.js'
import { namedButAbsent, notInstalled } from '../support/needs.js'
import { callers, runAs, vial, workDirectory } from '../support/user.js'

const architecture = hostArchitecture()
const numbers: Readonly<Record<string, number>> = {
  ...syscallNumbers[architecture],
  ...(architecture === 'x64' ? x64OnlySyscalls : {}),
}

/** A static program: each argument is NUMBER,ARGUMENT,… and it prints what the kernel says, `0` or an errno. */
const source = `
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    long v[7] = {0};
    int n = 0;
    for (char *word = strtok(argv[i], ","); word && n < 7; word = strtok(NULL, ",")) v[n++] = (long)strtoull(word, NULL, 0);
#ifdef __x86_64__
    if (v[0] == -2) { long r = 20; __asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11"); printf("%ld\\n", r > 0 ? 0 : -r); continue; }
#endif
    long r = syscall(v[0], v[1], v[2], v[3], v[4], v[5], v[6]);
    printf("%d\\n", r == -1 ? errno : 0);
    fflush(stdout);
  }
  return 0;
}`
const directory = mkdtempSync(join(tmpdir(), 'vial-seccomp-'))
chmodSync(directory, 0o755)
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
const probe = join(directory, 'probe')
writeFileSync(`${probe}.c`, source)
const hasCompiler = spawnSync('gcc', ['-static', '-w', '-o', probe, `${probe}.c`]).status === 0
const options = hasCompiler ? {} : { skip: 'gcc is not installed' }

/** By root, the /proc that nesting leaves uncovered has to be accepted. */
const uncovered = { proc: '/proc', masked: false } as const
const nested: Policy = { preset: 'system', filesystem: [uncovered] }
const base: Policy = { filesystem: [{ bind: '/probe', from: probe }] }
const call = (name: string, ...args: (number | string)[]) => [numbers[name], ...args].join(',')

for (const caller of callers) {
  const ask = (policy: Policy, calls: readonly string[]) => {
    const answer = runAs(caller, { ...base, ...policy }, '/probe', calls)
    return {
      ...answer,
      errors: answer.stdout
        ?.trim()
        .split('\n')
        .map((line) => errnoName(Number(line)) ?? '0'),
    }
  }

  describe(`the filter of a sandbox by ${caller.name}`, () => {
    test('is there by default, and not with "none"', () => {
      for (const [seccomp, count] of [
        [undefined, '2\n'],
        ['none', '0\n'],
        ['strict', '2\n'],
        ['nested', '2\n'],
      ] as const) {
        const policy: Policy = {
          ...(seccomp === 'nested' ? nested : { preset: 'system' }),
          ...(seccomp && { seccomp }),
        }
        const { stdout } = runAs(caller, policy, 'grep', ['Seccomp:', '/proc/self/status'])
        assert.equal(stdout.split('\t')[1], count, seccomp)
      }
    })

    test('forbidden calls fail with the errno of the profile', options, () => {
      const forbidden = [
        ['EPERM', call('add_key', 0, 0, 0, 0, 0)],
        ['EPERM', call('keyctl', 0)],
        ['EPERM', call('bpf', 0, 0, 0)],
        ['EPERM', call('perf_event_open', 0, 0, 0, 0, 0)],
        ['EPERM', call('userfaultfd', 1)],
        ['EPERM', call('unshare', 0x10000000)],
        ['EPERM', call('clone', 0x10000011)],
        ['EPERM', call('setns', 0, 0)],
        ['EPERM', call('ptrace', 0)],
        ['EPERM', call('process_vm_readv', 1, 0, 0, 0, 0, 0)],
        ['EPERM', call('ioctl', 0, 0x5412, 0)],
        ['EPERM', call('ioctl', 0, '0x100005412', 0)],
        ['EPERM', call('ioctl', 0, '0xffffffff0000541c', 0)],
        ['EPERM', call('personality', 0x40000)],
        ['EPERM', call('open_tree', -100, 0, 1)],
        ['EPERM', call('mknodat', -100, 0, 0o20666, 0x103)],
        ['ENOSYS', call('clone3', 0, 0)],
        ['ENOSYS', call('io_uring_setup', 1, 0)],
        ['ENOSYS', '470'],
        ['ENOSYS', '1000000'],
        ['EAFNOSUPPORT', call('socket', 40, 1, 0)],
        ['EAFNOSUPPORT', call('socket', '0x100000028', 1, 0)],
        ['EAFNOSUPPORT', call('socket', 38, 5, 0)],
        ['EAFNOSUPPORT', call('socket', 16, 3, 15)],
        ['0', call('socket', 16, 3, 0)],
        ['0', call('socket', 1, 1, 0)],
        ['0', call('getpid')],
      ] as const
      const { errors, error, stderr } = ask(
        {},
        forbidden.map(([, one]) => one),
      )
      assert.deepEqual(
        errors,
        forbidden.map(([name]) => name),
        error ?? stderr,
      )
      // Without the filter the kernel has these, and says something else.
      const open = ask({ seccomp: 'none' }, [
        call('keyctl', 99),
        call('socket', 16, 3, 15),
        call('personality', 0x40000),
      ])
      assert.deepEqual(open.errors, ['EOPNOTSUPP', '0', '0'])
    })

    test('i386 and x32 calls kill the program', {
      ...options,
      ...(architecture === 'x64' ? {} : { skip: 'not x64' }),
    }, () => {
      // A kernel without CONFIG_IA32_EMULATION has no int 0x80 at all.
      const i386 = ask({ seccomp: 'none' }, ['-2']).signal ?? 'SIGSYS'
      for (const [other, expected] of [
        ['-2', i386],
        [`${0x40000000 + 39}`, 'SIGSYS'],
      ] as const) {
        const { signal, stdout } = ask({}, [other])
        assert.deepEqual([signal, stdout], [expected, ''], other)
      }
    })

    test('a profile of the policy, a JSON one, and one that needs a capability', options, () => {
      const own = ask({ seccomp: { default: 'allow', rules: [{ calls: ['getpid'], do: { errno: 'EXDEV' } }] } }, [
        call('getpid'),
        call('getppid'),
      ])
      assert.deepEqual(own.errors, ['EXDEV', '0'])
      const oci = ask(
        {
          seccomp: {
            defaultAction: 'SCMP_ACT_ALLOW',
            flags: ['SECCOMP_FILTER_FLAG_LOG'],
            syscalls: [{ names: ['getuid', 'none_such'], action: 'SCMP_ACT_ERRNO', errnoRet: 18, args: [] }],
          },
        },
        [call('getuid'), call('getppid')],
      )
      assert.deepEqual(oci.errors, ['EXDEV', '0'])
      const chroot = call('chroot', 0)
      assert.deepEqual(ask({}, [chroot]).errors, ['EPERM'])
      assert.deepEqual(ask({ capabilities: ['CAP_SYS_CHROOT'] }, [chroot]).errors, ['EFAULT'])
    })

    test('a profile that forbids to start the program says so', options, () => {
      const { error } = ask(
        { seccomp: { default: 'allow', rules: [{ calls: ['execve'], do: { errno: 'EACCES' } }] } },
        [],
      )
      assert.match(error ?? '', /^seccomp: refuses execve/)
    })

    describe('everyday programs run under default', () => {
      const python =
        'import subprocess, threading, multiprocessing as m, socket, sqlite3, ssl, asyncio, tempfile, ctypes\nprint(subprocess.check_output(["echo", "hi"]).decode().strip())\nt = threading.Thread(target=print, args=("thread",)); t.start(); t.join()\nwith m.get_context("fork").Pool(2) as p: print(p.map(abs, [-1, -2]))\nasyncio.run(asyncio.sleep(0)); socket.socketpair()\n'
      const programs: [string, string[], string][] = [
        ['python3', ['-c', python], 'hi\nthread\n[1, 2]\n'],
        [
          'node',
          ['-e', 'new (require("node:worker_threads").Worker)("console.log(`worker`)", { eval: true })'],
          'worker\n',
        ],
        ['sh', ['-c', 'seq 9 | sort -r | head -n 1; (sleep 0 & wait); echo $(uname)'], '9\nLinux\n'],
        [
          'sh',
          [
            '-c',
            'cd /tmp && git init -q . && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m one && git log --format=%s',
          ],
          'one\n',
        ],
        [
          'sh',
          [
            '-c',
            'cd /tmp && printf "int main(void){return 0;}" > a.c && printf "all: x y\\nx y:\\n\\t@gcc -o \\$@ a.c && ./\\$@ && touch \\$@\\n" > Makefile && make -s -j2 && echo made',
          ],
          'made\n',
        ],
      ]
      for (const [command, args, expected] of programs) {
        const words = [command, ...args].join(' ')
        const skip = namedButAbsent(words, 'gcc', 'make', 'git', 'python3')
        test(words.slice(0, 60), { skip }, () => {
          const policy: Policy = { preset: 'system', filesystem: [{ bind: dirname(process.execPath) }] }
          const { stdout, stderr, error } = runAs(caller, policy, command, args)
          assert.equal(stdout, expected, `${error}${stderr}`)
        })
      }
    })

    // A Go program, with a garbage collector and threads of its own, and a virtual machine that makes code.
    for (const [command, args, expected] of [
      ['runc', ['--version'], /^runc version/],
      ['java', ['-XshowSettings:vm', '-version'], /^VM settings|version/m],
      ['nginx', ['-v'], /^nginx version/],
    ] as const)
      test(`${command} runs under default`, {
        skip: spawnSync('which', [command]).status === 0 ? false : `${command} is not installed`,
      }, () => {
        const { stdout, stderr, exitCode, error } = runAs(caller, { preset: 'system' }, command, args)
        assert.equal(exitCode, 0, `${error}${stderr}`)
        assert.match(`${stdout}${stderr}`, expected)
      })

    // As docs/seccomp.md has it.
    const debugged: SeccompProfile = {
      ...profiles.default,
      rules: [{ calls: ['ptrace', 'process_vm_readv', 'process_vm_writev'], do: 'allow' }, ...profiles.default.rules],
    }
    test('gdb stops a program, reads it and lets it go on, where the profile lets it', {
      skip: spawnSync('gdb', ['--version']).status === 0 ? false : 'gdb is not installed',
    }, () => {
      const does = ['starti', 'x/1i $pc', 'continue'].flatMap((command) => ['-ex', command])
      const words = ['-nx', '-batch', ...does, '--args', '/bin/sh', '-c', 'exit 3']
      const run = (seccomp: Policy['seccomp']) => runAs(caller, { preset: 'system', seccomp }, 'gdb', words)
      const { stdout, stderr, error } = run(debugged)
      assert.match(stdout, /=> 0x[0-9a-f]+.*:\s+\w+[\s\S]*exited with code 03/, error ?? stderr)
      assert.doesNotMatch(run('default').stdout, /=> 0x|exited with code/)
    })

    test('a debugger runs where the profile lets it', {
      skip: spawnSync('strace', ['--version']).status === 0 ? false : 'strace is not installed',
    }, () => {
      const words = ['-f', '-e', 'trace=execve,exit_group', 'sh', '-c', 'true & wait; exit 3']
      const traced = runAs(caller, { preset: 'system', seccomp: debugged }, 'strace', words)
      assert.equal(traced.exitCode, 3, traced.error ?? traced.stderr)
      assert.match(traced.stderr, /execve\("\/usr\/bin\/sh".*= 0/)
      const init = runAs(caller, { preset: 'system', seccomp: debugged }, 'strace', ['-p', '1'])
      assert.match(init.stderr, /attach: ptrace\(PTRACE_SEIZE, 1\): Operation not permitted/)
      const refused = runAs(caller, { preset: 'system' }, 'strace', words)
      assert.notEqual(refused.exitCode, 3)
    })

    test('strict computes, and does nothing else', { skip: notInstalled('python3') }, () => {
      const policy: Policy = { preset: 'system', seccomp: 'strict' }
      const input = workDirectory(caller, 'strict')
      writeFileSync(join(input, 'in'), '1 2 3')
      chownSync(join(input, 'in'), caller.uid, caller.gid)
      const shown: Policy = { ...policy, filesystem: [{ bind: '/in', from: join(input, 'in') }] }
      const computes = runAs(caller, shown, 'python3', [
        '-S',
        '-c',
        'import math, json\nprint(sum(map(int, open("/in").read().split())), math.factorial(10), input("")) if 0 else print(sum(map(int, open("/in").read().split())))',
      ])
      assert.equal(computes.stdout, '6\n', computes.stderr)
      const tries = runAs(caller, policy, 'python3', [
        '-S',
        '-c',
        'import os\nfor f in (os.fork, lambda: os.open("/tmp/x", os.O_CREAT | os.O_WRONLY), lambda: os.unlink("/tmp"), lambda: __import__("_socket").socket(1, 1)):\n  try: f(); print("done")\n  except OSError as e: print(e.errno)',
      ])
      assert.equal(tries.stdout, '1\n1\n1\n1\n', tries.stderr)
    })

    test('nested lets a vial run in a vial in a vial', () => {
      const work = workDirectory(caller, 'nested')
      const policies = ['strict', 'nested', 'nested'] as const
      const files = ['c', 'b', 'a'].map((name) => join(work, name))
      policies.forEach((seccomp, index) => {
        const policy: Policy = {
          preset: 'system',
          seccomp,
          namespaces: { time: 'host' },
          filesystem: [
            ...(seccomp === 'nested' ? [uncovered] : []),
            ...files.slice(0, index).map((bind) => ({ bind })),
          ],
        }
        writeFileSync(`${files[index]}.json`, JSON.stringify(policy))
        const { status, stderr } = vial(caller, ['compile', `${files[index]}.json`, '-o', files[index]!])
        assert.equal(status, 0, stderr)
      })
      const user = process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}
      const words = [...files.slice(0, 2).reverse(), 'grep', '-c', 'Seccomp_filters:\t3', '/proc/self/status']
      const { stdout, stderr } = spawnSync(files[2]!, words, { ...user, encoding: 'utf8', cwd: '/' })
      assert.equal(stdout, '1\n', stderr)
      // With the default in the middle no namespace can be made.
      const plain = { preset: 'system', namespaces: { time: 'host' }, filesystem: [{ bind: files[0] }] }
      writeFileSync(`${files[1]}.json`, JSON.stringify(plain))
      const again = vial(caller, ['compile', `${files[1]}.json`, '-o', files[1]!])
      assert.equal(again.status, 0, again.stderr)
      const refused = spawnSync(files[1]!, [files[0]!, 'true'], { ...user, encoding: 'utf8', cwd: '/' })
      assert.equal(refused.status, 125)
      assert.match(refused.stderr, /Operation not permitted/)
    })
  })
}

test('the policy: what is wrong is named with its path', () => {
  const main = resolve(fileURLToPath(import.meta.url), '../../../src/cli/main.cjs')
  const { stderr } = spawnSync(process.execPath, [main, 'run', '--seccomp', 'default', '--', 'true'], {
    encoding: 'utf8',
  })
  assert.equal(stderr, '')
  assert.throws(
    () => execFileSync(process.execPath, [main, 'run', '--seccomp', 'no', '--', 'true'], { stdio: 'pipe' }),
    /must be one of default, strict, nested, none/,
  )
})
