/** /dev/console is the terminal that standard output is, and no other of its name. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { frontPath } from '../../src/bwrap/frontFile.js'
import { notInstalled, notRoot } from '../support/needs.js'
import { root, workDirectory } from '../support/user.js'

/** Runs the words on a terminal of the host's; with `other`, in a mount namespace whose devpts has one of the same name. */
const script = `
import os, pty, subprocess, sys
other, words = sys.argv[1] == 'other', sys.argv[2:]
master, slave = pty.openpty()
name = os.ttyname(slave)
def prepare():
    if not other: return
    subprocess.run(['mount', '-t', 'devpts', '-o', 'newinstance,ptmxmode=0666', 'devpts', '/dev/pts'], check=True)
    global held
    held = []
    while not os.path.exists(name): held.append(os.open('/dev/pts/ptmx', os.O_RDWR | os.O_NOCTTY))
if os.fork() == 0:
    os.unshare(0x20000) if hasattr(os, 'unshare') else __import__('ctypes').CDLL(None).unshare(0x20000)
    subprocess.run(['mount', '--make-rprivate', '/'], check=True)
    prepare()
    sys.exit(subprocess.run(words, stdout=slave).returncode)
os.close(slave)
os.wait()
print(os.read(master, 4096).decode().strip())
`

const options = ['--ro-bind', '/usr', '/usr', '--symlink', 'usr/bin', '/bin', '--symlink', 'usr/lib', '/lib']
options.push('--symlink', 'usr/lib64', '/lib64', '--dev', '/dev', '--proc', '/proc')

test('the terminal is /dev/console, another of its name is not', { skip: notRoot || notInstalled('python3') }, () => {
  const run = (which: 'same' | 'other') => {
    const look =
      'if [ /dev/console -ef /proc/self/fd/1 ]; then echo same; elif [ -e /dev/console ]; then echo another; else echo none; fi'
    const { stdout, stderr } = spawnSync('python3', ['-c', script, which, frontPath, ...options, 'sh', '-c', look], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: workDirectory(root, 'home') },
    })
    return stdout.trim() || stderr
  }
  assert.equal(run('same'), 'same')
  assert.equal(run('other'), 'none')
})
