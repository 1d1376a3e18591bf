/** What a guest is at, for a job that hangs: its processes with where each waits, and its groups with what is frozen. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const read = (path: string) => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** One line for each process, without the kernel's own threads, and with each thread that waits elsewhere: proc(5). */
function processes(): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.flatMap((pid) => {
    const words = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim()
    const status = read(`/proc/${pid}/status`)
    const of = (key: string) => new RegExp(`^${key}:\\s+(.*)`, 'm').exec(status)?.[1] ?? '?'
    // A zombie has no words, and neither has a thread of the kernel's: only one has a parent other than kthreadd, 2.
    if (words === '' && (of('PPid') === '2' || of('PPid') === '0' || status === '')) return []
    const threads = readdirTasks(pid).map((task) => where(`/proc/${pid}/task/${task}`))
    const group = /^0::(.*)/m.exec(read(`/proc/${pid}/cgroup`))?.[1] ?? '?'
    const what = words === '' ? of('Name') : words.slice(0, 160)
    return `${pid} parent ${of('PPid')} uid ${of('Uid').split('\t')[0]} ${of('State')} in ${group}: ${what}\n    ${[...new Set(threads)].join('\n    ')}`
  })
}

function readdirTasks(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

/** The system call, what it waits for, and the kernel's stack. */
function where(task: string): string {
  const call = read(`${task}/syscall`).split(' ')[0]!.trim()
  const stack = read(`${task}/stack`).trim().split('\n').slice(0, 6)
  const functions = stack.map((line) => line.replace(/^\[<.*?>\] /, '').replace(/\+.*/, ''))
  return `call ${call}, ${read(`${task}/wchan`)}: ${functions.join(' < ')}`
}

/** Groups below the root of cgroup v2 in which there is something, or which are frozen. */
function groups(directory = '/sys/fs/cgroup'): string[] {
  let names: string[] = []
  try {
    names = readdirSync(directory, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? [one.name] : []))
  } catch {}
  return names.flatMap((name) => {
    const group = join(directory, name)
    const events = read(join(group, 'cgroup.events')).trim().replaceAll('\n', ', ')
    const freeze = read(join(group, 'cgroup.freeze')).trim()
    const procs = read(join(group, 'cgroup.procs')).trim().replaceAll('\n', ' ')
    return [`${group}: ${events}, cgroup.freeze ${freeze}, processes ${procs || 'none'}`, ...groups(group)]
  })
}

export const stateOfGuest = (): string => [...processes(), ...groups()].join('\n')
