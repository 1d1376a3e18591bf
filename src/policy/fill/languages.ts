/**
 * What a program needs of the host that its ELF file does not declare. Paths are patterns: `*` stands for any part of a name,
 * `{1}` for what the rule's expression captured (`*` when it captured nothing), `{home}` for the directory above that of the
 * real program, `{prefix}` for the same of each link that leads to it, so that a venv's folder is found as well as the
 * interpreter's. What does not exist is passed over.
 */
export interface Language {
  name: string
  /** Is tried on the real path of a program or script. Every rule that matches counts. */
  match: RegExp
  /** Made visible with the libraries of each program and library inside, and with files outside that links inside lead to. */
  trees?: readonly string[]
  /** Made visible as they are. Of a linker script, what it names too. */
  places?: readonly string[]
  /** Looked for on PATH, and filled in turn. */
  programs?: readonly string[]
  /** Loaded with dlopen(3) by name. */
  libraries?: readonly string[]
}

/** glibc loads the first for thread cancellation and, before 2.34, the others to read /etc/passwd and to ask a name server. */
const RUNTIME = ['libgcc_s.so.1', 'libnss_files.so.2', 'libnss_dns.so.2']

/** OpenSSL's settings and the certificates it trusts, on Debian and on Fedora. */
const TLS = [
  '/etc/ssl/openssl.cnf',
  '/etc/ssl/cert.pem',
  '/etc/ssl/certs',
  '/usr/lib/ssl/openssl.cnf',
  '/usr/lib/ssl/cert.pem',
  '/usr/lib/ssl/certs',
  '/usr/share/ca-certificates',
  '/usr/local/share/ca-certificates',
  '/etc/pki/tls/openssl.cnf',
  '/etc/pki/tls/cert.pem',
  '/etc/pki/tls/certs',
  '/etc/pki/ca-trust/extracted',
  '/etc/crypto-policies/back-ends',
  '/usr/share/crypto-policies',
]

const TIME = ['/etc/localtime', '/usr/share/zoneinfo']

const LOCALE = ['/usr/lib/locale/C.utf8', '/usr/lib/locale/C.UTF-8']

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

const developmentIn = (directory: string) => C_DEVELOPMENT.map((name) => `${directory}/${name}`)

export const LANGUAGES: readonly Language[] = [
  {
    name: 'python',
    match: /\/python(\d+\.\d+)[a-z]*$/,
    trees: ['{prefix}/lib/python{1}', '{prefix}/lib64/python{1}'],
    places: ['{prefix}/pyvenv.cfg', '/etc/mime.types', ...TLS, ...TIME, ...LOCALE],
    libraries: RUNTIME,
  },
  {
    name: 'python whose name tells no version',
    match: /\/(?:python[23]?|pypy[\d.]*)$/,
    trees: ['{prefix}/lib/python*.*', '{prefix}/lib64/python*.*', '{prefix}/lib/pypy*'],
    places: ['{prefix}/pyvenv.cfg', '/etc/mime.types', ...TLS, ...TIME, ...LOCALE],
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
    places: ['/etc/perl', '/usr/share/perl5', ...TLS, ...TIME, ...LOCALE],
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
    programs: ['as', 'ld', '{1}-as', '{1}-ld'],
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
    name: 'git',
    match: /\/git$/,
    trees: ['{prefix}/lib/git-core', '{prefix}/libexec/git-core'],
    places: ['{prefix}/share/git-core', ...TLS, '/etc/localtime'],
    libraries: RUNTIME,
  },
]
