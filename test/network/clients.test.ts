/**
 * Clients that know nothing of vial, in a sandbox whose policy lists their server: each gets what it wants there, and says in its own words that there is
 * no such host, or no such port, where it asks for another. The servers are this machine's.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { notInstalled } from '../support/needs.js'
import type { ServerName } from '../support/network/clientServers.js'
import { postgresPrograms } from '../support/postgres.js'
import { callers } from '../support/user.js'

interface Row {
  readonly name: string
  readonly needs: readonly string[]
  readonly server: ServerName
  readonly udp?: true
  /** In bash, where `$1` is the host and `$2` its port. */
  readonly script: string
  readonly says: string
  /** What is said, as output or as error, of a name that is not listed, and of a port. */
  readonly noHost: RegExp
  readonly noPort: RegExp
}

/** A heredoc for a program that reads its source from a file. */
const source = (name: string, text: string, run: string) => `cat > ${name} <<'END'\n${text}\nEND\n${run} "$1" "$2"`
const python = (text: string) => source('client.py', text, 'python3 client.py')
const node = (text: string, flags = '') => source('client.mjs', text, `node ${flags} client.mjs`)
const [gaiOrNone, refused] = [/Name or service not known|ENOTFOUND|gaierror/, /refused|ECONNREFUSED|Errno 111/]

