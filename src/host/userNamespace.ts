/** Why this caller may make no user namespace: what the kernel and Debian's and Ubuntu's settings ask for is looked at here. */
import { existsSync } from 'node:fs'
import { byRoot, hasCapability, textOf } from '../cgroup/privilege.js'
import { limitOf } from '../kernel/namespaces.js'
import { type Repair, together } from '../text/repair.js'
import { setting, sysctl } from './sysctl.js'

/** One for each thing that is known to forbid it and is so here, the first to be looked at first. */
function causes(): Repair[] {
  const forbidding = (name: string, value: string, good: number) =>
    sysctl(name) === value ? [setting(name, good)] : []
  const found = forbidding(limitOf('user'), '0', 15000)
  // Debian's patch, and AppArmor's, ask for this capability instead.
  if (!hasCapability('CAP_SYS_ADMIN'))
    found.push(
      ...forbidding('kernel.unprivileged_userns_clone', '0', 1),
      // https://gitlab.com/apparmor/apparmor/-/wikis/unprivileged_userns_restriction
      ...forbidding('kernel.apparmor_restrict_unprivileged_userns', '1', 0),
    )
  // verify_root_map() in kernel/user_namespace.c, since Linux 5.12.
  if (process.geteuid!() === 0 && !hasCapability('CAP_SETFCAP'))
    found.push({
      repair:
        'this root lacks CAP_SETFCAP, without which its user id cannot be mapped: start what is around it with that capability (docker run --cap-add SETFCAP; CapabilityBoundingSet= of a unit), or run vial as an ordinary user',
      ...(hasCapability('CAP_SYS_ADMIN') ? { further: 'or, without a user namespace: vial run --root' } : {}),
    })
  const mounts = textOf('/proc/self/mountinfo')
  // The root of a chroot is seldom a mount: proc_pid_mountinfo(5) has then none at /. create_user_ns() asks current_chrooted().
  if (mounts !== '' && !/^(?:\S+ ){4}\/ /m.test(mounts))
    found.push({
      repair:
        'this process is in a chroot, in which the kernel makes no user namespace: enter that directory by pivot_root(2), as bwrap and systemd-nspawn do',
    })
  return found
}

/** What to do where a user namespace is refused. */
export function userNamespaceRepair(): Repair {
  const found = causes()
  if (found.length > 0) return together(found)
  if (/^Seccomp:\s*2/m.test(textOf('/proc/self/status')))
    return {
      repair:
        'the container around this process forbids it: start that with docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined',
    }
  if (existsSync('/sys/fs/selinux/enforce'))
    return { repair: byRoot('sudo setsebool -P selinuxuser_use_userns 1', 'kernel') }
  return { repair: 'no setting that vial knows of forbids it here: a kernel with CONFIG_USER_NS, and no chroot' }
}

/** The same for an error; undefined: nothing that is known explains it. */
export function whyNoUserNamespace(error: string | undefined): string | undefined {
  if (error !== 'EPERM' && error !== 'EACCES' && error !== 'ENOSPC') return undefined
  const found = causes()
  if (found.length === 0) return undefined
  const { repair, further } = together(found)
  return further === undefined ? repair : `${repair}\n      ${further}`
}
