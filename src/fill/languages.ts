/** Interpreters and compilers: their libraries, and the programs that they start. */
import { TIME, TLS } from './facilities.js'
import type { Rule } from './rule.js'

/** glibc loads the first for thread cancellation and, before 2.34, the others to read /etc/passwd and to ask a name server. */
const RUNTIME = ['libgcc_s.so.1', 'libnss_files.so.2', 'libnss_dns.so.2']

/** What the C library's development package holds for the linker. */
const C_DEVELOPMENT = [
  '*crt1.o',
  'crti.o',
  'crtn.o',
  'libc.so',
  'libc.a',
  'libc_nonshared.a',
  'libm.so',
  'libm.a',
  'libm-*.a',
  'libmvec.so',
  'libmvec.a',
  'libpthread*.so',
  'libpthread*.a',
  'libdl.so',
  'libdl.a',
  'librt.so',
  'librt.a',
  'libutil.so',
  'libutil.a',
  'libresolv.so',
  'libresolv.a',
  'libcrypt.so',
  'libcrypt.a',
  'libssp_nonshared.a',
]

/** The name by which Debian's compilers and assemblers for this machine are called, too: dpkg-architecture(1). */
const MACHINE = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
const COMPILER = ['gcc', 'as', 'ld', `${MACHINE}-gcc`, `${MACHINE}-as`, `${MACHINE}-ld`, 'sh']

const developmentIn = (directory: string) => C_DEVELOPMENT.map((name) => `${directory}/${name}`)

