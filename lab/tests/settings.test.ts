/** Settings that forbid an ordinary user namespaces: the error of `vial run`, and doctor's sentence. Only in a guest. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ordinary, vial } from '../../test/support/user.js'

/** Sets it for one test. */
function set(t: TestContext, name: string, value: string): boolean {
  const file = join('/proc/sys', ...name.split('.'))
  if (!existsSync(file)) {
    t.skip(`this kernel has no ${name}`)
    return false
  }
  const before = readFileSync(file, 'utf8')
  writeFileSync(file, value)
  t.after(() => writeFileSync(file, before))
  return true
}

const cases = [
  {
    name: 'user.max_user_namespaces',
    value: '0',
    says: /No space left on device/,
    repair: 'user.max_user_namespaces=15000',
  },
  {
    name: 'kernel.unprivileged_userns_clone',
    value: '0',
    says: /Operation not permitted/,
    repair: 'kernel.unprivileged_userns_clone=1',
  },
  {
    name: 'kernel.apparmor_restrict_unprivileged_userns',
    value: '1',
    says: /Permission denied|Operation not permitted/,
    repair: 'kernel.apparmor_restrict_unprivileged_userns=0',
  },
]

for (const { name, value, says, repair } of cases)
  test(`${name.includes('apparmor') ? 'AppArmor: ' : ''}${name}=${value}`, (t) => {
    if (!set(t, name, value)) return
    const { status, stderr } = vial(ordinary, ['run', '--', 'true'])
    assert.equal(status, 125, stderr)
    assert.match(stderr.split('\n')[0]!, says)
    const doctor = vial(ordinary, ['doctor'])
    assert.equal(doctor.status, 1)
    assert.match(doctor.stdout, /^no {3}vial run/m)
    assert.match(doctor.stdout, new RegExp(`repair: (?:sudo |as root: )sysctl -w ${repair}\n`))
  })
