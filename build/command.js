// Node.js sets every signal to its default action at its start (src/node.cc, PlatformInit), and so forgets what nohup(1) or a
// script's background job asked for. So a shell looks first, and then becomes Node: the file's first two lines are a script of
// sh(1), and to JavaScript a hashbang and a comment. src/cli/ignored.ts reads what it found.
import { readFileSync, writeFileSync } from 'node:fs'

const file = 'dist/src/cli/main.cjs'
const shell = [
  'while read -r vial_name vial_value; do case $vial_name in SigIgn:) break; esac; done </proc/$$/status',
  'case $vial_value in *[!0]*) export VIAL_IGNORED_SIGNALS="$vial_value"; esac',
  'exec node "$0" "$@"',
]
const text = readFileSync(file, 'utf8')
const code = text.slice(text.indexOf('"use strict"'))
writeFileSync(file, `#!/bin/sh\n':' //; { ${shell[0]}; } 2>/dev/null; ${shell.slice(1).join('; ')}\n${code}`)
