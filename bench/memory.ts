/** Memory of monitor and init while a payload sleeps: what /proc/PID/status shows to every user. */
import { readdirSync, readFileSync } from 'node:fs'
import { sandbox } from '../src/index.js'
import { policy } from './policy.js'
import { alone } from './support/directory.js'
import { table } from './support/table.js'

export async function bench(): Promise<void> {
  const child = sandbox(policy).spawn('sleep', ['60'])
  let init: number | undefined
  let payload: number | undefined
  while (payload === undefined || !nameOf(payload).startsWith('sleep')) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    init = childrenOf(child.pid)[0]
    payload = init === undefined ? undefined : childrenOf(init)[0]
  }
  const limit = 100
  const rows = Object.entries({ monitor: child.pid, init: init! }).map(([name, pid]) => {
    const [anonymous, file, tables] = ['RssAnon', 'RssFile', 'VmPTE'].map((field) => kilobytes(pid, field))
    const verdict = anonymous! + tables! <= limit ? '' : ' MISSED'
    return [name, `${anonymous} KB`, `${tables} KB`, `${file} KB`, `<= ${limit} KB${verdict}`]
  })
  child.kill('SIGKILL')
  await child.result
  table('Memory of a running sandbox', ['', 'private', 'page tables', 'of the file', 'private and tables'], rows)
}

function kilobytes(pid: number, field: string): number {
  const line = new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1])
}

const nameOf = (pid: number) => statOf(pid)?.[0] ?? ''

/** Name and parent of a process, or undefined when it is gone: proc_pid_stat(5). */
function statOf(pid: number): [string, number] | undefined {
  try {
    const [, name, parent] = /^\d+ \((.*)\) . (\d+) /s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))!
    return [name!, Number(parent)]
  } catch {
    return undefined
  }
}

const childrenOf = (parent: number) =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => statOf(pid)?.[1] === parent)

await alone(import.meta.url, bench)
