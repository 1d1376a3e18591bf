import { capabilities } from '../../src/kernel/capabilities.js'
import { CLONE } from '../../src/kernel/flags.js'
import { attacks, holding, open } from './attack.js'

const rooted = ['root mode'] as const

await attacks('privileges', [
  {
    tries: 'the user id of root',
    words: ['setuid'],
    refused: ['EPERM', 'EINVAL'],
    weak: { ...open, capabilities: ['CAP_SETUID'] },
    weakIn: rooted,
  },
  {
    tries: 'the group id of root',
    words: ['setgid'],
    refused: ['EPERM', 'EINVAL'],
    weak: { ...open, capabilities: ['CAP_SETGID'] },
    weakIn: rooted,
  },
  {
    tries: "root's supplementary groups",
    words: ['setgroups'],
    refused: ['EPERM'],
    weak: { ...open, capabilities: ['CAP_SETGID'] },
    weakIn: rooted,
  },
  {
    tries: 'a setuid program of root',
    words: ['is-root'],
    runs: 'setuid',
    byRoot: true,
    refused: ['EPERM'],
    weak: 'outside',
  },
  {
    tries: 'a program with a file capability',
    words: ['has-capability', String(capabilities.CAP_NET_RAW)],
    runs: 'capable',
    byRoot: true,
    refused: ['EPERM'],
    weak: 'outside',
  },
  { tries: 'a capability by capset', words: ['capset'], refused: ['EPERM'], weak: holding('CAP_CHOWN') },
  { tries: 'an ambient capability', words: ['ambient'], refused: ['EPERM'], weak: holding('CAP_CHOWN') },
  { tries: 'what is left in the bounding set', words: ['bounding'], refused: ['EPERM'], weak: holding('CAP_CHOWN') },
  {
    tries: 'looser securebits',
    words: ['securebits'],
    refused: ['EPERM'],
    weak: 'outside',
    weakIn: ['root', 'root mode'],
  },
  {
    tries: 'to keep capabilities when ids change',
    words: ['keepcaps'],
    refused: ['EPERM'],
    weak: 'outside',
  },
  {
    tries: 'to forget no_new_privs',
    words: ['new-privs', '0'],
    refused: ['EINVAL'],
    // prctl(2) has no way to clear it.
    weak: open,
    control: ['new-privs', '1'],
  },
  {
    tries: 'a user namespace, to be root in (unshare)',
    words: ['unshare', String(CLONE.NEWUSER)],
    refused: ['EPERM'],
    weak: open,
  },
  { tries: 'a user namespace, to be root in (clone)', words: ['clone-user'], refused: ['EPERM'], weak: open },
  { tries: 'a user namespace, to be root in (clone3)', words: ['clone3-user'], refused: ['ENOSYS'], weak: open },
  ...(['NEWNS', 'NEWNET', 'NEWPID', 'NEWUTS', 'NEWIPC', 'NEWCGROUP', 'NEWTIME'] as const).map((name) => ({
    tries: `a namespace of its own: CLONE_${name}`,
    words: ['unshare', String(CLONE[name])],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN'),
  })),
  { tries: 'another host name', words: ['sethostname'], refused: ['EPERM'], weak: holding('CAP_SYS_ADMIN') },
])
