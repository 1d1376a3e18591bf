/**
 * Preloaded into each test file (run.js): fails it when it takes too long (deadline.js), or when a system directory of the host is not as
 * it was before the file ran. Tests run as root, and a chmod of a copy that is really a link reaches /bin/sh. What is not root cannot harm
 * these directories.
 */
import { lstatSync, readdirSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMainThread, Worker } from 'node:worker_threads'

const watched = (process.env.VIAL_TEST_WATCHED ?? '/bin:/sbin:/lib:/usr/bin:/usr/sbin:/usr/lib:/etc').split(':')
/** Changes whenever a package manager has worked: files that come and go then are its own. */
const packages = ['/var/lib/dpkg/status', '/var/lib/dpkg/lock-frontend', '/var/lib/dpkg/updates', '/var/lib/rpm']

/** Of each directory itself and of all that it holds, its status by its path. */
export function look(directories) {
  const found = new Map()
  for (const directory of new Set(directories.flatMap((one) => attempt(() => [realpathSync(one)]) ?? [])))
    for (const path of [directory, ...readdirSync(directory).map((name) => join(directory, name))])
      found.set(
        path,
        attempt(() => lstatSync(path)),
      )
  return found
}

/**
 * What is not as it was, in words. A file with another inode was installed anew, as package managers do; what a test does through a
 * link keeps the inode.
 * @param comeAndGo whether files that are new or gone count too
 */
export function changes(before, after, comeAndGo) {
  const words = []
  for (const [path, was] of before) {
    const is = after.get(path)
    if (was === undefined) continue
    if (is === undefined || is.ino !== was.ino || is.dev !== was.dev) {
      if (comeAndGo) words.push(`${path} is ${is === undefined ? 'gone' : 'another file'}`)
      continue
    }
    const [then, now] = [was, is].map(described)
    if (then !== now) words.push(`${path} was ${then}, and is ${now}`)
  }
  if (comeAndGo) for (const path of after.keys()) if (!before.has(path)) words.push(`${path} is new`)
  return words
}

function described(status) {
  const { mode, uid, gid, size, mtimeMs } = status
  const content = status.isDirectory() ? '' : `, ${size} bytes of ${new Date(mtimeMs).toISOString()}`
  return `mode ${(mode & 0o7777).toString(8)}, owner ${uid}:${gid}${content}`
}

function attempt(action) {
  try {
    return action()
  } catch {
    return undefined
  }
}

const times = () => packages.map((path) => attempt(() => lstatSync(path).ctimeMs)).join()

const file = process.argv[1] ?? ''
const isTestFile = isMainThread && file.endsWith('.test.js') && file !== fileURLToPath(import.meta.url)
/** How long a file may take, in seconds: run.js. */
const seconds = Number(process.env.VIAL_TEST_DEADLINE ?? 0)
if (isTestFile && seconds > 0)
  new Worker(new URL('deadline.js', import.meta.url), { workerData: { file, seconds }, execArgv: [] }).unref()
if (isTestFile && process.getuid() === 0) {
  const before = look(watched)
  const installed = times()
  process.on('exit', () => {
    const found = changes(before, look(watched), times() === installed)
    if (found.length === 0) return
    process.exitCode = 1
    process.stderr.write(
      `${basename(file)} changed the host, or something else did while it ran. Repair it at once:\n  ${found.join('\n  ')}\n`,
    )
  })
}
