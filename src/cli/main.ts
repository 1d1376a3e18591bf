#!/usr/bin/env node
/** The `vial` command: see start.cts. */
import { createRequire } from 'node:module'

createRequire(import.meta.url)('./start.cjs').start('vial')
