/** Commands that are the program that executes them, CVE-2019-5736, and whether the files that vial executes stayed as they were. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { attackProgram } from './attack.js'

/** Every file below a directory: its mode and what it holds. */
export function filesBelow(directory: string): Record<string, string> {
  const files: Record<string, string> = {}
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()) {
    const status = statSync(join(directory, name))
    if (!status.isFile()) continue
    const hash = createHash('sha256')
      .update(readFileSync(join(directory, name)))
      .digest('hex')
    files[name] = `${status.mode.toString(8)} ${hash}`
  }
  return files
}

/** Small programs that have the kernel execute, or load, what executes them: the vial, if anything. */
export function recursive(directory: string): string[] {
  symlinkSync('/proc/self/exe', join(directory, 'link'))
  writeFileSync(join(directory, 'script'), '#!/proc/self/exe\n', { mode: 0o755 })
  writeFileSync(join(directory, 'arguments'), '#!/proc/self/exe /attack\n', { mode: 0o755 })
  writeFileSync(join(directory, 'interpreted'), interpretedBy('/proc/self/exe'), { mode: 0o755 })
  return ['link', 'script', 'arguments', 'interpreted']
}

/** elf(5): one page, and PT_INTERP. */
function interpretedBy(interpreter: string): Uint8Array {
  const bytes = readFileSync(attackProgram()).subarray(0, 0x1000)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const [headers, header] = [64, 56]
  const at = headers + 2 * header
  bytes.fill(0, headers)
  bytes.write(`${interpreter}\0`, at)
  view.setBigUint64(24, 0x10000n, true)
  view.setBigUint64(32, BigInt(headers), true)
  view.setUint16(56, 2, true)
  const part = (index: number, type: number, offset: number, size: number) => {
    const start = headers + index * header
    view.setUint32(start, type, true)
    view.setUint32(start + 4, 5, true)
    view.setBigUint64(start + 8, BigInt(offset), true)
    for (const address of [16, 24]) view.setBigUint64(start + address, BigInt(0x10000 + offset), true)
    for (const length of [32, 40]) view.setBigUint64(start + length, BigInt(size), true)
    view.setBigUint64(start + 48, 0x1000n, true)
  }
  part(0, 3, at, interpreter.length + 1)
  part(1, 1, 0, 0x1000)
  return bytes
}
