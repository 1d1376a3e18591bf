/** What the command read before a run it does not read again after it: the payload may have put anything in its place. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { callers, workDirectory } from '../support/user.js'

const main = resolve(fileURLToPath(import.meta.url), '../../../src/cli/main.cjs')
const secret = 'a-secret-of-the-callers'
const system = '{ "preset": "system" }'

for (const caller of callers) {
  const own = (path: string) => process.getuid?.() === 0 && chownSync(path, caller.uid, caller.gid)
  let scenes = 0
  const scene = () => {
    const directory = workDirectory(caller, `reread-${scenes}`)
    const outside = join(workDirectory(caller, `reread-${scenes++}-outside`), 'secret')
    const put = (name: string, text: string, mode = 0o600) => {
      writeFileSync(join(directory, name), text)
      chmodSync(join(directory, name), mode)
      own(join(directory, name))
    }
    writeFileSync(outside, secret, { mode: 0o600 })
    own(outside)
    const shell = (line: string, path = '') =>
      spawnSync('bash', ['-c', `vial() { "${process.execPath}" "${main}" "$@"; }; ${line}`], {
        cwd: directory,
        encoding: 'utf8',
        // A command that waits for ever is killed, and then has no status.
        timeout: 30_000,
        killSignal: 'SIGKILL',
        env: { PATH: `${path}${process.env.PATH}`, HOME: directory, VIAL_CACHE: join(outside, '../cache') },
        ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
      })
    return { directory, outside, put, shell }
  }

  /** While the payload runs, the file is exchanged: from outside, for the sandbox's own would be kept from it. */
  const during = (words: string, spoil: string, ending: string) =>
    `(until [ -e ready ]; do sleep 0.02; done; ${spoil}; touch go) &
    vial run ${words} -c 'touch ready; until [ -e go ]; do sleep 0.02; done; ${ending}'; status=$?; touch ready; wait; rm -f ready go; exit $status`

  /** What stands in the file's place when the payload ends. */
  const places = (outside: string) => ({
    'a pipe': (name: string) => `rm ${name}; mkfifo ${name}`,
    nothing: (name: string) => `rm ${name}`,
    'a link': (name: string) => `rm ${name}; ln -s ${outside} ${name}`,
    'other text': (name: string) => `echo ${secret} > ${name}`,
  })

  for (const [file, text, flags] of [
    ['policy.json', system, '--policy policy.json'],
    ['filter.json', '{ "default": "allow", "rules": [] }', '--seccomp filter.json'],
  ] as const) {
    for (const place of Object.keys(places('')) as (keyof ReturnType<typeof places>)[])
      test(`${caller.name}: ${place} in the place of ${file}`, () => {
        const { put, shell, outside } = scene()
        const spoil = places(outside)[place](file)
        const endings = ['exit 7', 'exec /no/such/program', 'cat ./absent.txt']
        // Cold, and then from the cache.
        for (const ending of [...endings, ...endings]) {
          shell(`rm -f ${file}`)
          put(file, text)
          const { status, signal, stderr } = shell(during(`${flags} --rw . -- sh`, spoil, ending))
          assert.equal(signal, null, `${ending}: it waits`)
          assert.equal(status, ending === 'exit 7' ? 7 : ending.startsWith('exec') ? 127 : 1, stderr)
          assert.doesNotMatch(stderr, /policy\.json|filter\.json|a-secret/)
        }
      })
  }

  test(`${caller.name}: the program that fill showed is a pipe afterwards`, () => {
    const { directory, shell } = scene()
    mkdirSync(join(directory, 'bin'))
    copyFileSync('/bin/sh', join(directory, 'bin/mine'))
    for (const path of ['bin', 'bin/mine']) {
      chmodSync(join(directory, path), 0o755)
      own(join(directory, path))
    }
    const words = `--fill bin/mine --fill touch --fill sleep --rw . -- ${directory}/bin/mine`
    const { status, signal, stderr } = shell(during(words, 'rm bin/mine; mkfifo -m 755 bin/mine', 'exit 7'))
    assert.deepEqual([status, signal, stderr], [7, null, ''])
  })

  test(`${caller.name}: a pipe as the version file of a version manager whose shims are on PATH`, () => {
    const { directory, shell } = scene()
    const script = `mkdir -p shims versions; printf '#!/bin/sh\\n' > shims/absent-tool; chmod 755 shims/absent-tool; mkfifo version`
    const { status, signal, stderr } = shell(
      `vial run --rw . -- sh -c "${script.replaceAll('"', '')}"; vial run --rw . -- absent-tool`,
      `${directory}/shims:`,
    )
    assert.deepEqual([status, signal], [127, null], stderr)
  })

  test(`${caller.name}: a policy that can be read only once`, () => {
    const { shell } = scene()
    for (const _ of ['cold', 'from the cache'])
      for (const [line, status] of [
        [`vial run --policy <(echo '${system}') -- sh -c 'exit 3'`, 3],
        [`vial run --policy <(echo '${system}') -- no-such-command`, 127],
        [`vial run --seccomp <(echo '{ "default": "allow", "rules": [] }') -- sh -c 'exit 3'`, 3],
      ] as const) {
        const told = shell(line)
        assert.equal(told.status, status, told.stderr)
        assert.doesNotMatch(told.stderr, /dev\/fd/)
      }
  })
}
