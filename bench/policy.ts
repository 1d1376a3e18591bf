/** The policy of the benches, in each tool's own words: a small system, all namespaces, nothing writable but /tmp. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from '../src/compile/compile.js'
import type { Policy } from '../src/policy/schema.js'
import { work } from './support/directory.js'
import { type Command, exitProgram } from './support/race.js'

export const policy: Policy = {
  filesystem: [
    { bind: '/usr' },
    { symlink: '/bin', to: 'usr/bin' },
    { symlink: '/lib', to: 'usr/lib' },
    { symlink: '/lib64', to: 'usr/lib64' },
    { bind: '/etc/ld.so.cache' },
    { proc: '/proc' },
    { dev: '/dev' },
    { tmpfs: '/tmp' },
  ],
  env: { set: { PATH: '/usr/bin' } },
}
export const withHostsNetwork: Policy = { ...policy, network: 'host' }

/** The same with a static program that only exits: what is measured then is the sandbox, without true's dynamic linker. */
export const exitInside = '/tmp/exit'
export const withExit = (policy: Policy): Policy => ({
  ...policy,
  filesystem: [...(policy.filesystem ?? []), { bind: exitInside, from: exitProgram() }],
})

/** bwrap has no time namespace; else this is the same. */
const bwrapOptions =
  '--unshare-all --hostname vial --die-with-parent --new-session --clearenv --setenv PATH /usr/bin ' +
  '--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 ' +
  '--ro-bind /etc/ld.so.cache /etc/ld.so.cache --proc /proc --dev /dev --tmpfs /tmp --remount-ro / --chdir /'
export const bwrap: Command = ['bwrap', ...bwrapOptions.split(' ')]
export const bwrapWithHostsNetwork: Command = [...bwrap, '--share-net']
export const bwrapWithExit = (bwrap: Command): Command => [...bwrap, '--ro-bind', exitProgram(), exitInside]

/** Writes the vial of a policy to the work directory. */
export function vial(policy: Policy, name: string): string {
  const path = join(work, name)
  writeFileSync(path, compile(policy).bytes)
  chmodSync(path, 0o500)
  return path
}
