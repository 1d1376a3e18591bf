/** With node --require: kills this process before the system call of the number VIAL_KILL_AT that changes a file, or beside the start of another process. */
const files = require('node:fs') as Record<string, (...args: unknown[]) => unknown>
const processes = require('node:child_process') as Record<string, (...args: unknown[]) => unknown>

let left = Number(process.env.VIAL_KILL_AT ?? Number.POSITIVE_INFINITY)
const die = () => {
  if (left-- === 0) process.kill(process.pid, 'SIGKILL')
}
const changing = 'mkdirSync renameSync unlinkSync rmdirSync symlinkSync writeSync writeFileSync ftruncateSync chmodSync'
for (const name of changing.split(' ')) {
  const original = files[name]!
  files[name] = (...args) => {
    die()
    return original(...args)
  }
}
const spawn = processes.spawn!
processes.spawn = (...args) => {
  die()
  const child = spawn(...args)
  die()
  return child
}
