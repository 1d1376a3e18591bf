/** The other side of evaluate: runs the function it is given, and answers on descriptor 3. */
import { writeSync } from 'node:fs'
import * as vial from '../../src/index.js'

const { body, data } = JSON.parse(process.argv[2]!) as { body: string; data: unknown }
const { default: run } = await import(`data:text/javascript,export default ${encodeURIComponent(body)}`)
const answer = JSON.stringify({ value: await run(vial, data) })
for (let at = 0, bytes = Buffer.from(answer); at < bytes.length; ) at += writeSync(3, bytes, at)
