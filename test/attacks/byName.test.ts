/** A payload against a network by name: it reaches what is listed and nothing else, and its resolver carries nothing out. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { callers } from '../support/user.js'
import { holding, open } from './attack.js'
import { changes, honest, reaches } from './payloads.js'

/** Where `api.example.com` and `*.wild.example.com` are listed, none of these is, or is reached at a port that is not. */
const names = [
  ...[
    'api.example.com',
    'api.example.com.',
    'API.Example.COM',
    'x.wild.example.com',
    'api.example.com..',
    '.api.example.com',
  ],
  ...[
    'api..example.com',
    'api.example.com.evil.org',
    'api.example.comevil.org',
    'evil.org',
    'evilapi.example.com',
    'example.com',
  ],
  ...[
    'wild.example.com',
    '.wild.example.com',
    'notwild.example.com',
    'x.wild.example.com.evil.org',
    '*.wild.example.com',
    '*',
    '*.',
    '.',
  ],
  ...[
    'api.example.com\0.evil.org',
    'evil.org\0.wild.example.com',
    'api.example.com%00.evil.org',
    'api%2eexample%2ecom',
    '%',
  ],
  ...[
    'api.example.com#.evil.org',
    'evil.org#.wild.example.com',
    'evil.org/.wild.example.com',
    'evil.org?.wild.example.com',
  ],
  ...[
    'evil.org@x.wild.example.com',
    'evil.org:80.wild.example.com',
    'evil.org\\.wild.example.com',
    'evil org.wild.example.com',
  ],
  ...[
    'evil.org\n.wild.example.com',
    '[evil].wild.example.com',
    'evil,org.wild.example.com',
    '-evil.wild.example.com',
    'evil-.wild.example.com',
  ],
  ...[
    '\u0430pi.example.com',
    'api\u3002example\u3002com',
    '\uff41pi.example.com',
    'api\u00ad.example.com',
    'api\u200b.example.com',
  ],
  ...['xn--.wild.example.com', 'xn--a.wild.example.com', '_api.example.com', '\u{1f600}.evil.org', '\ud7ff.evil.org'],
  ...[
    `${'a'.repeat(64)}.wild.example.com`,
    `${'a.'.repeat(130)}wild.example.com`,
    `${'a'.repeat(63)}.`.repeat(4),
    'a'.repeat(5000),
  ],
  ...[
    '0x7f.1',
    '0x7f000001',
    '2130706433',
    '017700000001',
    '0177.0.0.1',
    '127.1',
    '127.0.1',
    '0',
    '00.0x0.0',
    '127.0.0.1',
    '127.0.0.1.',
  ],
  ...[
    '127.0.0.1.wild.example.com.',
    '1.0.0.127.in-addr.arpa',
    '127.0.0.1.nip.io',
    '0.0.0.0',
    '255.255.255.255',
    '224.0.0.1',
  ],
  ...[
    'localhost',
    'localhost.',
    'LOCALHOST',
    'x.localhost',
    'localhost.localdomain',
    'ip6-localhost',
    '[::1]',
    '::1',
    '::',
    '0::0',
  ],
  ...[
    '::ffff:127.0.0.1',
    '::127.0.0.1',
    '64:ff9b::127.0.0.1',
    '2002:7f00:1::',
    '2001:0:7f00:1::',
    'fe80::1%lo',
    '::ffff:169.254.169.254',
  ],
  ...[
    '169.254.169.254',
    '2852039166',
    'metadata',
    'metadata.google.internal',
    '198.18.0.0',
    '198.18.0.1',
    '198.18.1.0',
    '198.18.77.77',
  ],
  ...['198.18.255.255', 'fd00:7669:616c::1', 'fd00:7669:616c::100', 'fd00:7669:616c::ffff', 'c2VjcmV0.tunnel.evil.org'],
]
/** None of them is a name's. */
const addresses = [
  ...[
    '198.18.0.0',
    '198.18.0.1',
    '198.18.77.77',
    '198.18.255.255',
    'fd00:7669:616c::beef',
    '169.254.169.254',
    '127.0.0.2',
    '10.0.0.1',
  ],
  ...[
    '::ffff:169.254.169.254',
    '2002:7f00:1::',
    '64:ff9b::7f00:1',
    '64:ff9b::a9fe:a9fe',
    '::127.0.0.2',
    '2001::1',
    '::1',
  ],
]
const everything = { names, addresses, wait: 10 }
const python = notInstalled('python3')

