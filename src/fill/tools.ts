/** Programs that start others, or read what their name does not tell. */
import { FONTS } from './facilities.js'
import type { Rule } from './rule.js'

export const TOOLS: readonly Rule[] = [
  {
    name: 'git',
    match: /\/git$/,
    trees: ['{prefix}/lib/git-core', '{prefix}/libexec/git-core'],
    places: ['{prefix}/share/git-core'],
    // Of its own commands that are scripts: git-submodule, git-sh-setup.
    programs: ['sh', 'sed', 'basename', 'uname'],
  },
  { name: 'Mercurial', match: /\/hg$/, places: ['/etc/mercurial'] },
  { name: 'make', match: /\/(?:g|b)?make$/, programs: ['sh'] },
  {
    // cmake-modules(7) looks for these before it looks for a compiler.
    name: 'CMake',
    match: /\/(?:cmake|ctest|cpack)$/,
    programs: ['sh', 'make', 'uname'],
  },
  { name: 'bison and flex', match: /\/(?:bison|flex|lex|yacc|autoconf)[^/]*$/, programs: ['m4'] },
  // tar(1), "Compression options".
  { name: 'tar', match: /\/(?:bsd)?tar$/, programs: ['sh', 'gzip', 'bzip2', 'xz', 'zstd', 'lzip'] },
  {
    name: 'groff',
    match: /\/(?:groff|nroff)$/,
    programs: ['troff', 'grotty', 'grops', 'grohtml', 'tbl', 'eqn', 'pic', 'preconv', 'soelim', 'sh'],
  },
  {
    // man(1), man-db's pipeline.
    name: 'man',
    match: /\/man$/,
    trees: ['/usr/lib/man-db', '/usr/lib/*/man-db', '/usr/libexec/man-db'],
    places: ['/etc/manpath.config', '/etc/man_db.conf', '/usr/share/man', '/usr/local/share/man'],
    programs: ['groff', 'nroff', 'tbl', 'preconv', 'less', 'pager', 'gzip', 'col', 'sed', 'sh'],
  },
  {
    name: 'GnuPG',
    match: /\/gpg2?$/,
    trees: ['/usr/lib/gnupg', '/usr/lib/gnupg2'],
    programs: ['gpg-agent', 'gpgconf', 'gpgsm'],
    places: ['/usr/share/gnupg', '/etc/gnupg'],
  },
  {
    name: 'iproute2',
    match: /\/(?:ip|ss|tc|bridge)$/,
    places: ['/etc/iproute2', '/usr/share/iproute2', '/usr/lib/iproute2'],
  },
  { name: 'ldconfig', match: /\/ldconfig$/, places: ['/etc/ld.so.conf', '/etc/ld.so.conf.d'] },
  {
    name: "PostgreSQL's wrapper of Debian",
    match: /\/pg_wrapper$/,
    programs: [
      '/usr/lib/postgresql/*/bin/psql',
      '/usr/lib/postgresql/*/bin/pg_*',
      '/usr/lib/postgresql/*/bin/*db',
      '/usr/lib/postgresql/*/bin/*user',
    ],
    places: ['/usr/share/postgresql-common', '/etc/postgresql-common'],
  },
  {
    name: 'PostgreSQL',
    match: /\/postgresql\/(\d+)\/bin\/[^/]+$/,
    trees: ['/usr/lib/postgresql/{1}'],
    places: ['/usr/share/postgresql/{1}'],
    programs: ['sh'],
  },
  { name: 'nginx', match: /\/nginx$/, places: ['/etc/nginx/mime.types'] },
  { name: 'Ghostscript', match: /\/gs$/, places: FONTS },
]
