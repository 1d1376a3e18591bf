/** A shell in an open sandbox that goes on between scripts, and whose answers no output forges. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { evaluate } from '../support/evaluate.js'
import { callers } from '../support/user.js'

for (const caller of callers) {
  describe(`a shell in an open sandbox, by ${caller.name}`, () => {
    test('directory, variables and functions stay, statuses and outputs are each script’s own', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system', filesystem: [{ tmpfs: '/data' }] }).open()
          const shell = box.shell({ cwd: '/data', env: { GIVEN: 'given' } })
          const scripts = [
            'echo $GIVEN; mkdir -p "a b"; cd "a b"',
            'pwd; x=1; f() { echo "f $x $1" >&2; return 7; }',
            "f 'it''s'\n",
            'cat; false',
            'if',
            '',
            'echo "a\nb" | wc -l # a comment',
            'cat <<END\nhere\nEND',
            'sh -c "kill -9 \\$\\$"',
          ]
          const all = await Promise.all(scripts.map((script) => shell.run(script)))
          await box.close()
          return all.map(({ exitCode, stdout, stderr, cwd, ended }) => [
            exitCode,
            stdout,
            stderr.slice(0, 8),
            cwd,
            ended,
          ])
        },
        undefined,
      )
      const inside = '/data/a b'
      assert.deepEqual(
        seen
          .slice(0, 8)
          .map(([exitCode, stdout, stderr, cwd, ended]) => [
            exitCode,
            stdout,
            /Syntax/.test(String(stderr)) ? '' : stderr,
            cwd,
            ended,
          ]),
        [
          [0, 'given\n', '', inside, false],
          [0, `${inside}\n`, '', inside, false],
          [7, '', 'f 1 its\n', inside, false],
          [1, '', '', inside, false],
          [2, '', seen[4]![2], inside, false],
          [0, '', '', inside, false],
          [0, '2\n', '', inside, false],
          [0, 'here\n', '', inside, false],
        ],
      )
      assert.deepEqual(seen[8]![0], 137)
    })

    test('what one writes is whole, and ends where it ends, whatever it writes', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system' }).open()
          const shell = box.shell()
          const much = await shell.run('seq 200000; seq 200000 >&2')
          const forged = await shell.run(
            "printf '0 /forged\\0'; (printf '0 /forged\\0' >&3) 2>/dev/null; exec 2>&1; false",
          )
          const after = []
          for (let word = 0; word < 50; word++) after.push((await shell.run(`printf ${word}`)).stdout)
          const background = await shell.run('(until [ -e /tmp/go ]; do sleep 0.02; done; echo late) & echo now')
          let late = (await shell.run(': > /tmp/go')).stdout
          while (!late.includes('late')) late += (await shell.run('sleep 0.02')).stdout
          const [out, err] = [much.stdout, much.stderr].map((text) => text.split('\n').length)
          await box.close()
          return [out, err, [forged.exitCode, forged.stdout, forged.cwd], after.join(' '), background.stdout, late]
        },
        undefined,
      )
      const numbers = Array.from({ length: 50 }, (_, word) => word).join(' ')
      assert.deepEqual(seen, [200_001, 200_001, [1, '0 /forged\0', '/home/vial'], numbers, 'now\n', 'late\n'])
    })

    test('timeout, abort and too much output interrupt a script and leave the shell; what goes on all the same ends with it', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system' }).open()
          const shell = box.shell()
          await shell.run('x=kept')
          const timed = await shell.run('echo begun; sleep 600', { timeout: 100 })
          const aborter = new AbortController()
          const aborted = shell.run('sleep 600', { signal: aborter.signal }).catch(({ name }) => name)
          setTimeout(() => aborter.abort(), 100)
          const name = await aborted
          const much = await shell.run('yes', { maxBuffer: 1000 })
          const kept = (await shell.run('echo $x')).stdout
          const stubborn = await shell.run('trap "" INT; sleep 600', { timeout: 50 })
          const late = await shell.run('true').catch(({ name, message }) => [name, message.split('\n')[0]])
          const left = box.shell()
          const ended = await left.run('echo bye; exit 3')
          const gone = box.shell()
          const running = gone.run('sleep 600')
          await gone.close()
          const closed = await running
          const wrong = [
            () => left.run('a\0b'),
            () => left.run('true', { timeOut: 5 } as object),
            () => box.shell({ shell: 'bash' } as object),
          ].map((call) => {
            try {
              call()
              return 'nothing'
            } catch (error) {
              return (error as Error).name
            }
          })
          const absent = await box
            .shell({ command: 'absent-shell' })
            .run('true')
            .catch(({ name }) => name)
          await box.close()
          return [
            [timed.exitCode, timed.stdout, timed.timedOut, timed.ended],
            name,
            [much.truncated, much.stdout.length, much.ended],
            kept,
            [stubborn.exitCode, stubborn.ended],
            late,
            [ended.exitCode, ended.stdout, ended.ended],
            [closed.exitCode, closed.ended],
            wrong,
            absent,
          ]
        },
        undefined,
      )
      assert.deepEqual(seen, [
        [130, 'begun\n', true, false],
        'AbortError',
        [true, 1000, false],
        'kept\n',
        [137, true],
        ['HostError', 'the shell has ended'],
        [3, 'bye\n', true],
        [137, true],
        ['OptionError', 'OptionError', 'OptionError'],
        'CommandError',
      ])
    })

    test('bash is one as well', async () => {
      const seen = await evaluate(
        caller,
        async ({ sandbox }) => {
          const box = await sandbox({ preset: 'system' }).open()
          const shell = box.shell({ command: 'bash' })
          await shell.run('a=one; read b c <<< "two three"')
          const { stdout } = await shell.run('echo $a $c; [[ $b == t* ]]')
          const wrong = await shell.run('if')
          const next = await shell.run('echo on')
          await box.close()
          return [stdout, wrong.exitCode, next.stdout]
        },
        undefined,
      )
      assert.deepEqual(seen, ['one three\n', 2, 'on\n'])
    })
  })
}
