#!/bin/bash
# A sandbox as a file: compiled once, copied elsewhere, run by another user, with neither Node nor vial there.
# Run it with: bash examples/standalone-vial.sh (as root it really runs as another user)
#
# Look at the size of the file, and at who runs it outside and who it is inside.
set -euo pipefail
vial=(node "$(realpath "$0" | xargs dirname)/../dist/src/cli/main.cjs") # in a project of yours: vial=(npx vial)

elsewhere=$(mktemp -d)
trap 'rm -rf "$elsewhere"' EXIT
chmod 755 "$elsewhere"
cd "$elsewhere"
cat > policy.json <<'JSON'
{
  "fill": { "program": "python3" },
  "identity": { "uid": 4711, "gid": 4711, "user": "guest" },
  "hostname": "elsewhere",
  "rlimits": { "nofile": 64 }
}
JSON
"${vial[@]}" compile policy.json -o python-vial
mkdir other-directory
cp python-vial other-directory/
rm python-vial policy.json

another=()
if [ "$(id -u)" = 0 ]; then
  another=(setpriv --reuid=65534 --regid=65534 --clear-groups --)
fi
"${another[@]}" id --user | sed 's/^/outside, the user is /'
answer=$("${another[@]}" env --ignore-environment other-directory/python-vial python3 -c '
import os, getpass, socket
print(getpass.getuser(), os.getuid(), socket.gethostname(), os.path.exists("/usr/bin/env"))')
echo "inside: $answer"
[ "$answer" = 'guest 4711 elsewhere False' ]
