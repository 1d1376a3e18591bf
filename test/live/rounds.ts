/**
 * Named sandboxes started, entered and ended many times, killed at random moments, and used by two commands at once (races.ts); after
 * each round nothing may be left. It is pid 1 of a pid namespace of its own (ownPids.ts):
 *
 *     unshare -pf --mount-proc node dist/test/live/rounds.js cycles|kills|races COUNT [SEED]
 */
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { call, haveGroups, inOwnHome, nothingIsLeft, processes, random, start, vial } from './ownPids.js'
import { race } from './races.js'

/** Four at a time. */
async function cycles(count: number): Promise<void> {
  let next = 0
  const worker = async () => {
    for (let index = next++; index < count; index = next++) {
      const [name, about] = [`box${index}`, `cycle ${index}`]
      await call(about, 'start', '--name', name, ...limits)
      await call(about, 'exec', name, 'true')
      await call(about, 'stop', '--rm', name)
    }
  }
  await Promise.all([worker(), worker(), worker(), worker()])
}

/** With these a sandbox is in a cgroup. */
const limits = haveGroups ? ['--pids', '50'] : []
const library = `
const { sandbox } = await import(${JSON.stringify(new URL('../../src/index.js', import.meta.url).href)})
const box = await sandbox({ preset: 'system'${haveGroups ? ', limits: { pids: 50 }' : ''} }).open()
await box.run('sleep', ['600'])`

/** Which command is run, beside a sandbox called box where it needs one, and whether that is to run on when it is killed. */
const commands: Readonly<
  Record<string, { readonly words: readonly string[]; readonly beside?: true; readonly stays?: true }>
> = {
  start: { words: [vial, 'start', '--name', 'box', ...limits, '--', 'sleep', '600'] },
  exec: { words: [vial, 'exec', 'box', 'sleep', '600'], beside: true, stays: true },
  stop: { words: [vial, 'stop', 'box'], beside: true },
  rm: { words: [vial, 'rm', '-f', 'box'], beside: true },
  library: { words: ['--input-type=module', '-e', library] },
}
/** What is killed: the command itself, or any process that it, or a sandbox, has by then. */
const victims = ['command', 'any'] as const
/** Milliseconds: no machine is that slow. */
const patience = 60_000
/** The command is killed, or its terminal is closed, or it is interrupted. */
const signals = ['SIGKILL', 'SIGHUP', 'SIGINT', 'SIGTERM'] as const

async function kills(home: string, count: number, seed: number): Promise<void> {
  const next = random(seed)
  const pick = <One>(all: readonly One[]): One => all[Math.floor(next() * all.length)]!
  for (let round = 0; round < count; round++) {
    const [kind, victim, moment] = [pick(Object.keys(commands)), pick(victims), next()]
    const { words, beside, stays } = commands[kind]!
    const signal = victim === 'command' ? pick(signals) : 'SIGKILL'
    const about = `seed ${seed}, round ${round}: ${signal} to ${victim} of ${kind} after ${Math.round(moment * 300)} ms`
    if (beside) await call(about, 'start', '--name', 'box', ...limits)
    const child = spawn(process.execPath, words, { stdio: 'ignore' })
    const ended = once(child, 'exit')
    await sleep(moment * 300)
    if (victim === 'command') child.kill(signal)
    else {
      const one = pick(processes())
      try {
        if (one !== undefined) process.kill(one.pid, 'SIGKILL')
      } catch {}
    }
    if (victim === 'command' && !(await Promise.race([ended, sleep(patience, false, { ref: false })])))
      throw new Error(`${about}: it does not end`)
    // What was to wait for ever, waits.
    child.kill('SIGKILL')
    await ended
    if (stays && victim === 'command') await call(about, 'exec', 'box', 'true')
    await call(about, 'ps')
    // A starter that was killed ends its sandbox a moment later.
    for (const name of readdirSync(home)) if (!name.startsWith('.')) await start(['rm', '-f', name]).said
    // A name that was never taken is removed by the next start.
    if (readdirSync(home).some((name) => name.startsWith('.'))) {
      await call(about, 'start', '--name', 'next')
      await call(about, 'stop', '--rm', 'next')
    }
    // Groups that end with their maker are removed by the next run with limits, or so.
    if (haveGroups) await call(about, 'gc')
    await nothingIsLeft(home, about)
  }
}

async function main([what, count, seed = String(randomInt(2 ** 31))]: readonly string[]): Promise<void> {
  const begun = performance.now()
  await inOwnHome((home) => {
    if (what === 'cycles') return cycles(Number(count))
    return (what === 'kills' ? kills : race)(home, Number(count), Number(seed))
  })
  console.log(`${what}: ${count} rounds, seed ${seed}: nothing is left, ${Math.round(performance.now() - begun)} ms`)
}

if (import.meta.url === pathToFileURL(process.argv[1]!).href) await main(process.argv.slice(2))