/** What the payload says of it, and what was seen outside. */
const tried = (
  caller: (typeof callers)[number],
  data: {
    readonly policy: Policy
    readonly program: string
    readonly honest: string
    readonly at?: { readonly names: readonly string[]; readonly addresses: readonly string[]; readonly wait: number }
  },
) =>
  evaluate(
    caller,
    async ({ sandbox }, { policy, program, honest, at }) => {
      const net = await import('node:net')
      const { once } = (await import('node:events')).default
      const serve = async (says: string, at: object) => {
        const server = net.createServer((socket) => socket.on('error', () => {}).end(says)).listen(at)
        await once(server, 'listening')
        return server
      }
      const server = await serve('here', { port: 0, host: '127.0.0.1' })
      const secret = await serve('secret', { port: 0, host: '127.0.0.1' })
      const abstract = `vial-by-name-${process.pid}`
      const hidden = await serve('hidden', { path: `\0${abstract}` })
      let reached = 0
      for (const one of [secret, hidden]) one.on('connection', () => reached++)
      const [port, closed] = [server, secret].map((one) => (one.address() as { port: number }).port)
      const asked = new Set<string>()
      const network = {
        allow: [`api.example.com:${port}`, `*.wild.example.com:${port}`, `127.0.0.1:${port}`],
        resolve: async (name: string) => {
          asked.add(name)
          return ['127.0.0.1']
        },
      }
      const made = sandbox({ preset: 'system', network, ...(policy as object) })
      const word =
        at === undefined ? String(port) : JSON.stringify([at.names, at.addresses, closed, abstract, port, at.wait])
      const { stdout, stderr } = await made.run('python3', ['-c', program, word])
      const after = policy.network === 'host' ? '' : (await made.run('python3', ['-c', honest, String(port)])).stdout
      for (const one of [server, secret, hidden]) one.close()
      return { said: JSON.parse(stdout || `${JSON.stringify(stderr)}`), asked: [...asked], reached, after }
    },
    data,
  )

for (const caller of callers)
  describe(`a network by name, attacked by ${caller.name}`, { skip: python }, () => {
    test('no spelling of a name or an address reaches what is not listed, and none is asked for outside', async () => {
      const { said, asked, reached, after } = await tried(caller, {
        policy: {},
        program: reaches,
        honest,
        at: everything,
      })
      assert.deepEqual(said, [])
      assert.equal(reached, 0)
      assert.equal(after, 'here\n')
      for (const name of asked) assert.match(name, /^(api|[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.wild)\.example\.com$/)
      assert.ok(asked.includes('api.example.com'))
    })

    test("the same reaches it where the network is the host's", async () => {
      const policy: Policy = { ...open, network: 'host' }
      const { said, reached } = await tried(caller, {
        policy,
        program: reaches,
        honest,
        at: { names: ['127.0.0.1', '0x7f.1'], addresses: [], wait: 0.5 },
      })
      for (const one of ['127.0.0.1', '0x7f.1', 'an abstract socket']) assert.ok((said as string[]).includes(one), one)
      assert.equal(reached, 3)
    })

    test('it cannot change its network, nor take what the gateway waits at', async () => {
      const { said, after } = await tried(caller, { policy: {}, program: changes, honest })
      // What its interfaces are any program may ask.
      for (const [what, answer] of Object.entries({ ...(said as Record<string, string>), netlink: 'EPERM' }))
        assert.match(
          answer,
          /^E(PERM|ACCES|ROFS|AFNOSUPPORT|ADDRINUSE|NODEV|BUSY|XDEV|NOTDIR|ISDIR|INVAL|NOSYS|NOENT)$/,
          what,
        )
      assert.equal(after, 'here\n')
    })

    test('with capabilities over its own network it changes that, and reaches no more', async () => {
      const policy = holding('CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_NET_BIND_SERVICE')
      const { said, after } = await tried(caller, { policy, program: changes, honest })
      const answers = said as Record<string, string>
      for (const what of ['raw', 'packet', 'netlink', 'address']) assert.equal(answers[what], 'succeeded', what)
      for (const what of ['resolver by TCP', 'port of a name', 'port of all', 'setns', 'unshare'])
        assert.notEqual(answers[what], 'succeeded', what)
      // A sandbox of its own again.
      assert.equal(after, 'here\n')
      const seen = await tried(caller, { policy, program: reaches, honest, at: everything })
      assert.deepEqual([seen.said, seen.reached], [[], 0])
    })
  })
