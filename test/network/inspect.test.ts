/** Requests of HTTP that are read: secrets that programs use and do not have, rules about methods and paths, and TLS that is opened for both. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { NetworkEvent, Policy } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import { secureServer } from '../support/network/secureServer.js'
import { type Caller, callers } from '../support/user.js'

const needs = notInstalled('curl', 'python3')

/** What bash says in a sandbox with this network, in which `*.example.com` is this machine. */
const bash = (
  caller: Caller,
  script: string,
  network: Exclude<Policy['network'], string | undefined>,
  policy: Policy = {},
  env: Record<string, string> = {},
) =>
  evaluate(
    caller,
    async ({ sandbox }, { script, network, policy }) => {
      const events: NetworkEvent[] = []
      const resolve = async () => ['127.0.0.1']
      const onEvent = (event: NetworkEvent) => void events.push(event)
      const { stdout, stderr } = await sandbox({
        preset: 'system',
        ...policy,
        network: { ...network, resolve, onEvent },
      } as Policy).run('bash', ['-c', script])
      return { stdout, stderr, requests: events.filter(({ event }) => event === 'request') }
    },
    { script, network, policy },
    { env },
  )

const value = 's3cr3t-v4lue'

for (const caller of callers)
  describe(`requests that are read, by ${caller.name}`, { skip: needs }, () => {
    test('get a secret that no program has, in the header, to the host and in the forms that it is for', async (t) => {
      const { seen, secure, plain, authorities } = await secureServer(t)
      const [api, web] = [`api.example.com:${secure}`, `web.example.com:${plain}`]
      const { stdout, stderr, requests } = await bash(
        caller,
        `env | grep KEY
         curl -sS -H "authorization: Bearer $API_KEY" https://${api}/one https://${api}/two?q=1
         curl -sS -u "me:$API_KEY" https://${api}/basic
         curl -sS -H "x-key: $API_KEY" https://${api}/other-header
         curl -sS -H "authorization: $API_KEY" http://${web}/other-host
         curl -sS -H "x-key: $WEB_KEY" http://${web}/plain`,
        {
          allow: [api, web, `127.0.0.1:${secure}`, `127.0.0.1:${plain}`],
          inspect: [api],
          secrets: [
            { env: 'API_KEY', value, for: api },
            { env: 'WEB_KEY', value: `${value}-2`, for: web, header: 'X-Key', placeholder: 'sk-00000000' },
          ],
          authorities,
        },
      )
      const stand = 'vial-secret-API_KEY'
      assert.deepEqual(stdout.split('\n').slice(0, 2).sort(), [`API_KEY=${stand}`, 'WEB_KEY=sk-00000000'], stderr)
      const basic = Buffer.from(`me:${value}`).toString('base64')
      assert.deepEqual(
        seen.map(({ url, authorization, key, host }) => [url, authorization, key, host]),
        [
          ['/one', `Bearer ${value}`, 'undefined', api],
          ['/two?q=1', `Bearer ${value}`, 'undefined', api],
          ['/basic', `Basic ${basic}`, 'undefined', api],
          ['/other-header', undefined, stand, api],
          ['/other-host', stand, 'undefined', web],
          ['/plain', undefined, `${value}-2`, web],
        ],
      )
      assert.equal(seen[0]!.from, seen[1]!.from, 'one connection')
      assert.deepEqual(
        requests.map(({ method, url, status, verdict }) => [method, url, status, verdict]),
        [
          ...['one', 'two', 'basic', 'other-header'].map((path) => ['GET', `https://${api}/${path}`, 200, 'allowed']),
          ...['other-host', 'plain'].map((path) => ['GET', `http://${web}/${path}`, 200, 'allowed']),
        ],
      )
    })

    test('may be made as rules say, in whatever way their path is written', async (t) => {
      const { seen, secure, plain, authorities } = await secureServer(t)
      const [api, web] = [`api.example.com:${secure}`, `web.example.com:${plain}`]
      const refused = [
        ['GET', '/v2/'],
        ['POST', '/v1/x'],
        ['GET', '/v1'],
        ...['/v1/../v2', '/v1/%2e%2e/v2', '/v1/.%2E/v2', '/v1//v2', '/v1/%2fv2', '/v1/a%5c..', '/v1/..;/v2'].map(
          (path) => ['GET', path],
        ),
        ['GET', '/v1/%252e%252e/v2'],
        ['TRACE', '/v1/x'],
        ['OPTIONS', '*'],
      ]
      const asking = refused.map(
        ([method, path]) =>
          `curl -sS -X ${method} --path-as-is ${path === '*' ? "--request-target '*'" : ''} -o /dev/null -w '%{http_code} ' 'https://${api}${path === '*' ? '/' : path}'`,
      )
      const { stdout, stderr, requests } = await bash(
        caller,
        [
          ...asking,
          `curl -sS 'https://${api}/v1/x?../../' 'https://${api}/v1/a..b/'`,
          `curl -sS -d abc 'https://${api}/exact'`,
          `curl -sS -o /dev/null -w '%{http_code}' -d abc 'https://${api}/exact/more'`,
          // By TLS only, and by its own rule.
          `curl -sS -o /dev/null -w ' %{http_code}' 'http://${web}/v1/x'`,
        ].join('\n'),
        {
          allow: [api, web, `127.0.0.1:${secure}`, `127.0.0.1:${plain}`],
          inspect: true,
          requests: [`GET https://${api}/v1/*`, `POST https://${api}/exact`, `* https://${web}`],
          authorities,
        },
      )
      assert.equal(stdout, `${'403 '.repeat(refused.length)}undefined 0\nundefined 0\nundefined 3\n403 403`, stderr)
      assert.deepEqual(
        seen.map(({ method, url }) => `${method} ${url}`),
        ['GET /v1/x?../../', 'GET /v1/a..b/', 'POST /exact'],
      )
      const [first] = requests
      assert.deepEqual([first!.verdict, first!.reason], ['refused', 'no rule allows the request'])
    })

    test('say the host that the connection was made to, as server name and as Host', async (t) => {
      const { seen, secure, authorities } = await secureServer(t)
      const api = `api.example.com:${secure}`
      const raw = (name: string, text: string) => `
import socket, ssl
context = ssl.create_default_context()
context.check_hostname = False
s = context.wrap_socket(socket.create_connection(('api.example.com', ${secure})), server_hostname=${name})
s.sendall(${JSON.stringify(text)}.encode())
said = b''
while True:
    more = s.recv(4096)
    if not more: break
    said += more
print(said.decode().split('\\r\\n')[0])`
      const request = (host: string, target = '/') => `GET ${target} HTTP/1.1\r\n${host}connection: close\r\n\r\n`
      const tries = [
        raw("'API.example.com'", request(`Host: API.example.com.:${secure}\r\n`)),
        raw('None', request(`Host: ${api}\r\n`)),
        raw('None', request(`Host: x\r\n`, `https://${api}/whole`)),
        raw("'other.example.com'", request(`Host: ${api}\r\n`)),
        raw("'api.example.com'", request(`Host: other.example.com:${secure}\r\n`)),
        raw("'api.example.com'", request('Host: api.example.com\r\n')),
        raw("'api.example.com'", request(`Host: ${api}\r\nHost: other\r\n`)),
        raw("'api.example.com'", request(`Host: ${api}\r\n`, `http://other.example.com/`)),
        raw(
          "'api.example.com'",
          `POST / HTTP/1.1\r\nHost: ${api}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
        ),
      ]
      const script = tries.map((one) => `python3 - 2>&1 <<'END' | tail -1\n${one}\nEND`).join('\n')
      const { stdout } = await bash(caller, script, {
        allow: [api, `127.0.0.1:${secure}`],
        inspect: [api],
        authorities,
      })
      const [fine, misdirected] = [
        'HTTP/1.1 200 OK',
        'HTTP/1.1 421 Refused: the Host header names another than the connection was made to',
      ]
      const lines = stdout.trim().split('\n')
      assert.match(lines[3]!, /alert|ssl|EOF|reset/i)
      assert.deepEqual(
        lines.filter((_, index) => index !== 3),
        [fine, fine, fine, misdirected, misdirected, misdirected, misdirected, 'HTTP/1.1 400 Bad Request'],
      )
      assert.deepEqual(
        seen.map(({ url, host }) => [url, host]),
        ['/', '/', '/whole'].map((url) => [url, api]),
      )
    })

    test('go nowhere where the server outside is not who it should be, and no secret with them', async (t) => {
      const { seen, secure, authorities } = await secureServer(t)
      const [api, other] = [`api.example.com:${secure}`, `other.example.com:${secure}`]
      const how = {
        allow: [api, other, `127.0.0.1:${secure}`],
        inspect: true as const,
        secrets: [{ env: 'KEY', value, for: other }],
      }
      const script = (host: string) => `curl -sS -i -H "authorization: $KEY" https://${host}/ | head -1`
      // Of an authority that nobody outside trusts; and of one, but for another name.
      const unknown = await bash(caller, script(api), how)
      assert.match(
        unknown.stdout,
        /^HTTP\/1\.1 502 (?:UNABLE_TO_VERIFY_LEAF_SIGNATURE|unable to|self)/i,
        unknown.stderr,
      )
      const env = { NODE_TLS_REJECT_UNAUTHORIZED: '0' }
      const named = await bash(caller, script(other), { ...how, authorities }, {}, env)
      assert.match(named.stdout, /^HTTP\/1\.1 502 .*ALTNAME/i, named.stderr)
      assert.deepEqual(seen, [])
      assert.equal(named.requests[0]!.verdict, 'failed')
    })

    test('are read on every way: a tunnel of the proxy, a whole address, SOCKS; TLS that is not to be opened is not handed on', async (t) => {
      const { seen, secure, plain, authorities } = await secureServer(t)
      const [api, web, bare] = [`api.example.com:${secure}`, `web.example.com:${plain}`, `api.example.com:${plain}`]
      const { stdout, stderr } = await bash(
        caller,
        `for way in http://127.0.0.1:3128 socks5h://127.0.0.1:3128; do
           curl -sS -x $way -H "authorization: $KEY" https://${api}/a/1
           curl -sS -x $way -o /dev/null -w '%{http_code}\n' https://${api}/b
           curl -sS -x $way -H "authorization: $WEB" http://${web}/a/2
           curl -sS -x $way -o /dev/null -w '%{http_code}\n' http://${web}/b
         done
         curl -sS --noproxy '*' https://${bare}/ 2>&1 | grep -o 'curl: .[0-9]*.'`,
        {
          allow: [api, web, bare, `127.0.0.1:${secure}`, `127.0.0.1:${plain}`],
          proxy: 3128,
          inspect: [api],
          secrets: [
            { env: 'KEY', value, for: api },
            { env: 'WEB', value, for: web },
            { env: 'BARE', value, for: bare },
          ],
          requests: [`GET https://${api}/a/*`, `GET http://${web}/a/*`],
          authorities,
        },
      )
      assert.equal(stdout, `${`${value} 0\n403\n`.repeat(4)}curl: (35)\n`, stderr)
      assert.deepEqual(
        seen.map(({ url }) => url),
        ['/a/1', '/a/2', '/a/1', '/a/2'],
      )
    })

    test('may ask for WebSocket; a wish for HTTP/2 is left unheard, with the request whole', async (t) => {
      const { seen, secure, plain, authorities } = await secureServer(t)
      const [api, web] = [`api.example.com:${secure}`, `web.example.com:${plain}`]
      const client = `
import os, socket, ssl
s = ssl.create_default_context().wrap_socket(socket.create_connection(('api.example.com', ${secure})), server_hostname='api.example.com')
def ask(path):
    s.sendall(('GET %s HTTP/1.1\\r\\nHost: ${api}\\r\\nConnection: keep-alive, Upgrade\\r\\nUpgrade: websocket\\r\\nAuthorization: %s\\r\\n\\r\\nfirst' % (path, os.environ['KEY'])).encode())
ask('/ws')
said = b''
while not said.endswith(b'first'): said += s.recv(4096)
print(said.decode().split('\\r\\n')[0])
for n in range(3):
    s.sendall(b'x' * 100000)
    got = 0
    while got < 100000: got += len(s.recv(65536))
print(got)`
      const { stdout, stderr } = await bash(
        caller,
        `python3 - <<'END'
${client}
END
         curl -sS --http2 -d some=thing http://${web}/h2c
         curl -sS --http2 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -o /dev/null -w '%{http_code}\n' http://${web}/none`,
        {
          allow: [api, web, `127.0.0.1:${secure}`, `127.0.0.1:${plain}`],
          inspect: true,
          secrets: [{ env: 'KEY', value, for: api }],
          requests: [`* http://${web}/h2c`],
          authorities,
        },
      )
      assert.equal(stdout, 'HTTP/1.1 101 Switching Protocols\n100000\nundefined 10\n403\n', stderr)
      assert.deepEqual(
        seen.map(({ method, url, authorization }) => [method, url, authorization]),
        [
          ['GET', '/ws', value],
          ['POST', '/h2c', undefined],
        ],
      )
    })

    test('are those of programs that know nothing of it, each with its own idea of whom to trust', async (t) => {
      const { seen, secure, authorities } = await secureServer(t)
      const api = `api.example.com:${secure}`
      const clients = {
        curl: `curl -sS https://${api}/curl`,
        wget: `wget -q -O - https://${api}/wget`,
        python3: `python3 -c "import urllib.request as u; print(u.urlopen('https://${api}/python3').read())"`,
        node: `node -e "fetch('https://${api}/node').then((a) => a.text()).then(console.log)"`,
        git: `git ls-remote https://${api}/git`,
      }
      const there = Object.entries(clients).filter(([name]) => notInstalled(name) === false)
      for (const policy of [{}, { filesystem: [{ bind: '/' }] }] as Policy[]) {
        const { stderr } = await bash(
          caller,
          there.map(([, script]) => script).join('\n'),
          { allow: [api, `127.0.0.1:${secure}`], inspect: true, authorities },
          policy,
        )
        assert.deepEqual(
          seen.splice(0).map(({ url }) => url!.split(/[/?]/)[1]),
          there.map(([name]) => name),
          stderr,
        )
      }
    })

    test('of a secret that the policy does not have use that of the caller, which has to be there', async (t) => {
      const { seen, plain } = await secureServer(t)
      const web = `web.example.com:${plain}`
      const script = `curl -sS -H "authorization: $KEY" http://${web}/; echo "$KEY"`
      const how = { allow: [web, `127.0.0.1:${plain}`], secrets: [{ env: 'KEY', for: web }] }
      // The caller's own variable would win over nothing: it is not handed on.
      const { stdout } = await bash(caller, script, how, { env: { inherit: true } }, { KEY: value })
      assert.equal(stdout, `${value} 0\nvial-secret-KEY\n`)
      assert.equal(seen.length, 1)
      await assert.rejects(bash(caller, script, how), /the secret KEY has no value: the variable is not set here/)
      await assert.rejects(bash(caller, script, how, {}, { KEY: 'a\nb' }), /a line break, or nothing/)
    })

    test('end with the rule that let them begin', async (t) => {
      const { secure, authorities } = await secureServer(t)
      const api = `api.example.com:${secure}`
      const said = await evaluate(
        caller,
        async ({ sandbox }, { api, secure, authorities }) => {
          const box = await sandbox({
            preset: 'system',
            network: {
              allow: [api, `127.0.0.1:${secure}`],
              inspect: true,
              authorities,
              resolve: async () => ['127.0.0.1'],
            },
          }).open()
          const program = `
import http.client, ssl
c = http.client.HTTPSConnection('api.example.com', ${secure})
def ask():
    try:
        c.request('GET', '/')
        return c.getresponse().read()
    except Exception as error: return type(error).__name__
print(ask(), flush=True)
input()
print(ask() != b'undefined 0\\n', flush=True)`
          const running = await box.spawn('python3', ['-c', program])
          let text = ''
          running.stdout!.on('data', (part) => {
            text += part
          })
          while (!text.includes('\n')) await new Promise((resolve) => setTimeout(resolve, 5))
          await box.network!.deny([api])
          running.stdin!.write('\n')
          await running.result
          await box.close()
          return text
        },
        { api, secure, authorities },
      )
      assert.equal(said, "b'undefined 0\\n'\nTrue\n")
    })
  })
