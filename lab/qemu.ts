/** A guest: qemu's command line, its time limit, and what it says. Always TCG: the lab needs no /dev/kvm. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Architecture } from '../src/kernel/architecture.js'

interface Machine {
  readonly program: string
  readonly package: string
  readonly arguments: readonly string[]
  readonly console: string
}

export const machines: Readonly<Record<Architecture, Machine>> = {
  x64: {
    program: 'qemu-system-x86_64',
    package: 'qemu-system-x86',
    // Tables of five levels cost TCG a fifth more at each miss.
    arguments: ['-machine', 'q35', '-cpu', 'max,la57=off'],
    console: 'ttyS0',
  },
  arm64: {
    program: 'qemu-system-aarch64',
    package: 'qemu-system-arm',
    // Pointer authentication by its architected algorithm is most of what TCG does otherwise.
    arguments: ['-machine', 'virt', '-cpu', 'max,pauth-impdef=on'],
    console: 'ttyAMA0',
  },
}

export interface Guest {
  readonly architecture: Architecture
  readonly kernel: string
  readonly initramfs: string
  /** Opened for reading only: what the guest writes is dropped at its end. */
  readonly disks: readonly string[]
  readonly commandLine: string
  readonly seconds: number
  /** A file for what appears on its console. */
  readonly console: string
}

export function commandOf(guest: Guest): [string, string[]] {
  const { program, arguments: own, console } = machines[guest.architecture]
  const disks = guest.disks.flatMap((file) => ['-drive', `file=${file},format=raw,if=virtio,snapshot=on`])
  const shared = [
    '-accel',
    'tcg,thread=multi',
    '-smp',
    '2',
    '-m',
    '2048',
    '-nodefaults',
    '-no-user-config',
    '-no-reboot',
  ]
  const wires = [
    ...['-display', 'none', '-serial', `file:${guest.console}`, '-chardev', 'stdio,id=results,signal=off'],
    ...['-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=results,name=results'],
  ]
  const line = `console=${console} quiet panic=-1 mitigations=off ${guest.commandLine}`
  const boot = ['-kernel', guest.kernel, '-initrd', guest.initramfs, '-append', line]
  return [program, [...own, ...shared, ...disks, ...wires, ...boot]]
}

/** Runs it to its end, with each line that it writes to its port. Gives nothing, or why it did not end by itself. */
export async function runGuest(guest: Guest, line: (text: string) => void): Promise<string | undefined> {
  const [program, args] = commandOf(guest)
  // At the end of its standard input qemu calls the port closed, and the guest waits until it is opened.
  const child = spawn(program, args, { stdio: 'pipe' })
  const started = once(child, 'spawn')
  const stop = () => child.kill('SIGKILL')
  process.once('exit', stop)
  let late = false
  const timer = setTimeout(() => {
    late = true
    stop()
  }, guest.seconds * 1000)
  let complaint = ''
  child.stderr.on('data', (chunk) => {
    complaint += chunk
  })
  createInterface({ input: child.stdout }).on('line', line)
  try {
    await started
    const [code] = await once(child, 'close')
    if (late) return `was ended after ${guest.seconds} s\n${tail(guest.console)}`
    return code === 0 ? undefined : `${program} failed: ${complaint.trim()}`
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new Error(`the lab needs ${program}: sudo apt-get install ${machines[guest.architecture].package}`)
  } finally {
    clearTimeout(timer)
    process.off('exit', stop)
  }
}

/** The end of a guest's console: where it stood. */
export function tail(file: string): string {
  const text = readFileSync(file, 'utf8')
  return text.split('\n').slice(-20).join('\n')
}
