/** What the lab is at: one line that changes, on a terminal; else a line for each thing that ended. */
import { isAgain, isEnd, isFacts, isSilent, type Line } from './report.js'

export class Progress {
  private readonly from = Date.now()
  private readonly counts = new Map<string, { passed: number; failed: number }>()

  /** @param each also says which tests passed */
  constructor(
    private readonly each = false,
    private readonly out: NodeJS.WriteStream = process.stderr,
  ) {}

  note(text: string): void {
    this.write(text, true)
  }

  line(kernel: string, line: Line): void {
    if (isFacts(line)) {
      this.note(`${kernel}: up (${line.facts.kernel})`)
      return
    }
    const key = `${kernel}: ${line.job}`
    const count = this.counts.get(key) ?? { passed: 0, failed: 0 }
    this.counts.set(key, count)
    if (isSilent(line)) {
      this.note(`${key}: silent for ${line.seconds} s in ${line.silent}\n${line.state}`)
      return
    }
    if (isAgain(line)) {
      this.counts.delete(key)
      this.note(`${key}: hung in ${line.again}: it is run once more`)
      return
    }
    if (isEnd(line)) {
      const { end, seconds } = line
      this.note(`${key}: ${count.passed} passed, ${count.failed} failed, ${end} after ${seconds.toFixed(0)} s`)
      return
    }
    if (line.status === 'passed') count.passed++
    if (line.status === 'failed') count.failed++
    if (line.status === 'failed') this.write(`${key}: failed: ${line.test}: ${line.why?.split('\n')[0] ?? ''}`, true)
    else if (this.each) this.write(`${key}: ${line.status}: ${line.test}`, true)
    else if (this.out.isTTY) this.write(`${key}: ${count.passed} passed`, false)
  }

  end(): void {
    if (this.out.isTTY) this.out.write('\r\x1b[K')
  }

  private write(text: string, stays: boolean): void {
    const stamped = `[${((Date.now() - this.from) / 1000).toFixed(0).padStart(5)} s] ${text}`
    if (this.out.isTTY) this.out.write(`\r\x1b[K${stamped.slice(0, this.out.columns)}${stays ? '\n' : ''}`)
    else this.out.write(`${stamped}\n`)
  }
}
