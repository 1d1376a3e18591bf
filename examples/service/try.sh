#!/bin/bash
# A service in a sandbox, played through without systemd: started, asked by its socket, crashed, started again, stopped.
# Run it with: bash examples/service/try.sh (needs python3 and curl)
#
# Look at what is asked for and refused, and at what the service's own words and statuses are: they come through the vial. docs/services.md
# says what else a unit of systemd needs; hello.service is one.
set -euo pipefail
here=$(realpath "$0" | xargs dirname)
vial=(node "$here/../../dist/src/cli/main.cjs") # in a project of yours: vial=(npx vial)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/run"
# Here /run/hello of the unit is a directory of ours.
"${vial[@]}" compile "$here/policy.json" --rw "$work/run:/run/hello" -o "$work/hello.vial" 2> /dev/null

# As Restart=on-failure has it.
supervise() {
  local status
  while true; do
    "$work/hello.vial" python3 server.py /run/hello/socket 2> /dev/null &
    echo $! > "$work/pid"
    status=0
    wait $! || status=$?
    echo "ended with $status"
    [ $status -ne 0 ] || break
  done
}
ask() {
  curl --silent --retry 20 --retry-delay 1 --retry-all-errors --unix-socket "$work/run/socket" "http://hello$1"
}

supervise &
ask /
echo "/etc/shadow: $(ask /secrets)"
curl --silent --unix-socket "$work/run/socket" http://hello/crash || true
ask /
kill "$(cat "$work/pid")"
wait
