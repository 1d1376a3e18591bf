#!/bin/bash
# The tests of a project that you do not trust, with only its own directory writable: vial run --rw . -- npm test
#
# Look at what the tests could write: the project's directory, and nothing else of yours. This example lies in /tmp, which the
# sandbox has in memory for itself: what they write beside the project there is gone afterwards.
set -euo pipefail
vial=(node "$(realpath "$0" | xargs dirname)/../dist/src/cli/main.cjs") # in a project of yours: vial=(npx vial)

outside=$(mktemp -d)
trap 'rm -rf "$outside"' EXIT
mkdir "$outside/project"
cd "$outside/project"
cat > package.json <<'JSON'
{ "name": "somebodys-project", "version": "1.0.0", "scripts": { "test": "node test.js" } }
JSON
cat > test.js <<'JS'
const fs = require('node:fs')
function attempt(what, path) {
  try {
    fs.writeFileSync(path, 'written by a test')
    console.log(`${what}: written`)
  } catch (error) {
    console.log(`${what}: refused, ${error.code}`)
  }
}
attempt('into the project', 'report.txt')
attempt('beside the project, in memory', '../report.txt')
attempt('into the home of the caller', process.argv[2] ?? '/root/.profile')
console.log(`a secret beside the project: ${fs.existsSync('../secret') ? 'seen' : 'not there'}`)
JS
echo 'a secret' > "$outside/secret"

"${vial[@]}" run --rw . -- npm test --silent -- "$HOME/.profile-of-vial-example"

echo "outside, afterwards: $(ls "$outside" | xargs)"
[ "$(cat report.txt)" = 'written by a test' ]
[ "$(ls "$outside" | xargs)" = 'project secret' ]
[ ! -e "$HOME/.profile-of-vial-example" ]
