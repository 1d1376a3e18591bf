/** What the front starts: front.ts, from the bundle. */
import start = require('../start.cjs')

void start.start('front')
