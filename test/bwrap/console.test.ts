/** /dev/console is the very terminal of standard output, and never another's of the same name. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { frontPath } from '../../src/bwrap/frontFile.js'
import { notInstalled, notRoot } from '../support/needs.js'
import { root, workDirectory } from '../support/user.js'

/** Standard output is a terminal whose name, in the mount namespace of the command, is that of one of forty others. */
const program = `
import os, pty, subprocess, sys
master, terminal = pty.openpty()
own = os.fstat(terminal).st_rdev, os.stat(os.ttyname(terminal)).st_ino, os.fstat(terminal).st_dev
look = "import os; s = os.stat('/dev/console'); print(s.st_dev)"
command = [sys.argv[1], '--bind', '/', '/', '--dev', '/dev', 'python3', '-c', look]
others = '''
import pty, subprocess, sys
opened = [pty.openpty() for _ in range(40)]
subprocess.run(sys.argv[1:])
'''
if sys.argv[2] == 'covered':
    cover = 'mount -t devpts -o newinstance,ptmxmode=0666 none /dev/pts && exec "$@"'
    command = ['unshare', '-m', 'sh', '-c', cover, 'sh', 'python3', '-c', others, *command]
subprocess.run(command, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal)
os.set_blocking(master, False)
said = os.read(master, 4096).decode()
print('shown' if said.strip() == str(own[2]) else 'not there' if 'No such file' in said else said)
`

test('the console is the terminal itself, or is not there', { skip: notRoot || notInstalled('python3') }, () => {
  const run = (how: string) =>
    spawnSync('python3', ['-c', program, frontPath, how], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: workDirectory(root, 'home') },
    })
  assert.equal(run('plain').stdout, 'shown\n')
  assert.equal(run('covered').stdout, 'not there\n')
})