export const LANGUAGES: readonly Rule[] = [
  {
    name: 'python',
    match: /\/python(\d+\.\d+)[a-z]*$/,
    trees: ['{prefix}/lib/python{1}', '{prefix}/lib64/python{1}'],
    places: ['{prefix}/pyvenv.cfg', '/etc/mime.types', '/usr/share/python-wheels', ...TLS],
    libraries: RUNTIME,
  },
  {
    name: 'python whose name tells no version',
    match: /\/(?:python[23]?|pypy[\d.]*)$/,
    trees: ['{prefix}/lib/python*.*', '{prefix}/lib64/python*.*', '{prefix}/lib/pypy*'],
    places: ['{prefix}/pyvenv.cfg', '/etc/mime.types', '/usr/share/python-wheels', ...TLS],
    libraries: RUNTIME,
  },
  {
    name: 'node',
    match: /\/node(?:js)?$/,
    places: ['/usr/share/nodejs', ...TLS, ...TIME],
    libraries: RUNTIME,
  },
  {
    name: 'a package of node',
    match: /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//,
    trees: ['{1}'],
  },
  {
    name: 'perl',
    match: /\/perl[\d.]*$/,
    trees: [
      '{prefix}/lib/*/perl-base',
      '{prefix}/lib/*/perl/5*',
      '{prefix}/share/perl/5*',
      '{prefix}/lib64/perl5',
      '{prefix}/lib/perl5',
      '{prefix}/lib/5.*',
    ],
    places: ['/etc/perl', '/usr/share/perl5'],
    libraries: RUNTIME,
  },
  {
    name: 'ruby',
    match: /\/(?:ruby[\d.]*|irb[\d.]*|gem[\d.]*)$/,
    trees: ['{prefix}/lib/ruby', '{prefix}/lib/*/ruby', '{prefix}/lib64/ruby'],
    places: ['{prefix}/share/ruby', '{prefix}/share/rubygems', '{prefix}/share/rubygems-integration', ...TLS, ...TIME],
    libraries: RUNTIME,
  },
  {
    name: 'java',
    match: /\/bin\/(?:java|javac|javadoc|javap|jar|jarsigner|jcmd|jdeps|jlink|jshell|jwebserver|keytool)$/,
    trees: ['{home}'],
    places: ['/etc/java-*', '/etc/ssl/certs/java', '/etc/pki/java', '/etc/localtime'],
    libraries: RUNTIME,
  },
  {
    name: 'gcc',
    match: /\/(?:([^/]+-linux-[^/-]+)-)?(?:gcc|g\+\+|cc|c\+\+|cpp|gfortran)(?:-(\d[.\d]*))?$/,
    trees: ['{prefix}/lib/gcc/{1}/{2}', '{prefix}/lib/gcc-cross/{1}/{2}', '{prefix}/libexec/gcc/{1}/{2}'],
    places: [
      '/usr/include',
      ...developmentIn('{prefix}/lib/{1}'),
      ...developmentIn('{prefix}/lib64'),
      ...developmentIn('{prefix}/lib'),
    ],
    programs: ['as', 'ld', 'ld.bfd', 'ld.gold', '{1}-as', '{1}-ld', '{1}-ld.bfd', '{1}-ld.gold'],
    libraries: [...RUNTIME, 'libstdc++.so.6'],
  },
  {
    name: 'gcc for another machine',
    match: /\/([^/]+-linux-[^/-]+)-(?:gcc|g\+\+|cpp|gfortran)(?:-[.\d]*)?$/,
    places: ['{prefix}/{1}'],
  },
  {
    name: 'clang',
    match: /\/clang(?:-cpp)?-(\d+)$/,
    trees: ['{home}/lib/clang', '/usr/lib/gcc/*/*'],
    places: ['/usr/include', '/usr/lib/clang', ...developmentIn('/usr/lib/*'), ...developmentIn('/usr/lib64')],
    programs: ['ld'],
    libraries: [...RUNTIME, 'libstdc++.so.6'],
  },
  {
    name: 'go',
    match: /\/go[^/]*\/bin\/(?:go|gofmt)$/,
    trees: ['{home}'],
    places: [...TLS, ...TIME],
  },
  {
    name: 'rust',
    match: /\/(?:rustc|rustdoc|clippy-driver)$/,
    trees: ['{prefix}/lib/rustlib', '{prefix}/lib/*/rustlib', '{prefix}/lib'],
    programs: ['cc', ...COMPILER],
  },
  { name: 'cargo', match: /\/cargo$/, programs: ['rustc', 'rustdoc'], places: TLS },
  {
    name: 'ghc',
    match: /\/(?:ghc|runghc|runhaskell|ghci|ghc-pkg)[-.\d]*$/,
    trees: ['/usr/lib/ghc', '/var/lib/ghc'],
    places: ['libgmp', 'libffi', 'libnuma', 'libtinfo', 'libncursesw'].flatMap((one) => [
      `/usr/lib/*/${one}.so`,
      `/usr/lib/*/${one}.a`,
    ]),
    programs: ['ghc', ...COMPILER],
  },
  {
    name: 'OCaml',
    match: /\/ocaml[a-z]*(?:\.byte|\.opt)?$/,
    trees: ['{prefix}/lib/ocaml', '{prefix}/lib/*/ocaml'],
    places: ['/etc/ocamlfind.conf', '/etc/ocamlfind.conf.d', '/usr/local/lib/ocaml'],
    programs: ['ocamlrun', ...COMPILER],
  },
  {
    name: 'Free Pascal',
    match: /\/(?:fpc|ppc[a-z\d]+)(?:-[.\d]+)?$/,
    trees: ['/usr/lib/*/fpc', '/usr/lib/fpc'],
    places: ['/etc/fpc.cfg', '/etc/fpc-*.cfg', ...developmentIn('/usr/lib/*')],
    programs: ['ppcx64', 'ppca64', ...COMPILER],
  },
  {
    name: 'Ada',
    match: /\/(?:[^/]+-linux-[^/-]+-)?gnat(?:make|link|bind)(?:-(\d+))?$/,
    programs: ['gcc', 'gcc-{1}', 'gnatbind', 'gnatlink', 'gnatbind-{1}', 'gnatlink-{1}'],
  },
  {
    name: 'R',
    match: /\/(?:R|Rscript)$/,
    trees: ['{prefix}/lib/R', '/usr/share/R', '/etc/R', '/usr/local/lib/R', '/usr/lib/R'],
    programs: ['R', 'sh', 'rm', 'sed', 'uname', 'which'],
  },
  { name: 'Erlang', match: /\/(?:erl|erlc|escript)$/, programs: ['erl', 'sh'] },
  {
    name: 'mono',
    match: /\/(?:mono|mono-sgen|mono-boehm)$/,
    trees: ['{prefix}/lib/mono', '/etc/mono'],
    places: ['/usr/share/.mono'],
    libraries: ['libmono-native.so', 'libMonoPosixHelper.so', 'libmono-btls-shared.so', ...RUNTIME],
  },
]
