/** `vial doctor`. */
import { readFileSync } from 'node:fs'
import { release, userInfo } from 'node:os'
import { probeAll, type Probe } from '../run/probe.js'

export function doctor(flags: { json?: boolean }): void {
  const findings = [...probeAll(), subids('/etc/subuid'), subids('/etc/subgid'), cgroups(), seccomp()]
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ kernel: release(), findings }, null, 2)}\n`)
    return
  }
  process.stdout.write(`Linux ${release()}, as ${userInfo().username}\n`)
  for (const finding of findings) {
    process.stdout.write(
      `${finding.works ? 'yes' : 'no '}  ${finding.name}${finding.error === undefined ? '' : `: ${finding.error}`}\n`,
    )
    if (finding.remedy !== undefined) process.stdout.write(`       repair: ${finding.remedy}\n`)
  }
}

const read = (path: string) => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function subids(path: string): Probe {
  const { username, uid } = userInfo()
  const has = read(path)
    .split('\n')
    .some((line) => line.startsWith(`${username}:`) || line.startsWith(`${uid}:`))
  const name = `a range in ${path}`
  return has
    ? { name, works: true }
    : { name, works: false, remedy: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}` }
}

function cgroups(): Probe {
  const mounts = read('/proc/self/mounts')
  if (/^\S+ \/sys\/fs\/cgroup cgroup2 /m.test(mounts)) return { name: 'cgroup v2', works: true }
  const name = 'cgroup v2'
  const v1 = / cgroup /m.test(mounts)
  return { name, works: false, error: v1 ? 'this host has cgroup v1' : 'no cgroups are mounted' }
}

function seccomp(): Probe {
  const works = /^Seccomp:/m.test(read('/proc/self/status'))
  return works ? { name: 'seccomp', works } : { name: 'seccomp', works, remedy: 'a kernel with CONFIG_SECCOMP_FILTER' }
}
