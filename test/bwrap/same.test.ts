/** What Debian's bwrap knows, ours does the same: one case, two runs, and everything that shows is compared. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { type Caller, callers, workDirectory } from '../support/user.js'
import { debians, type Ending, hasTheirs, ours, programs, type RunOptions, words } from './tools.js'

/** Prints who and what the payload is. */
const status =
  'grep -E "^(Cap|NoNew|Uid|Gid|Groups|Seccomp:)" /proc/self/status; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups'
/** Every name in the new root that is not the host's, with its mode, owner, size and target. */
const tree =
  "find / -xdev -printf '%p %y %m %U:%G %l\\n' | sort; cat /proc/self/mountinfo 2>/dev/null | cut -d' ' -f5,6 | sort"
const shell = (script: string) => ['sh', '-c', script]
const host = words('--ro-bind / /')

/** In words: what the case shows; its arguments; descriptors that it needs; where it is called from. */
type Case = readonly [string, readonly string[], RunOptions['fds']?, RunOptions?]
const seven: RunOptions['fds'] = { 7: { text: 'seven' } }
const cases: readonly Case[] = [
  // ids and privileges
  ['plain', [...host, ...shell(status)]],
  ['--unshare-user', [...host, '--unshare-user', ...shell(status)]],
  ['--unshare-all', [...host, '--unshare-all', ...shell(status)]],
  ['--uid --gid', [...host, ...words('--unshare-user --uid 7 --gid 8'), ...shell(status)]],
  ['--uid 0', [...host, ...words('--unshare-user --uid 0 --gid 0'), ...shell(status)]],
  ['--cap-drop ALL', [...host, ...words('--cap-drop ALL'), ...shell(status)]],
  ['--cap-drop one', [...host, ...words('--cap-drop CAP_CHOWN --cap-drop cap_kill'), ...shell(status)]],
  ['--cap-drop ALL --cap-add', [...host, ...words('--cap-drop ALL --cap-add cap_net_raw'), ...shell(status)]],
  [
    '--cap-add in a user namespace',
    [...host, ...words('--unshare-user --cap-add CAP_NET_RAW --uid 5'), ...shell(status)],
  ],
  ['--cap-add ALL in a user namespace', [...host, ...words('--unshare-user --cap-add ALL'), ...shell(status)]],
  [
    '--cap-add ALL --cap-drop',
    [...host, ...words('--unshare-user --cap-add ALL --cap-drop CAP_SYS_ADMIN'), ...shell(status)],
  ],
  ['--disable-userns', [...host, ...words('--unshare-user --disable-userns'), ...shell(`${status}; unshare -U true`)]],
  ['--assert-userns-disabled', [...host, ...words('--assert-userns-disabled true')]],
  [
    '--disable-userns --assert-userns-disabled',
    [...host, ...words('--unshare-user --disable-userns --assert-userns-disabled true')],
  ],
  // recursion
  [
    '/proc/self/exe',
    [...host, ...words('-- /proc/self/exe'), ...host, ...words('--unshare-uts --hostname inner'), ...shell('hostname')],
  ],
  ['/proc/self/exe with an option that there is not', [...host, '/proc/self/exe', '--bogus']],
  // namespaces
  ['--hostname', [...host, ...words('--unshare-uts --hostname boat hostname')]],
  [
    '--unshare-all --share-net',
    [...host, ...words('--unshare-all --share-net'), ...shell('cat /proc/net/dev | wc -l')],
  ],
  [
    '--unshare-net',
    [...host, ...words('--unshare-net'), ...shell('cat /proc/net/dev | cut -d: -f1; cat /sys/class/net/lo/flags')],
  ],
  [
    '--unshare-pid',
    [...host, ...words('--unshare-pid --proc /proc'), ...shell('echo $$; set -- /proc/[0-9]*; echo $#')],
  ],
  ['--as-pid-1', [...host, ...words('--unshare-pid --as-pid-1 --proc /proc'), ...shell('echo $$')]],
  [
    '--new-session',
    [...host, ...words('--new-session'), ...shell('test $(ps -o sid= -p $$) != $(ps -o sid= -p $PPID) || echo same')],
  ],
  // the environment and the directory
  ['environment', [...programs, ...shell('env | sort; pwd')]],
  ['--clearenv', [...host, ...words('--clearenv env')]],
  ['--clearenv and the search for a command', [...host, ...words('--clearenv ls -d /usr')]],
  ['--setenv before --clearenv', [...host, ...words('--setenv A 1 --clearenv --setenv B 2'), ...shell('env | sort')]],
  [
    '--setenv and --unsetenv',
    [...host, ...words('--setenv A 1 --setenv B 2 --unsetenv A --unsetenv LANG --setenv B 3'), ...shell('env | sort')],
  ],
  ['--setenv HOME is where to go', [...programs, ...words('--setenv HOME /usr/bin pwd')]],
  ['--unsetenv HOME', [...programs, ...words('--unsetenv HOME pwd')]],
  ['--chdir', [...host, ...words('--chdir /etc'), ...shell('pwd; echo $PWD')]],
  ['PWD cannot be set', [...host, ...words('--setenv PWD /nowhere'), ...shell('env | grep ^PWD')]],
  ['--setenv PATH', [...programs, ...words('--setenv PATH /bin'), ...shell('command -v ls')]],
  // what is made
  ['an empty root', [...programs, ...shell(tree)]],
  [
    '--dir',
    [...programs, ...words('--dir /a/b --perms 0700 --dir /c/d --perms 1777 --dir /e --dir /a/b/f'), ...shell(tree)],
  ],
  [
    '--dir with setuid, setgid and sticky bits',
    [
      ...programs,
      ...words('--perms 4755 --dir /a --perms 2755 --dir /b --perms 7777 --dir /c'),
      ...shell('stat -c "%a %n" /a /b /c'),
    ],
  ],
  [
    '--dir over what is there',
    [...programs, ...words('--perms 0700 --dir /a --perms 0755 --dir /a --dir /bin'), ...shell(tree)],
  ],
  [
    '--tmpfs',
    [
      ...programs,
      ...words('--tmpfs /a/b --perms 01777 --tmpfs /c --size 4096 --tmpfs /d --perms 0700 --tmpfs /e/f'),
      ...shell(`${tree}; df --output=size /d`),
    ],
  ],
  [
    '--file',
    [
      ...programs,
      ...words('--file 7 /a/b --perms 0640 --file 8 /c/d --perms 0600 --file 9 /e/f/g'),
      ...shell(`${tree}; cat /a/b /c/d /e/f/g`),
    ],
    { 7: { text: 'one' }, 8: { text: 'two' }, 9: { text: 'x'.repeat(200_000) } },
  ],
  [
    '--bind-data',
    [
      ...programs,
      ...words('--bind-data 7 /a/b --ro-bind-data 8 /c/d --perms 0644 --ro-bind-data 9 /e/f'),
      ...shell(`${tree}; cat /a/b /c/d; echo more >> /a/b; cat /a/b; echo no >> /c/d`),
    ],
    { 7: { text: 'one' }, 8: { text: 'two' }, 9: { text: 'three' } },
  ],
  ['--symlink', [...programs, ...words('--symlink /a/b /c/d/e --symlink x y'), ...shell(tree)]],
  [
    '--chmod',
    [...programs, ...words('--dir /a --chmod 0711 /a --symlink a /b --chmod 1750 /b --chmod 0700 /'), ...shell(tree)],
  ],
  [
    '--dev',
    [
      ...programs,
      ...words('--dev /dev --proc /proc'),
      ...shell(`find /dev -path /dev/pts -prune -o -printf '%p %y %m %U:%G %l\\n' | sort; ${tree}`),
    ],
  ],
  [
    '--dev elsewhere',
    [...programs, ...words('--dev /a/b'), ...shell(`echo x > /a/b/null; head -c2 /a/b/zero | wc -c; ${tree}`)],
  ],
  ['--proc', [...programs, ...words('--proc /proc'), ...shell('cat /proc/self/mountinfo | cut -d" " -f4-6')]],
  [
    '--proc of a new pid namespace',
    [...programs, ...words('--unshare-pid --proc /proc'), ...shell('cat /proc/self/mountinfo | cut -d" " -f4-')],
  ],
  [
    '--mqueue',
    [
      ...programs,
      ...words('--unshare-ipc --mqueue /q --proc /proc'),
      ...shell('cut -d" " -f5- /proc/self/mountinfo; ls -ld /q'),
    ],
  ],
  [
    '--bind and its kin',
    [
      ...programs,
      ...words(
        '--proc /proc --bind /tmp /a/b --dev-bind /dev/null /c --ro-bind /etc/passwd /d/e --bind /etc/passwd /d/f',
      ),
      ...shell(`cut -d' ' -f4-7 /proc/self/mountinfo; ${tree}`),
    ],
  ],
  [
    '-try of what is there and what is not',
    [
      ...programs,
      ...words(
        '--bind-try /none /a/b --ro-bind-try /etc /c/d --dev-bind-try /none/x /e --dir /c/d2 --bind-try /tmp /t --dir /a',
      ),
      ...shell(tree),
    ],
  ],
  [
    'what is beneath a -try that is not there',
    [...programs, ...words('--bind-try /none /a/b --dir /a/b/c --ro-bind-try /none /x --file 7 /x/y'), ...shell(tree)],
    { 7: { text: '' } },
  ],
  [
    '--remount-ro',
    [
      ...programs,
      ...words('--tmpfs /a --dir /a/b --tmpfs /a/c --remount-ro /a --proc /proc'),
      ...shell('cut -d" " -f5,6 /proc/self/mountinfo; touch /a/x; touch /a/c/x && echo made'),
    ],
  ],
  [
    '--remount-ro of the root',
    [...programs, ...words('--proc /proc --remount-ro /'), ...shell('cut -d" " -f5,6 /proc/self/mountinfo; touch /x')],
  ],
  ['--bind over the root in the end', [...words('--tmpfs /x --dir /y --ro-bind / / ls -d /x /y /usr')]],
  [
    'nothing of the first root is left beneath the second',
    [
      ...words('--tmpfs /x --ro-bind /usr /y --ro-bind / / --proc /proc'),
      ...shell(
        'unshare -U echo ok; ls -di / /.. | cut -d" " -f1 | uniq | wc -l; cut -d" " -f5 /proc/self/mountinfo | grep -cx /',
      ),
    ],
  ],
  [
    "the host's root, as a directory",
    [
      ...programs,
      ...words('--bind / /host --ro-bind ../../../../.. /up --proc /proc'),
      ...shell('ls -d /host/usr/bin /up/usr/bin; ls /host /up | wc -l; cut -d" " -f5 /proc/self/mountinfo'),
    ],
  ],
  [
    "the host's root, twice",
    [
      ...host,
      ...words('--ro-bind / /mnt'),
      ...shell('ls -d /mnt/usr/bin /mnt/mnt; cut -d" " -f5 /proc/self/mountinfo'),
    ],
  ],
  ['--tmpfs over the root', [...words('--ro-bind / / --perms 0711 --tmpfs /'), ...programs, ...shell(tree)]],
  [
    'relative sources, and links that lead up',
    [
      ...words('--ro-bind ../../../../../usr /usr --ro-bind /etc/os-release /a'),
      ...programs.slice(3),
      ...words('ls -d /usr/bin /a'),
    ],
  ],
  [
    'places without a slash, and with dots',
    [...programs, ...words('--dir a/b --dir /c --dir /c/../d --dir ./e//f'), ...shell(tree)],
  ],
  [
    'a file descriptor by its name',
    [...host, ...words('--bind /proc/self/fd/7 /mnt ls -d /mnt/bin')],
    { 7: { path: '/usr' } },
  ],
  // places that are links, which the command line itself makes
  [
    'a mount on a link is where the link leads',
    [
      ...programs,
      ...words('--dir /t --symlink t /a --tmpfs /a --dir /a/b --ro-bind /etc /bin --proc /proc'),
      ...shell(`ls /t /usr/bin/passwd; cut -d' ' -f5 /proc/self/mountinfo`),
    ],
  ],
  [
    'a file on a link to a file',
    [
      ...programs,
      ...words('--file 7 /a --symlink a /b --ro-bind /etc/hostname /b --symlink /a /c --bind-data 8 /d'),
      ...shell('cat /a /b /d; ls -l / | wc -l'),
    ],
    { 7: { text: 'a' }, 8: { text: 'd' } },
  ],
  ['a file on a link to a directory', [...programs, ...words('--ro-bind /etc/hostname /bin true')]],
  ['a directory where the root is', [...programs, ...words('--dir / --perms 0700 --dir /'), ...shell(tree)]],
  ["a directory that is named ''", [...programs, '--dir', '', ...shell(tree)]],
  // the caller's directory
  ['PWD through a link', [...host, ...shell('echo $PWD; pwd')], undefined, { cwd: '/bin', env: { PWD: '/bin' } }],
  [
    'PWD of another directory',
    [...host, ...shell('echo $PWD; pwd')],
    undefined,
    { cwd: '/usr/bin', env: { PWD: '/usr' } },
  ],
  ['PWD of no directory', [...host, ...shell('echo $PWD; pwd')], undefined, { cwd: '/bin', env: { PWD: '/none' } }],
  ['PWD that is relative', [...host, ...shell('pwd -P')], undefined, { cwd: '/bin', env: { PWD: '../bin' } }],
  [
    'PWD through a link that is not there inside',
    [...programs.slice(0, 3), '/usr/bin/printenv', 'PWD'],
    undefined,
    { cwd: '/bin', env: { PWD: '/bin' } },
  ],
  // numbers
  ...['7', ' 7', '\t+7', '+7', '07', '7 ', '-7', '0x7', '', '- 7', '+ 7', 'seven', '7.0'].flatMap((number): Case[] => [
    [`--file "${number}"`, [...host, '--tmpfs', '/mnt', '--file', number, '/mnt/x', 'cat', '/mnt/x'], seven],
    [`--args "${number}"`, [...host, '--args', number, ...shell('echo $A')], { 7: { text: '--setenv\0A\0a\0' } }],
    [`--uid "${number}"`, [...host, '--unshare-user', '--uid', number, 'id', '-u']],
    [`--sync-fd "${number}"`, [...host, '--sync-fd', number, 'true'], seven],
  ]),
  ...['700', ' +0700', '07777', '010000', '8', '-1', '', '0x1', '700 '].flatMap((mode): Case[] => [
    [`--perms "${mode}"`, [...host, '--perms', mode, '--tmpfs', '/mnt', 'stat', '-c', '%a', '/mnt']],
    [`--chmod "${mode}"`, [...host, '--tmpfs', '/mnt', '--chmod', mode, '/mnt', 'stat', '-c', '%a', '/mnt']],
  ]),
  ...['8192', ' 8192', '+8192', '0x2000', '020000', '0', '', '1k', '9223372036854775808', '18446744073709551616'].map(
    (size): Case => [
      `--size "${size}"`,
      [...host, '--size', size, '--tmpfs', '/mnt', ...words('df --output=size /mnt')],
    ],
  ),
  // files of the caller
  [
    '--args',
    [...host, ...words('--args 5 --args 6'), ...shell('echo $A; ls -d /mnt/a')],
    { 5: { text: '--setenv\0A\0 1\0--tmpfs\0/mnt' }, 6: { text: '--dir\0/mnt/a\0--\0ignored\0' } },
  ],
  ['--args of nothing', [...host, ...words('--args 5 ls -d /usr')], { 5: { text: '' } }],
  ['inherited descriptors', [...host, ...shell('cat <&7; ls /proc/$$/fd')], { 7: { text: 'kept\n' } }],
  [
    '--sync-fd is not for the payload',
    [...host, ...words('--sync-fd 7'), ...shell('ls /proc/$$/fd')],
    { 7: { text: '' } },
  ],
  [
    '--sync-fd --as-pid-1',
    [...host, ...words('--unshare-pid --as-pid-1 --sync-fd 7 --proc /proc'), ...shell('ls /proc/$$/fd')],
    { 7: { text: '' } },
  ],
  ['--block-fd', [...host, ...words('--block-fd 7'), ...shell('ls /proc/$$/fd')], { 7: { text: 'x' } }],
  // how it ends
  ['an exit status', [...host, ...shell('exit 7')]],
  ['a signal', [...host, ...shell('kill -9 $$')]],
  ['a signal beneath init', [...host, '--unshare-pid', ...shell('kill -15 $$')]],
  ['a signal to pid 1', [...host, ...words('--unshare-pid --as-pid-1'), ...shell('kill -9 $$; echo alive')]],
  ['a script without a first line', [...host, '--ro-bind', '/etc/hostname', '/mnt', ...shell('exit 0')]],
  ['a command that is not there', [...host, 'no-such-command', 'x']],
  ['a command that is a directory', [...host, '/usr']],
  ['a command that is not there, as pid 1', [...host, ...words('--unshare-pid --as-pid-1 /no/such')]],
  // what cannot be
  ['no directory for a directory', [...host, ...words('--bind /usr /nope true')]],
  ['no directory above', [...host, ...words('--bind /usr /nope/a true')]],
  ['no file', [...host, ...words('--bind /etc/passwd /nope true')]],
  ['a file on a directory', [...host, ...words('--bind /etc/passwd /usr true')]],
  ['a directory on a file', [...host, ...words('--bind /usr /etc/passwd true')]],
  ['a tmpfs on a file', [...host, ...words('--tmpfs /etc/passwd true')]],
  ['--dir where none can be made', [...host, ...words('--dir /nope true')]],
  ['--dir on a file', [...host, ...words('--dir /etc/passwd true')]],
  ['--symlink where none can be made', [...host, ...words('--symlink a /nope true')]],
  ['--chmod of what is not there', [...host, ...words('--chmod 0700 /nope true')]],
  ['--chmod of what cannot be changed', [...host, ...words('--chmod 0700 /usr true')]],
  ['--remount-ro of nothing', [...host, ...words('--remount-ro /nope true')]],
  ['--remount-ro of no mount', [...host, ...words('--remount-ro /usr true')]],
  ['--proc where it cannot be', [...host, ...words('--proc /nope true')]],
  ['--dev where it cannot be', [...host, ...words('--dev /nope true')]],
  ['--file where none can be made', [...host, ...words('--file 7 /nope true')], { 7: { text: '' } }],
  ['--file of a closed descriptor', [...host, ...words('--tmpfs /mnt --file 9 /mnt/x true')]],
  ['--bind-data of a closed descriptor', [...host, ...words('--tmpfs /mnt --bind-data 9 /mnt/x true')]],
  ['--bind of nothing', [...host, ...words('--bind /no/such/source /x true')]],
  ['--bind of what may not be seen', [...host, ...words('--bind /root/.profile/x /x true')]],
  ['--chdir to nowhere', [...host, ...words('--chdir /nope true')]],
  ['--lock-file of nothing', [...host, ...words('--lock-file /nope true')]],
  ['--seccomp of a closed descriptor', [...host, ...words('--seccomp 9 true')]],
  ['--seccomp of no filter', [...host, ...words('--seccomp 7 true')], { 7: { text: 'abc' } }],
  ['--userns of a closed descriptor', [...host, ...words('--userns 9 true')]],
  ['--block-fd of a closed descriptor', [...host, ...words('--block-fd 9 true')]],
  ['--sync-fd of a closed descriptor', [...host, ...words('--sync-fd 9 true')]],
  ['--userns of no namespace', [...host, ...words('--userns 7 true')], { 7: { text: '' } }],
]

/** The root itself is a directory of a tmpfs there and a tmpfs of its own here, which only mountinfo tells. */
function shown({ status, stdout, stderr, written }: Ending): unknown {
  const lines = stdout.replace(/^\/newroot \/ /gm, '/ / ').replace(/^(\S* ?\/ .* - tmpfs tmpfs rw).*$/gm, '$1')
  return { status, stdout: lines.split('\n'), stderr, written }
}

for (const caller of callers)
  suite(`same as Debian's bwrap, as ${caller.name}`, { skip: !hasTheirs && 'bubblewrap is not installed' }, () => {
    for (const [name, args, fds, from] of cases)
      test(name, async () => {
        const options = { ...(fds === undefined ? {} : { fds }), cwd: directory(caller), ...from }
        assert.deepEqual(
          shown(await ours(caller, args, options)),
          shown(await debians(caller, args, options)),
          args.join(' '),
        )
      })
  })

/** A directory to be called from, four below the root. */
function directory(caller: Caller): string {
  const path = join(workDirectory(caller, 'home'), 'cwd')
  mkdirSync(path, { recursive: true })
  writeFileSync(join(path, 'here'), '')
  return path
}