const rows: readonly Row[] = [
  {
    ...{ name: 'curl', needs: ['curl'], server: 'text', says: 'here' },
    script: 'curl -sS "http://$1:$2/text.txt"',
    ...{ noHost: /Could not resolve host: other\.example\.com/, noPort: /Failed to connect|Couldn't connect/ },
  },
  {
    ...{ name: 'wget', needs: ['wget'], server: 'text', says: 'here' },
    script: 'wget -nv --tries=1 -O - "http://$1:$2/text.txt"',
    ...{ noHost: /unable to resolve host address .other\.example\.com/, noPort: refused },
  },
  {
    ...{ name: 'git clone', needs: ['git'], server: 'git', says: 'here' },
    script: 'git clone -q "http://$1:$2/files.git" cloned && cat cloned/file',
    ...{ noHost: /Could not resolve host: other\.example\.com/, noPort: /Failed to connect|Couldn't connect/ },
  },
  {
    ...{ name: "Python's urllib", needs: ['python3'], server: 'text', says: 'here\n' },
    script: python(`
import sys, urllib.request
print(urllib.request.urlopen('http://%s:%s/text.txt' % tuple(sys.argv[1:])).read().decode())`),
    ...{ noHost: gaiOrNone, noPort: refused },
  },
  {
    ...{
      name: "Python's asyncio, ten connections at once",
      needs: ['python3'],
      server: 'text',
      says: `${'here'.repeat(10)}\n`,
    },
    script: python(`
import asyncio, sys
async def one():
    reader, writer = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
    writer.write(b'GET /text.txt HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n')
    return (await reader.read()).decode().split('\\r\\n\\r\\n')[1]
async def all_(): print(''.join(await asyncio.gather(*[one() for _ in range(10)])))
asyncio.run(all_())`),
    ...{ noHost: gaiOrNone, noPort: refused },
  },
  {
    ...{ name: "Node's fetch", needs: ['node'], server: 'text', says: 'here\n' },
    script: node(`
const [host, port] = process.argv.slice(2)
console.log(await (await fetch(\`http://\${host}:\${port}/text.txt\`)).text())`),
    ...{ noHost: gaiOrNone, noPort: refused },
  },
  {
    ...{ name: "HTTP/2, by Node's client, ten streams of one connection", needs: ['node'], server: 'http2' },
    says: `${Array.from({ length: 10 }, (_, index) => `2.0 /${index}`).join()}\n`,
    script: node(`
import { connect } from 'node:http2'
const [host, port] = process.argv.slice(2)
const session = connect(\`http://\${host}:\${port}\`)
session.on('error', (error) => { console.error(error); process.exit(1) })
const ask = async (index) => (await session.request({ ':path': \`/\${index}\` }).setEncoding('utf8').toArray()).join('')
console.log((await Promise.all(Array.from({ length: 10 }, (_, index) => ask(index)))).join())
session.close()`),
    ...{ noHost: gaiOrNone, noPort: refused },
  },
  {
    ...{ name: 'a WebSocket', needs: ['node'], server: 'webSocket', says: 'hello,one,two\n' },
    script: node(
      `
const [host, port] = process.argv.slice(2)
const socket = new WebSocket(\`ws://\${host}:\${port}/\`)
const said = []
socket.onmessage = ({ data }) => {
  said.push(data)
  if (said.length < 3) socket.send(['one', 'two'][said.length - 1])
  else socket.close()
}
socket.onclose = ({ code }) => said.length === 3 ? console.log(said.join()) : process.exit(1)
socket.onerror = ({ error }) => { console.error('failed', error?.cause ?? error); process.exit(1) }`,
      '--experimental-websocket --no-warnings',
    ),
    // What went wrong a WebSocket does not tell its program.
    ...{ noHost: /failed/, noPort: /failed/ },
  },
  {
    ...{ name: 'psql', needs: ['psql'], server: 'postgres', says: '5000050000\n' },
    script:
      'psql -XAtq "postgres://vial@$1:$2/postgres" -c "create temp table t as select generate_series(1, 100000) as n" -c "select sum(n) from t"',
    ...{ noHost: /could not translate host name "other\.example\.com"/, noPort: refused },
  },
  {
    ...{ name: 'redis-cli', needs: ['redis-server', 'redis-cli'], server: 'redis', says: 'OK\nkept\n' },
    script: 'redis-cli -e -h "$1" -p "$2" set key kept && redis-cli -h "$1" -p "$2" get key',
    ...{ noHost: /Could not connect to Redis at other\.example\.com/, noPort: refused },
  },
  {
    ...{
      name: 'a stream both ways at once, as of ssh',
      needs: ['node'],
      server: 'interleaved',
      says: '1000 1000 true\n',
    },
    script: node(`
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
const [host, port] = process.argv.slice(2)
const socket = connect({ host, port: Number(port), noDelay: true })
socket.on('error', (error) => { console.error(error.code); process.exit(1) })
const [theirs, mine] = [[], []]
for await (const line of createInterface(socket)) {
  if (line.startsWith('s')) {
    theirs.push(line)
    socket.write(\`c\${line}\\n\`)
  } else mine.push(line)
  if (mine.length === 1000) break
}
console.log(theirs.length, mine.length, mine.every((line, index) => line === \`cs\${index}\` && theirs[index] === \`s\${index}\`))
socket.destroy()`),
    ...{ noHost: gaiOrNone, noPort: refused },
  },
  {
    ...{ name: 'NTP', needs: ['python3'], server: 'ntp', udp: true, says: 'True\n' },
    script: python(`
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)
s.connect((sys.argv[1], int(sys.argv[2])))
question = bytes([0x23]) + bytes(39) + os.urandom(8)
s.send(question)
answer = s.recv(99)
print(len(answer) == 48 and answer[0] & 7 == 4 and answer[24:32] == question[40:])`),
    ...{ noHost: gaiOrNone, noPort: refused },
  },
  {
    ...{ name: 'apt-get', needs: ['apt-get'], server: 'apt', says: 'here' },
    script: `
mkdir -p etc state/lists/partial cache/archives/partial && touch status
echo "deb [trusted=yes] http://$1:$2/ ./" > etc/sources.list
cat > apt.conf <<END
Dir::State "$PWD/state"; Dir::State::status "$PWD/status"; Dir::Cache "$PWD/cache"; Dir::Etc "$PWD/etc";
Acquire::Retries "0"; APT::Update::Error-Mode "any";
END
export APT_CONFIG=apt.conf
apt-get -q update >&2 && apt-get -q download tiny >&2 && cat tiny_1_all.deb`,
    ...{ noHost: /Could not resolve 'other\.example\.com'/, noPort: /Could not connect|Unable to connect/ },
  },
  {
    ...{ name: 'pip install', needs: ['python3', 'pip3'], server: 'pip', says: 'here\n' },
    script: `
export PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1
pip3 install -q --retries 1 --no-cache-dir --target installed --index-url "http://$1:$2/simple/" --trusted-host "$1" tiny >&2 &&
PYTHONPATH=installed python3 -c 'import tiny; print(tiny.says)'`,
    ...{ noHost: gaiOrNone, noPort: refused },
  },
  {
    ...{ name: 'npm install', needs: ['node', 'npm', 'tar'], server: 'npm', says: 'here\n' },
    script: `
npm install --registry "http://$1:$2/" --fetch-retries 0 --no-audit --no-fund --no-update-notifier tiny >&2 &&
node -e 'console.log(require("tiny"))'`,
    ...{ noHost: gaiOrNone, noPort: refused },
  },
  {
    ...{ name: "PHP's streams", needs: ['php'], server: 'text', says: 'here' },
    script: `php -r 'echo file_get_contents("http://$argv[1]:$argv[2]/text.txt") ?: exit(1);' "$1" "$2"`,
    ...{ noHost: /getaddrinfo for other\.example\.com failed/, noPort: refused },
  },
  {
    ...{ name: "Java's HTTP client", needs: ['javac'], server: 'text', says: 'here\n' },
    script: source(
      'Client.java',
      `
import java.net.URI;
import java.net.http.*;
class Client {
  public static void main(String[] args) throws Exception {
    var request = HttpRequest.newBuilder(URI.create("http://" + args[0] + ":" + args[1] + "/text.txt")).build();
    System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
  }
}`,
      'java Client.java',
    ),
    ...{ noHost: /UnresolvedAddressException/, noPort: /ConnectException/ },
  },
  {
    ...{ name: "gRPC, by Python's client, two calls on one channel", server: 'grpc', says: 'ereh ereht\n' },
    // Of Debian: another python3 may come first.
    needs: ['/usr/bin/python3', '/usr/lib/python3/dist-packages/grpc'],
    script: source(
      'client.py',
      `
import grpc, sys
channel = grpc.insecure_channel('%s:%s' % tuple(sys.argv[1:]))
call = channel.unary_unary('/test.Words/Reverse', request_serializer=str.encode, response_deserializer=bytes.decode)
print(call('here', timeout=20), call('there', timeout=20))`,
      '/usr/bin/python3 client.py',
    ),
    ...{ noHost: /DNS resolution failed/, noPort: /refused/ },
  },
  {
    ...{ name: "Go's HTTP client", needs: ['go'], server: 'text', says: 'here\n' },
    script: source(
      'client.go',
      `
package main
import ("fmt"; "io"; "net/http"; "os")
func main() {
	response, err := http.Get("http://" + os.Args[1] + ":" + os.Args[2] + "/text.txt")
	if err != nil { fmt.Println(err); os.Exit(1) }
	body, _ := io.ReadAll(response.Body)
	fmt.Println(string(body))
}`,
      'CGO_ENABLED=0 go run client.go',
    ),
    ...{ noHost: /no such host/, noPort: refused },
  },
]

const helpers = new URL('../support/network/clientServers.js', import.meta.url).href

const skipOf = ({ needs, server }: Row) =>
  notInstalled(...needs) || (server === 'postgres' && postgresPrograms() === undefined && 'not installed: postgresql')

for (const caller of callers)
  describe(`clients of a network by name, by ${caller.name}`, () => {
    for (const row of rows)
      test(row.name, { skip: skipOf(row) }, async () => {
        const { script, server, udp = false } = row
        const seen = await evaluate(
          caller,
          async (vial, { script, server, udp, helpers }) => {
            const { serve } = (await import(helpers)) as typeof import('../support/network/clientServers.js')
            const { port, close } = await serve(vial, server)
            const places = [`api.example.com:${port}`, `127.0.0.1:${port}`]
            const client = vial.sandbox({
              preset: 'system',
              network: {
                allow: places.map((place) => (udp ? `udp:${place}` : place)),
                resolve: async () => ['127.0.0.1'],
              },
            })
            const run = async (host: string, port: number) => {
              const options = { cwd: '/home/vial' }
              const args = ['-c', script, 'client', host, String(port)]
              const { exitCode, stdout, stderr } = await client.run('bash', args, options)
              return { exitCode, stdout, stderr }
            }
            const listed = await run('api.example.com', port)
            const noHost = await run('other.example.com', port)
            const noPort = await run('api.example.com', 2)
            await close()
            return { listed, noHost, noPort }
          },
          { script, server, udp, helpers },
        )
        const { listed, noHost, noPort } = seen
        assert.deepEqual([listed.exitCode, listed.stdout], [0, row.says], listed.stderr)
        for (const [said, words] of [
          [noHost, row.noHost],
          [noPort, row.noPort],
        ] as const) {
          assert.notEqual(said.exitCode, 0)
          assert.match(said.stdout + said.stderr, words)
        }
      })
  })
