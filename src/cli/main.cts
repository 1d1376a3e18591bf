#!/usr/bin/env node
/** The `vial` command: see start.cts. */
import start = require('./start.cjs')

void start.start(process.argv[2] === 'exec' ? 'exec' : 'vial')
