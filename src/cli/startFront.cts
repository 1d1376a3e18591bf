/** What the front starts: bwrap/compileForFront.ts, from the bundle. */
import start = require('./start.cjs')

void start.start('front')
