/** What vial itself tells a person, on standard error. */
import { printable } from '../text/printable.js'
import { write } from '../text/write.js'

export const say = (text: string): void => write(2, `vial: ${text.split('\n').map(printable).join('\n')}\n`)
