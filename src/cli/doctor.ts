/** `vial doctor`. */
import { readFileSync } from 'node:fs'
import { release, userInfo } from 'node:os'
import { findWay } from '../cgroup/find.js'
import { groupLimits } from '../policy/limits.js'
import { probeAll, type Probe } from '../run/probe.js'

export function doctor(flags: { json?: boolean }): void {
  const findings = [...probeAll(), subids('/etc/subuid'), subids('/etc/subgid'), ...cgroups(), seccomp()]
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

/** For each thing that a cgroup limits: the way to one, or what is missing and what grants it. */
function cgroups(): Probe[] {
  return groupLimits.map((limit) => {
    const name = `limits.${limit}`
    const found = findWay([limit])
    if ('missing' in found) return { name, works: false, error: found.missing, remedy: found.remedy }
    return { name: `${name} (${found.name}, in ${found.bases[0]})`, works: true }
  })
}

function seccomp(): Probe {
  const works = /^Seccomp:/m.test(read('/proc/self/status'))
  return works ? { name: 'seccomp', works } : { name: 'seccomp', works, remedy: 'a kernel with CONFIG_SECCOMP_FILTER' }
}
