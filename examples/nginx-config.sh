#!/bin/bash
# nginx thinks that ./config is /etc/nginx/conf.d. Nothing outside is changed, and no process is root.
# Run it with: bash examples/nginx-config.sh (needs nginx and curl)
#
# Look at the greeting: it comes from ./config, through a server on the sandbox's own loopback, which no process outside can
# reach. nginx complains that it is not root, and goes on.
set -euo pipefail
here=$(realpath "$0" | xargs dirname)
vial=(node "$here/../dist/src/cli/main.cjs") # in a project of yours: vial=(npx vial)

flags=(
  --ro /etc/nginx
  --ro "$here/config:/etc/nginx/conf.d"
  --tmpfs /etc/nginx/sites-enabled # the host's own sites are hidden
  --tmpfs /etc/nginx/modules-enabled
  --tmpfs /var/log/nginx
  --tmpfs /var/lib/nginx
  --tmpfs /run # for its pid file
)
answer=$("${vial[@]}" run "${flags[@]}" -- sh -c 'nginx && curl --silent --show-error --retry 5 --retry-connrefused http://localhost:8080/ && nginx -s stop')
echo "$answer"
[ "$answer" = 'hello from ./config' ]

# The same server, asked from outside: there is none.
if curl --silent --max-time 2 http://localhost:8080/ | grep 'hello from ./config'; then
  echo 'the server is visible outside' >&2
  exit 1
fi
echo 'outside there is no such server'
