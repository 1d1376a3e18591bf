/**
 * Code of a stranger, in Python. Run it with: node dist/examples/untrusted-python.js
 *
 * Look at what it finds: no file of yours, no network, no other process, no way to keep the machine busy.
 */
import { sandbox } from 'vial'

const stranger = `
import os, socket, sys

def attempt(what, action):
    try:
        print(f'{what}: {action()}')
    except OSError as error:
        print(f'{what}: refused, {error.strerror}')

attempt('secrets', lambda: open('/etc/shadow').read())
attempt('homes', lambda: os.listdir('/home'))
attempt('programs', lambda: os.listdir('/usr/bin'))
attempt('network', lambda: socket.create_connection(('192.0.2.1', 80), 2))
attempt('processes', lambda: [name for name in os.listdir('/proc') if name.isdigit()])
attempt('change python', lambda: open(os.__file__, 'w'))
attempt('who', lambda: (os.getuid(), os.uname().nodename))
print('answer:', sum(map(int, sys.stdin.read().split())))
`

const python = sandbox({
  fill: { program: 'python3' }, // of the host only what python3 needs
  filesystem: [{ file: '/code.py', content: stranger }],
  limits: {
    memory: '256M',
    pids: 16,
    cpuTime: '1s',
    wallTime: '20s',
    output: '1M',
    disk: '16M',
    openFiles: 64,
    required: false, // without a cgroup ("vial doctor") rlimits stand in: this is to run everywhere
  },
})

const { stdout, stderr, exitCode, usage } = await python.run('python3', ['/code.py'], { input: '1 2 39' })
process.stdout.write(stdout + stderr)
console.log(`status ${exitCode}, ${Math.round((usage.peakMemory ?? usage.maxRss) / 2 ** 20)} MiB at the most`)

const endless = await python.run('python3', ['-c', 'while True: pass'])
console.log('an endless loop:', JSON.stringify(endless.verdict))

const flood = await python.run('python3', ['-c', 'while True: print("x" * 1000)'])
console.log('a flood of output:', JSON.stringify(flood.verdict))

const expected = ['secrets: refused', "homes: ['vial']", 'network: refused', 'change python: refused', 'answer: 42']
const wrong = expected.filter((line) => !stdout.includes(line))
if (wrong.length > 0 || exitCode !== 0 || endless.verdict.kind !== 'time-limit' || flood.stdout.length !== 2 ** 20) {
  console.error(`not as it should be: ${wrong.join('; ')}`)
  process.exitCode = 1
}
