/** The streams of `vial run` are the caller's own, and stay as the caller has them. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { constants } from 'node:fs'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { callers, workDirectory } from '../support/user.js'

const main = new URL('../../src/cli/main.cjs', import.meta.url).pathname
/** A reader that takes the first byte, and lets the pipe fill before it counts the rest. */
const slowly = '{ dd bs=1 count=1 of=/dev/null status=none; sleep 0.2; wc -c; }'

for (const caller of callers) {
  /** A script in which $vial is the command. */
  const shell = (script: string) => {
    const home = workDirectory(caller, 'home')
    const ids = process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}
    const env = { PATH: process.env.PATH, HOME: home }
    const vial = `vial() { "${process.execPath}" "${main}" "$@"; }\n`
    return spawnSync('sh', ['-c', vial + script], { encoding: 'utf8', cwd: home, env, timeout: 60_000, ...ids })
  }

  describe(`the streams of the command by ${caller.name}`, () => {
    // The first run compiles, the second finds its vial.
    for (const turn of ['compiled', 'remembered'])
      test(`lose nothing where the reader of a pipe is slow, ${turn}`, () => {
        const { stdout, stderr } = shell(`vial run -- head -c 3000000 /dev/zero | ${slowly}`)
        assert.deepEqual([stdout, stderr], ['2999999\n', ''])
      })

    test('lose nothing in a command substitution', () => {
      const { stdout, stderr } = shell('text=$(vial run -- seq 200000); echo "$text" | wc -l')
      assert.deepEqual([stdout, stderr], ['200000\n', ''])
    })

    test('lose nothing on standard error, of which the command has a word to say', () => {
      const { stdout } = shell(
        `vial run --verdict -- sh -c 'head -c 3000000 /dev/zero >&2; exit 3' 2>&1 >/dev/null | ${slowly}`,
      )
      assert.equal(stdout, `${2999999 + 'vial: exit: 3\n'.length}\n`)
    })

    test('of other programs in the pipeline stay blocking', () => {
      const { stdout } = shell(`rm -f up go
{
  vial run --rw . --output 1M -- sh -c 'echo inside; : >up; until [ -e go ]; do sleep 0.05; done' &
  until [ -e up ] || ! kill -0 $!; do sleep 0.05; done
  sed -n 's/^flags:[[:space:]]*//p' /proc/self/fdinfo/1
  : >go; wait
} | sort -r; rm up go`)
      const [inside, flags] = stdout.split('\n')
      assert.equal(inside, 'inside')
      assert.equal(Number.parseInt(flags!, 8) & constants.O_NONBLOCK, 0, flags)
    })

    test('that are limited can be opened by name', () => {
      const { stdout, stderr } = shell(
        "echo in | vial run --output 1M -- sh -c 'cat /dev/stdin; echo out >/dev/stdout; echo err >/dev/stderr'",
      )
      assert.deepEqual([stdout, stderr], ['in\nout\n', 'err\n'])
    })

    test('that are limited are handed on whole, to a pipe and to a file', () => {
      const line = 'vial run --output 4M -- head -c 3000000 /dev/zero'
      assert.equal(shell(`${line} | ${slowly}`).stdout, '2999999\n')
      assert.equal(shell(`echo before >limited; ${line} >>limited; wc -c <limited; rm limited`).stdout, '3000007\n')
    })

    test('that end early end the payload', () => {
      const { stdout, status } = shell(
        'vial run -- yes | head -n 1; vial run --output 1G -- yes | head -n 1; vial explain | true',
      )
      assert.deepEqual([stdout, status], ['y\ny\n', 0])
    })

    test("of a program that uses Node's streams are no trouble to what inherits them", async () => {
      const seen = await evaluate(
        caller,
        async (_, slowly) => {
          const { execFileSync } = await import('node:child_process')
          const { fileURLToPath } = await import('node:url')
          const library = fileURLToPath(import.meta.resolve(process.env.VIAL_LIBRARY!))
          const script = `import { sandbox } from ${JSON.stringify(library)}
const one = sandbox({ preset: 'system' }).spawn('head', ['-c', '3000000', '/dev/zero'], { stdio: ['ignore', 'inherit', 'inherit'] })
process.stdout.on('error', () => {})
await one.result`
          return execFileSync('sh', ['-c', `"$0" --input-type=module -e "$1" | ${slowly}`, process.execPath, script], {
            encoding: 'utf8',
          })
        },
        slowly,
        { env: { VIAL_LIBRARY: new URL('../../src/index.js', import.meta.url).href } },
      )
      assert.equal(seen, '2999999\n')
    })
  })
}
