/** Flatpak with our bwrap: a tiny runtime and app, made here and installed for one user, run without a network. */
import assert from 'node:assert/strict'
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { frontPath } from '../../src/bwrap/frontFile.js'
import { type Ending, runProgram } from './tools.js'

/** The system's bus refuses a user without a name: this is the ordinary user that every Debian has. */
const nobody = { name: 'nobody', uid: 65534, gid: 65534 }

/** The host's programs and their libraries as a runtime; an app that is a script. */
const build = `set -e
for program in sh cat id grep; do
  cp "$(readlink -f /usr/bin/$program)" runtime/usr/bin/$program
  for library in $(ldd /usr/bin/$program | grep -o '/[^ ]*'); do
    case $library in
      *ld-linux*) mkdir -p "runtime/usr/$(basename "$(dirname "$library")")"; cp -L "$library" "runtime/usr/$(basename "$(dirname "$library")")" ;;
      *) cp -L "$library" runtime/usr/lib ;;
    esac
  done
done
for kind in Runtime Application; do
  case $kind in Runtime) directory=runtime id=org.vial.Platform ;; *) directory=app id=org.vial.App ;; esac
  machine=$(flatpak --default-arch)
  printf '[%s]\\nname=%s\\nruntime=org.vial.Platform/%s/1\\nsdk=org.vial.Platform/%s/1\\ncommand=hello\\n' $kind $id $machine $machine > $directory/metadata
done
printf '#!/bin/sh\\necho inside; id -u; grep ^name /.flatpak-info; grep Seccomp: /proc/self/status; exit 6\\n' > app/files/bin/hello
chmod 755 app/files/bin/hello
ostree init --repo=repo --mode=archive
flatpak build-export --runtime repo runtime 1
flatpak build-export repo app 1
flatpak --user remote-add --no-gpg-verify local "file://$PWD/repo"
flatpak --user install -y --noninteractive local org.vial.Platform//1
flatpak --user install -y --noninteractive local org.vial.App//1`

const missing = ['flatpak', 'ostree', 'dbus-run-session'].filter((name) => !existsSync(`/usr/bin/${name}`))
const skip =
  process.getuid?.() !== 0
    ? 'needs root to become another user'
    : missing.length > 0 && `not installed: ${missing.join(', ')}`

suite('flatpak', { skip }, () => {
  test('an app runs, with our bwrap as with its own', async () => {
    const cwd = mkdtempSync(join(tmpdir(), 'vial-flatpak-'))
    try {
      const directories = [
        '.',
        'home',
        'run',
        'runtime',
        'runtime/files',
        'runtime/usr',
        'runtime/usr/bin',
        'runtime/usr/lib',
        'app',
        'app/export',
        'app/files',
        'app/files/bin',
      ]
      for (const name of directories) {
        mkdirSync(join(cwd, name), { recursive: true, mode: name === 'run' ? 0o700 : 0o755 })
        chownSync(join(cwd, name), nobody.uid, nobody.gid)
      }
      const bwrap = join(cwd, 'bwrap')
      writeFileSync(bwrap, `#!/bin/sh\necho called >> ${cwd}/run/calls\nexec ${frontPath} "$@"\n`, {
        mode: 0o755,
      })
      const home = join(cwd, 'home')
      const env = {
        PATH: '/usr/bin:/bin',
        HOME: home,
        XDG_DATA_HOME: join(home, '.local/share'),
        XDG_RUNTIME_DIR: join(cwd, 'run'),
      }
      // Flatpak asks the system's bus about parental controls; one of the session's own answers that there are none.
      const onBus = (script: string, more: Record<string, string> = {}): Promise<Ending> =>
        runProgram(
          nobody,
          '/usr/bin/dbus-run-session',
          ['--', 'sh', '-c', `export DBUS_SYSTEM_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS\n${script}`],
          { cwd, env: { ...env, ...more } },
        )
      const built = await onBus(build)
      assert.equal(built.status, 0, built.stderr)
      const run = 'exec flatpak --user run --branch=1 org.vial.App'
      const [own, ours] = [await onBus(run), await onBus(run, { FLATPAK_BWRAP: bwrap })]
      assert.deepEqual([own.status, own.stdout], [6, 'inside\n65534\nname=org.vial.App\nSeccomp:\t2\n'], own.stderr)
      assert.deepEqual([ours.status, ours.stdout], [own.status, own.stdout], ours.stderr)
      assert.ok(existsSync(join(cwd, 'run/calls')), 'flatpak called another bwrap')
    } finally {
      rmSync(cwd, { recursive: true, force: true })
    }
  })
})
