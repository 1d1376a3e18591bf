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
import { call, inOwnHome, nothingIsLeft, processes, random, start, vial } from './ownPids.js'
import { race } from './races.js'

/** Four at a time. */
async function cycles(count: number): Promise<void> {
  let next = 0
  const worker = async () => {
    for (let index = next++; index < count; index = next++) {
      const [name, about] = [`box${index}`, `cycle ${index}`]
      await call(about, 'start', '--name', name)
      await call(about, 'exec', name, 'true')
      await call(about, 'stop', '--rm', name)
    }
  }
  await Promise.all([worker(), worker(), worker(), worker()])
}

const library = `
const { sandbox } = await import(${JSON.stringify(new URL('../../src/index.js', import.meta.url).href)})
const box = await sandbox({ preset: 'system' }).open()
await box.run('sleep', ['600'])`

/** Which command is run, beside a sandbox called box where it needs one, and whether that is to run on when it is killed. */
const commands: Readonly<
  Record<string, { readonly words: readonly string[]; readonly beside?: true; readonly stays?: true }>
> = {
  start: { words: [vial, 'start', '--name', 'box', '--', 'sleep', '600'] },
  exec: { words: [vial, 'exec', 'box', 'sleep', '600'], beside: true, stays: true },
  stop: { words: [vial, 'stop', 'box'], beside: true },
  rm: { words: [vial, 'rm', '-f', 'box'], beside: true },
  library: { words: ['--input-type=module', '-e', library] },
}
/** What is killed: the command itself, or any process that it, or a sandbox, has by then. */
const victims = ['command', 'any'] as const

async function kills(home: string, count: number, seed: number): Promise<void> {
  const next = random(seed)
  const pick = <One>(all: readonly One[]): One => all[Math.floor(next() * all.length)]!
  for (let round = 0; round < count; round++) {
    const [kind, victim, moment] = [pick(Object.keys(commands)), pick(victims), next()]
    const { words, beside, stays } = commands[kind]!
    const about = `seed ${seed}, round ${round}: ${victim} of ${kind} after ${Math.round(moment * 300)} ms`
    if (beside) await call(about, 'start', '--name', 'box')
    const child = spawn(process.execPath, words, { stdio: 'ignore' })
    const ended = once(child, 'exit')
    await sleep(moment * 300)
    if (victim === 'command') child.kill('SIGKILL')
    else {
      const one = pick(processes())
      try {
        if (one !== undefined) process.kill(one.pid, 'SIGKILL')
      } catch {}
    }
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
