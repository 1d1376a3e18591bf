/** What libraries read: of every program that loads one, so that no program has to be known for it. */
import type { Rule } from './rule.js'

/** Certificates that are trusted, on Debian and on Fedora. */
const CERTIFICATES = [
  '/etc/ssl/cert.pem',
  '/etc/ssl/certs',
  '/usr/lib/ssl/cert.pem',
  '/usr/lib/ssl/certs',
  '/usr/share/ca-certificates',
  '/usr/local/share/ca-certificates',
  '/etc/pki/tls/cert.pem',
  '/etc/pki/tls/certs',
  '/etc/pki/ca-trust/extracted',
  '/etc/crypto-policies/back-ends',
  '/usr/share/crypto-policies',
]

/** For those who bring a TLS library of their own. */
export const TLS = [
  ...CERTIFICATES,
  '/etc/ssl/openssl.cnf',
  '/usr/lib/ssl/openssl.cnf',
  '/etc/pki/tls/openssl.cnf',
] as const

/** tzset(3). */
export const TIME = ['/etc/localtime', '/usr/share/zoneinfo'] as const

export const FONTS = [
  '/etc/fonts',
  '/usr/share/fontconfig',
  '/usr/share/fonts',
  '/usr/local/share/fonts',
  '/usr/share/xml/fontconfig',
  '/var/cache/fontconfig',
] as const

export const FACILITIES: readonly Rule[] = [
  {
    // setlocale(3), iconv(1), tzset(3), nsswitch.conf(5), services(5), protocols(5).
    name: 'glibc',
    match: /\/libc(?:-2\.\d+)?\.so(?:\.6(?:\.1)?)?$/,
    places: [
      '/usr/lib/locale',
      '/usr/share/locale/locale.alias',
      '{at}/gconv',
      '/usr{at}/gconv',
      '/etc/nsswitch.conf',
      '/etc/services',
      '/etc/protocols',
      ...TIME,
    ],
  },
  {
    name: 'musl',
    match: /\/ld-musl-[^/]+$/,
    places: ['/etc/services', '/etc/protocols', '/usr/share/i18n/locales/musl', ...TIME],
  },
  {
    // terminfo(5).
    name: 'ncurses',
    match: /\/lib(?:tinfo|ncurses)w?\.so[.\d]*$/,
    places: ['/etc/terminfo', '/lib/terminfo', '/usr/share/terminfo'],
  },
  {
    // config(5), OSSL_PROVIDER(3).
    name: 'OpenSSL',
    match: /\/libcrypto\.so[.\d]*$/,
    trees: ['{at}/ossl-modules', '{at}/engines-*'],
    places: TLS,
  },
  { name: 'GnuTLS', match: /\/libgnutls\.so[.\d]*$/, places: [...CERTIFICATES, '/etc/gnutls'] },
  {
    name: 'p11-kit',
    match: /\/libp11-kit\.so[.\d]*$/,
    trees: ['{at}/pkcs11'],
    places: ['/usr/share/p11-kit', '/etc/pkcs11'],
  },
  {
    name: 'NSS',
    match: /\/libnss3\.so$/,
    trees: ['{at}/nss'],
    libraries: ['libsoftokn3.so', 'libfreebl3.so', 'libnssckbi.so'],
  },
  { name: 'SASL', match: /\/libsasl2\.so[.\d]*$/, trees: ['{at}/sasl2'] },
  { name: 'fontconfig', match: /\/libfontconfig\.so[.\d]*$/, places: FONTS },
  {
    // file(1).
    name: 'libmagic',
    match: /\/libmagic\.so[.\d]*$/,
    trees: ['/usr/share/misc/magic*', '/usr/share/file'],
    places: ['/etc/magic', '/etc/magic.mime', '/usr/lib/file', '/usr/share/misc/magic.mgc'],
  },
  { name: 'libxml2', match: /\/libxml2\.so[.\d]*$/, places: ['/etc/xml/catalog'] },
  { name: 'readline', match: /\/libreadline\.so[.\d]*$/, places: ['/etc/inputrc'] },
  {
    name: 'ImageMagick',
    match: /\/libMagickCore-(\d)\.[^/]*$/,
    trees: ['{at}/ImageMagick-*'],
    places: ['/etc/ImageMagick-{1}', '/usr/share/ImageMagick-{1}'],
  },
  { name: 'Graphviz', match: /\/libgvc\.so[.\d]*$/, trees: ['{at}/graphviz'], places: ['/usr/share/graphviz'] },
  {
    name: 'Ghostscript',
    match: /\/libgs\.so[.\d]*$/,
    trees: ['/usr/share/ghostscript'],
    places: ['/var/lib/ghostscript', '/usr/share/color/icc', '/usr/share/poppler', ...FONTS],
  },
  {
    name: 'Tcl',
    match: /\/libtcl(\d\.\d)\.so[.\d]*$/,
    trees: ['/usr/share/tcltk', '{at}/tcltk', '{home}/share/tcl{1}', '{at}/tcl{1}'],
  },
  { name: 'Guile', match: /\/libguile-(\d\.\d)\.so[.\d]*$/, trees: ['{at}/guile/{1}', '/usr/share/guile'] },
  {
    name: 'gdk-pixbuf',
    match: /\/libgdk_pixbuf-2\.0\.so[.\d]*$/,
    trees: ['{at}/gdk-pixbuf-2.0'],
    places: ['/usr/share/mime'],
  },
]
