/** `vial presets`. */
import { completePolicy } from '../policy/complete.js'

export function presets(): void {
  process.stdout.write("empty   an empty root\nsystem  what this host's programs expect:\n")
  for (const entry of completePolicy({ preset: 'system' }).filesystem ?? []) {
    const shown = 'content' in entry ? { ...entry, content: '…' } : entry
    process.stdout.write(`          ${JSON.stringify(shown)}\n`)
  }
}
