/** The preset `system` shows nothing that is closed to other users, and no secrets; to root neither, which could read all. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { callers } from '../support/user.js'
import { type Host, makeHost, noHosts } from './host.js'

/** Files that all users can read where the preset looks for them, each in a directory or at a name of its table. */
const open = [
  ...[
    '/etc/R/Renviron',
    '/etc/fonts/conf.d/10.conf',
    '/etc/java-17-openjdk/security/java.policy',
    '/etc/ssl/certs/a.pem',
  ],
  ...['/etc/pki/tls/certs/a.pem', '/etc/php/8.2/mods-available/json.ini', '/etc/mono/config', '/var/lib/ghc/a.conf'],
]
/** Beside them, in the same directories: closed to others. */
const closed = [
  ...['/etc/R/Renviron.site', '/etc/fonts/conf.d/99.conf', '/etc/java-17-openjdk/management/jmxremote.password'],
  ...['/etc/ssl/certs/own.key', '/etc/php/8.2/cli/php.ini', '/etc/ld.so.conf', '/etc/services'],
]
/** Readable by all, in a directory that is closed to others. */
const within = ['/etc/mono/closed/a', '/etc/texmf/a', '/etc/xml/private/a', '/root/mime.types']
/** Secrets, some of which an administrator left open to all users. */
const secrets = [
  ...['/etc/shadow', '/etc/gshadow', '/etc/ssl/private/a.key', '/etc/pki/tls/private/a.key', '/etc/ssh/ssh_host_key'],
  ...['/etc/environment', '/etc/npmrc', '/etc/gitconfig', '/etc/pip.conf', '/etc/maven/settings.xml', '/etc/wgetrc'],
  ...['/etc/php/8.2/fpm/pool.d/www.conf', '/etc/nginx/a.htpasswd', '/etc/NetworkManager/a', '/etc/wireguard/a.conf'],
  ...[
    '/opt/app/.env',
    '/srv/a',
    '/home/other/a',
    '/root/a',
    '/run/secrets/a',
    '/var/lib/app/a',
    '/var/log/a',
    '/tmp/a',
  ],
]

const file = (mode: number) => (path: string) => [path, { content: `content of ${path}\n`, mode }] as const
const host: Host = {
  store: '/usr/lib/a',
  programs: ['sh', 'grep'],
  links: {
    '/bin': 'usr/bin',
    '/usr/bin/sh': '../lib/a/bin/sh',
    '/usr/bin/grep': '../lib/a/bin/grep',
    // Links of names that are shown lead to what is closed.
    '/etc/mime.types': '/root/mime.types',
    '/etc/login.defs': '/etc/shadow',
    '/etc/nsswitch.conf': '/run/secrets/a',
    '/etc/groff': '/etc/ssl/private',
    '/etc/R/link': '/home/other/a',
    // A store that another user made: by the link itself, and by a directory on the way to one.
    '/nix/store': '/home/other',
    '/gnu/store': '/srv',
  },
  files: Object.fromEntries([
    ...open.map(file(0o644)),
    ...closed.map(file(0o600)),
    ...within.map(file(0o644)),
    ...secrets.map(file(0o644)),
    ...['/etc/shadow', '/etc/gshadow'].map(file(0o640)),
  ]),
  directories: {
    '/etc/mono/closed': 0o700,
    '/etc/texmf': 0o700,
    '/etc/xml/private': 0o710,
    '/root': 0o700,
    '/etc/ssl/private': 0o710,
    '/home/other': 0o755,
  },
  owners: { '/nix/store': 4242, '/gnu': 4242 },
}

describe('what the preset system shows of /etc and /var', { skip: noHosts }, () => {
  let vial: ReturnType<typeof makeHost>
  before(() => {
    vial = makeHost('private', host)
  })
  // By name, too: links are not followed in what is searched.
  const names = [...open, ...closed, ...within, ...secrets, ...Object.keys(host.links)].filter(
    (one) => !one.startsWith('/usr'),
  )
  const search = `grep -rhsI 'content of' /usr /etc /var /run /home /root /srv /opt /tmp ${names.join(' ')}`
  const found = (stdout: string) => [...new Set(stdout.split('\n').filter((line) => line !== ''))].sort()
  const contents = (paths: readonly string[]) => paths.map((path) => `content of ${path}`).sort()
  const command = (...flags: string[]) => [
    ...['run', '--env', `LD_LIBRARY_PATH=${host.store}/lib`, ...flags, '--', 'sh', '-c', search],
  ]

  for (const caller of callers) {
    test(`what all users can read, of its table, by ${caller.name}`, () => {
      const { stdout, stderr } = vial(caller, command())
      assert.deepEqual(found(stdout), contents(open), stderr)
    })
  }

  test('the same search finds all, where root shows all', () => {
    const directories = ['/etc', '/var', '/run', '/home', '/root', '/srv', '/opt', '/tmp'].flatMap((one) => [
      '--ro',
      one,
    ])
    const { stdout, stderr } = vial(callers.at(-1)!, command(...directories))
    assert.deepEqual(found(stdout), contents([...open, ...closed, ...within, ...secrets]), stderr)
  })
})
