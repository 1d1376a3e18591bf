import type { Policy } from '../../src/index.js'
import { installed } from '../support/needs.js'

/** Programs of Debian 12, each with a task that it can only do with what it reads beside its ELF file. */

export interface Program {
  /** What `fill` names; has to be installed. */
  readonly program: string
  readonly package: string
  /** Named in `fill` too: what the command starts, and the program does not. */
  readonly beside?: readonly string[]
  readonly task: string
  readonly command: readonly [string, ...string[]]
  /** The whole standard output. */
  readonly prints: string
  readonly files?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
}

/** A command line of the shell; `sh` is named in `fill` too. */
const sh = (...script: string[]) => ({ beside: ['sh'], command: ['sh', '-ec', script.join('\n')] as const })

export const families: Readonly<Record<string, readonly Program[]>> = {
  'interpreted languages': [
    {
      program: 'python3',
      package: 'python3',
      task: 'TLS, SQLite, compression and time zones of its library',
      command: [
        'python3',
        '-c',
        `import ssl, sqlite3, lzma, ctypes, zoneinfo, datetime, locale
ssl.create_default_context()
print(datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin')).utcoffset(), locale.setlocale(locale.LC_ALL, ''), 'ß'.encode('cp1252'))`,
      ],
      prints: "2:00:00 C.UTF-8 b'\\xdf'\n",
    },
    {
      program: 'python3',
      package: 'python3-venv',
      task: 'makes a virtual environment, with pip in it',
      ...sh(
        'python3 -m venv /tmp/v',
        '/tmp/v/bin/python -c "import sys; print(sys.prefix)"',
        '/tmp/v/bin/pip --version | cut -c 1-4',
      ),
      beside: ['sh', 'cut'],
      prints: '/tmp/v\npip \n',
    },
    {
      program: 'perl',
      package: 'perl',
      task: 'its library, encodings and locale',
      command: [
        'perl',
        '-MPOSIX',
        '-MEncode',
        '-MJSON::PP',
        '-MDigest::SHA=sha1_hex',
        '-e',
        'print setlocale(LC_ALL, ""), " ", encode_json([6 * 7]), " ", length(decode("shift_jis", "\\x82\\xa0")), " ", substr(sha1_hex("a"), 0, 4), "\\n"',
      ],
      prints: 'C.UTF-8 [42] 1 86f7\n',
    },
    {
      program: 'ruby',
      package: 'ruby',
      task: 'OpenSSL, YAML and JSON',
      command: [
        'ruby',
        '-ropenssl',
        '-ryaml',
        '-rjson',
        '-e',
        'puts JSON.generate(YAML.load("a: [1, é]")), OpenSSL::Digest::SHA256.hexdigest("a")[0, 4]',
      ],
      prints: '{"a":[1,"é"]}\nca97\n',
    },
    {
      program: 'gem',
      package: 'ruby-rubygems',
      task: 'lists an installed gem (a script of ruby)',
      command: ['gem', 'list', '--local', '--exact', '--no-versions', 'rake', '--silent'],
      prints: '',
    },
    {
      program: 'php',
      package: 'php-cli',
      task: 'time zones, and the modules that the links of /etc/php lead to',
      command: [
        'php',
        '-r',
        'echo (new DateTime("2026-07-01", new DateTimeZone("Europe/Berlin")))->format("P"), " ", json_encode([extension_loaded("posix"), extension_loaded("phar"), iconv("ISO-8859-1", "UTF-8", "\\xe9")], JSON_UNESCAPED_UNICODE), PHP_EOL;',
      ],
      prints: '+02:00 [true,true,"é"]\n',
    },
    {
      program: 'lua',
      package: 'lua5.4',
      task: 'strings and the locale',
      command: ['lua', '-e', 'print(os.setlocale(""), ("x"):rep(3), os.date("%Y", 0))'],
      prints: 'C.UTF-8\txxx\t1970\n',
    },
    {
      program: 'tclsh',
      package: 'tcl',
      task: "its library's packages, encodings, time zones",
      command: ['tclsh', '/task/a.tcl'],
      files: {
        '/task/a.tcl':
          'package require http\nputs [clock format 0 -timezone :Europe/Berlin -format %H:%M]\nputs [string length [encoding convertfrom shiftjis \\x82\\xa0]]\n',
      },
      prints: '01:00\n1\n',
    },
    {
      program: 'node',
      package: 'nodejs',
      task: 'international formats and a child process',
      command: [
        'node',
        '-p',
        'require("child_process").execFileSync(process.execPath, ["-p", "new Date(0).toLocaleString(\'de\', { timeZone: \'Europe/Berlin\' })"]).toString().trim()',
      ],
      prints: '1.1.1970, 01:00:00\n',
    },
    {
      program: 'R',
      package: 'r-base-core',
      task: 'statistics (a script of sh)',
      command: [
        'R',
        '--no-echo',
        '--no-save',
        '-e',
        'cat(median(c(1, 2, 9)), coef(lm(b ~ a, data.frame(a = 1:3, b = c(2, 4, 6)))), "\\n")',
      ],
      prints: '2 0 2 \n',
    },
    {
      program: 'Rscript',
      package: 'r-base-core',
      task: 'starts R',
      command: ['Rscript', '-e', 'cat(toupper(letters[1:3]), "\\n")'],
      prints: 'A B C \n',
    },
    {
      program: 'guile',
      package: 'guile-3.0',
      task: "its library's modules",
      command: [
        'guile',
        '--no-auto-compile',
        '-c',
        '(use-modules (ice-9 regex) (srfi srfi-1)) (display (fold + 0 (iota 5))) (display (match:substring (string-match "b+" "abbc"))) (newline)',
      ],
      prints: '10bb\n',
    },
    {
      program: 'erl',
      package: 'erlang-base',
      task: 'evaluates an expression (a script of sh)',
      command: ['erl', '-noshell', '-eval', 'io:format("~p~n", [lists:sum(lists:seq(1, 10))]), halt().'],
      prints: '55\n',
    },
    {
      program: 'erlc',
      package: 'erlang-base',
      task: 'compiles a module',
      ...sh('cd /tmp', 'erlc /task/a.erl', 'ls a.beam'),
      beside: ['sh', 'ls'],
      files: { '/task/a.erl': '-module(a).\n-export([f/0]).\nf() -> 1.\n' },
      prints: 'a.beam\n',
    },
    {
      program: 'gawk',
      package: 'gawk',
      task: 'a loadable extension, and time',
      command: ['gawk', '-l', 'ordchr', 'BEGIN { print ord("A"), strftime("%Y", 0), length("é") }'],
      prints: '65 1970 1\n',
    },
  ],
  compilers: [
    {
      program: 'gcc',
      package: 'gcc',
      task: 'compiles, links, and runs what it made, with OpenMP',
      ...sh('gcc -O2 -fopenmp -o /tmp/a /task/a.c -lm', '/tmp/a'),
      files: {
        '/task/a.c':
          '#include <math.h>\n#include <stdio.h>\nint main(int c, char **v) { int s = 0;\n#pragma omp parallel for reduction(+:s)\nfor (int i = 0; i < 9; i++) s += i;\nprintf("%d %g\\n", s, sqrt(c)); }\n',
      },
      prints: '36 1\n',
    },
    {
      program: 'g++',
      package: 'g++',
      task: 'compiles with the standard library',
      ...sh('g++ -std=c++20 -o /tmp/a /task/a.cc', '/tmp/a'),
      files: {
        '/task/a.cc':
          '#include <iostream>\n#include <map>\n#include <regex>\nint main() { std::map<std::string, int> m{{"a", 1}}; std::cout << m["a"] << std::regex_match("ab", std::regex("a.")) << "\\n"; }\n',
      },
      prints: '11\n',
    },
    {
      program: 'go',
      package: 'golang-go',
      task: 'builds a program of several packages, and runs it',
      ...sh('cd /tmp', 'go build -o a /task/a.go', './a'),
      files: {
        '/task/a.go':
          'package main\nimport ("fmt"; "strings"; "net/http"; "time")\nfunc main() { z, e := time.LoadLocation("Europe/Berlin"); fmt.Println(strings.ToUpper("ok"), http.StatusOK, z, e) }\n',
      },
      env: { GOCACHE: '/tmp/cache', GO111MODULE: 'off' },
      prints: 'OK 200 Europe/Berlin <nil>\n',
    },
    {
      program: 'rustc',
      package: 'rustc',
      task: 'compiles, links, and runs what it made',
      ...sh('rustc -O -o /tmp/a /task/a.rs', '/tmp/a'),
      files: {
        '/task/a.rs':
          'use std::collections::HashMap;\nfn main() { let mut m = HashMap::new(); m.insert("a", 42); println!("{:?}", m); }\n',
      },
      prints: '{"a": 42}\n',
    },
    {
      program: 'ghc',
      package: 'ghc',
      task: 'compiles, links, and runs what it made (a script of sh)',
      ...sh('cp /task/a.hs /tmp/a.hs', 'ghc -v0 -o /tmp/a /tmp/a.hs', '/tmp/a'),
      beside: ['sh', 'cp'],
      files: {
        '/task/a.hs': 'import qualified Data.Map as M\nmain = print (M.toList (M.fromListWith (+) [(1, 2), (1, 3)]))\n',
      },
      prints: '[(1,5)]\n',
    },
    {
      program: 'runghc',
      package: 'ghc',
      task: 'interprets a program',
      command: ['runghc', '/task/a.hs'],
      files: { '/task/a.hs': 'main = print (sum [1 .. 10])\n' },
      prints: '55\n',
    },
    {
      program: 'ocaml',
      package: 'ocaml-nox',
      task: 'interprets a program',
      command: ['ocaml', '/task/a.ml'],
      files: { '/task/a.ml': 'let () = print_endline (String.concat "," (List.map string_of_int [1; 2]))\n' },
      prints: '1,2\n',
    },
    {
      program: 'ocamlfind',
      package: 'ocaml-findlib',
      task: 'finds a package',
      command: ['ocamlfind', 'query', '-format', '%p', 'unix'],
      prints: 'unix\n',
    },
    {
      program: 'ocamlopt',
      package: 'ocaml-nox',
      task: 'compiles, links, and runs what it made',
      ...sh('cp /task/a.ml /tmp/a.ml', 'ocamlopt -o /tmp/a unix.cmxa /tmp/a.ml', '/tmp/a'),
      beside: ['sh', 'cp'],
      files: { '/task/a.ml': 'let () = Printf.printf "%d %b\\n" (6 * 7) (Unix.getpid () > 1)\n' },
      prints: '42 true\n',
    },
    {
      program: 'fpc',
      package: 'fp-compiler',
      task: 'compiles, links, and runs what it made',
      ...sh('fpc -v0 -o/tmp/a /task/a.pas >/dev/null', '/tmp/a'),
      files: { '/task/a.pas': 'program a;\nuses sysutils;\nbegin writeln(IntToStr(6 * 7)); end.\n' },
      prints: '42\n',
    },
    {
      program: 'gnatmake',
      package: 'gnat',
      task: 'compiles, links, and runs what it made',
      ...sh('cd /tmp', 'gnatmake -q -o /tmp/a /task/a.adb', '/tmp/a'),
      files: { '/task/a.adb': 'with Ada.Text_IO;\nprocedure A is begin Ada.Text_IO.Put_Line ("ada"); end A;\n' },
      prints: 'ada\n',
    },
    {
      program: 'gfortran',
      package: 'gfortran',
      task: 'compiles, links, and runs what it made',
      ...sh('gfortran -o /tmp/a /task/a.f90', '/tmp/a'),
      files: { '/task/a.f90': "program a\nprint '(I2)', 6 * 7\nend program\n" },
      prints: '42\n',
    },
  ],
  'virtual machines': [
    {
      program: 'java',
      package: 'openjdk-17-jdk-headless',
      task: 'compiles a source file and runs it, with TLS and time zones',
      command: ['java', '-Xmx128m', '-XX:+UseSerialGC', '/task/A.java'],
      files: {
        '/task/A.java':
          'class A { public static void main(String[] a) throws Exception { javax.net.ssl.SSLContext.getDefault(); System.out.println(java.time.ZoneId.of("Europe/Berlin") + " " + new String("é".getBytes("UTF-8"), "UTF-8").length()); } }\n',
      },
      prints: 'Europe/Berlin 1\n',
    },
    {
      program: 'javac',
      package: 'openjdk-17-jdk-headless',
      task: 'compiles a class, which java runs',
      ...sh('javac -d /tmp /task/A.java', 'java -Xmx64m -cp /tmp A'),
      beside: ['sh', 'java'],
      files: { '/task/A.java': 'class A { public static void main(String[] a) { System.out.println(6 * 7); } }\n' },
      prints: '42\n',
    },
    {
      program: 'mcs',
      package: 'mono-mcs',
      task: 'compiles a class, which mono runs (a script of sh)',
      ...sh('mcs -out:/tmp/a.exe /task/a.cs', 'mono /tmp/a.exe'),
      beside: ['sh', 'mono'],
      files: {
        '/task/a.cs':
          'using System; using System.Linq; class A { static void Main() { Console.WriteLine(new[] { 1, 2 }.Select(x => x * 21).Last()); } }\n',
      },
      prints: '42\n',
    },
    {
      program: 'mvn',
      package: 'maven',
      task: 'checks a project (a script of sh that starts java)',
      // It resets the colours of what is no terminal, too.
      ...sh('mvn -q -B --offline -f /task/pom.xml validate > /tmp/resets', 'echo valid'),
      files: {
        '/task/pom.xml':
          '<project><modelVersion>4.0.0</modelVersion><groupId>a</groupId><artifactId>a</artifactId><version>1</version><packaging>pom</packaging></project>',
      },
      prints: 'valid\n',
    },
  ],
  shells: [
    {
      program: 'bash',
      package: 'bash',
      task: "its locale, time and a process's output",
      command: [
        'bash',
        '-c',
        'read -rN 1 x <<< éa; TZ=Europe/Berlin printf "%s %(%H:%M)T %d\\n" "$x" 0 "\'é"; cat_() { while read -r l; do echo "$l"; done; }; cat_ < <(echo sub)',
      ],
      prints: 'é 01:00 233\nsub\n',
    },
    {
      program: 'dash',
      package: 'dash',
      task: 'a pipeline',
      command: ['dash', '-c', 'echo a | { read x; echo "$x$x"; }'],
      prints: 'aa\n',
    },
    {
      program: 'zsh',
      package: 'zsh',
      task: 'loads modules and functions',
      command: [
        'zsh',
        '-fc',
        'zmodload zsh/datetime zsh/mathfunc; autoload -Uz add-zsh-hook; add-zsh-hook precmd true; TZ=Europe/Berlin strftime %H:%M 0; echo $(( int(sqrt(49)) ))',
      ],
      prints: '01:00\n7\n',
    },
    {
      program: 'fish',
      package: 'fish',
      task: 'its functions and builtins',
      command: ['fish', '-c', 'string join , (seq 3); set -l x (string upper é); echo $x; contains a b a; and echo in'],
      beside: ['seq'],
      prints: '1,2,3\nÉ\nin\n',
    },
    {
      program: 'busybox',
      package: 'busybox',
      task: 'several programs of one file',
      command: [
        'busybox',
        'sh',
        '-c',
        'echo b a | busybox tr " " "\\n" | busybox sort | busybox md5sum | busybox cut -c 1-4',
      ],
      prints: 'dd8c\n',
    },
    {
      program: 'tmux',
      package: 'tmux',
      task: 'a session with its terminal description',
      ...sh(
        'tmux -f /dev/null -S /tmp/s new-session -d -x 40 -y 9 sh',
        'tmux -S /tmp/s list-sessions -F "#{window_width}"',
        'tmux -S /tmp/s kill-server',
      ),
      prints: '40\n',
    },
  ],
  'text and documents': [
    {
      program: 'pandoc',
      package: 'pandoc',
      task: 'Markdown to a word processor and back',
      ...sh(
        'printf "# T\\n\\n*x*\\n" | pandoc -f markdown -t docx -o /tmp/a.docx',
        'pandoc -f docx -t html /tmp/a.docx',
      ),
      prints: '<h1 id="t">T</h1>\n<p><em>x</em></p>\n',
    },
    {
      program: 'groff',
      package: 'groff-base',
      task: 'formats a page',
      ...sh("printf 'Vi\\\\(:al\\n' | groff -Tutf8 -P-c | head -n 1"),
      beside: ['sh', 'head'],
      prints: 'Viäl\n',
    },
    {
      program: 'man',
      package: 'man-db',
      task: 'formats a page (starts groff and less)',
      command: ['man', '--pager=cat', '-E', 'UTF-8', '/task/a.1'],
      beside: ['cat'],
      files: { '/task/a.1': '.TH A 1 x y z\n.SH NAME\na \\- b\n' },
      env: { MANWIDTH: '40' },
      prints:
        'A(1)               z              A(1)\n\nNAME\n       a - b\n\ny                  x              A(1)\n',
    },
    {
      program: 'less',
      package: 'less',
      task: 'shows a file',
      command: ['less', '-FX', '/task/a'],
      files: { '/task/a': 'é\n' },
      env: { TERM: 'xterm' },
      prints: 'é\n',
    },
    {
      program: 'vim',
      package: 'vim',
      task: 'edits a file with its runtime',
      ...sh(
        'cp /task/a /tmp/a',
        "vim -es -u NONE -c 'runtime autoload/paste.vim' -c 'silent %s/a/é/' -c 'if exists(\"g:paste#paste_cmd\") | silent $put =\\\"runtime\\\" | endif' -c wq /tmp/a </dev/null",
        'cat /tmp/a',
      ),
      beside: ['sh', 'cp', 'cat'],
      files: { '/task/a': 'a\n' },
      env: { TERM: 'xterm' },
      prints: 'é\nruntime\n',
    },
    {
      program: 'nano',
      package: 'nano',
      task: 'starts on a terminal with its syntax files',
      ...sh('python3 /task/a.py'),
      beside: ['sh', 'python3'],
      files: {
        '/task/a.py':
          "import os, pty, sys\npid, fd = pty.fork()\nif pid == 0: os.execvp('nano', ['nano', '-Y', 'c', '/tmp/a.c'])\nsaid = b''\nsent = False\ntry:\n    while True:\n        said += os.read(fd, 4096)\n        if not sent and b'nano' in said: sent = True; os.write(fd, b'\\x18')\nexcept OSError: pass\nprint(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), b'rror' in said)\n",
      },
      env: { TERM: 'xterm' },
      prints: '0 False\n',
    },
    {
      program: 'jq',
      package: 'jq',
      task: 'a filter with a regular expression and dates',
      ...sh(`echo '{"a":[1,2]}' | jq -c '[.a[] * 2, ("ab" | test("b")), (0 | strftime("%Y"))]'`),
      prints: '[2,4,true,"1970"]\n',
    },
    {
      program: 'file',
      package: 'file',
      task: 'what a file is, from its table',
      command: ['file', '-b', '--mime-type', '/task/a'],
      files: { '/task/a': '%PDF-1.4\n' },
      prints: 'application/pdf\n',
    },
    {
      program: 'iconv',
      package: 'libc-bin',
      task: 'converts between character sets',
      ...sh('printf "\\202\\240" | iconv -f SHIFT_JIS -t UTF-8'),
      prints: 'あ',
    },
    {
      program: 'date',
      package: 'coreutils',
      task: 'a time zone',
      command: ['date', '-d', '@0', '+%H:%M %Z'],
      env: { TZ: 'Europe/Berlin' },
      prints: '01:00 CET\n',
    },
    {
      program: 'sort',
      package: 'coreutils',
      task: "a locale's order",
      ...sh('printf "%s\\n" b é a | sort | tr "\\n" " "', 'wc -m < /task/a'),
      beside: ['sh', 'tr', 'wc'],
      files: { '/task/a': 'é\n' },
      prints: 'a b é 2\n',
    },
    {
      program: 'tput',
      package: 'ncurses-bin',
      task: "a terminal's description",
      command: ['tput', '-T', 'xterm-256color', 'colors'],
      prints: '256\n',
    },
    {
      program: 'xsltproc',
      package: 'xsltproc',
      task: 'a stylesheet',
      command: ['xsltproc', '/task/a.xsl', '/task/a.xml'],
      files: {
        '/task/a.xml': '<a>x</a>',
        '/task/a.xsl':
          '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:output method="text"/><xsl:template match="/">[<xsl:value-of select="a"/>]</xsl:template></xsl:stylesheet>',
      },
      prints: '[x]',
    },
  ],
  pictures: [
    {
      program: 'convert',
      package: 'imagemagick',
      task: 'draws a picture, reads it again',
      ...sh(
        'convert -size 8x4 gradient:red-blue /tmp/a.png',
        'convert /tmp/a.png -format %m%w /tmp/a.jpg',
        'identify -format "%m %w %h\\n" /tmp/a.jpg',
      ),
      beside: ['sh', 'identify'],
      prints: 'JPEG 8 4\n',
    },
    {
      program: 'dot',
      package: 'graphviz',
      task: 'lays out a graph with its plugins',
      ...sh("echo 'digraph { a -> b }' | dot -Tplain | cut -d ' ' -f 1,2 | head -n 2"),
      beside: ['sh', 'cut', 'head'],
      prints: 'graph 1\nnode a\n',
    },
    {
      program: 'gs',
      package: 'ghostscript',
      task: 'PostScript to PDF and back to text',
      ...sh(
        "printf '/Helvetica findfont 20 scalefont setfont 9 9 moveto (vial) show showpage\\n' > /tmp/a.ps",
        'gs -q -dBATCH -dNOPAUSE -sDEVICE=pdfwrite -o /tmp/a.pdf /tmp/a.ps',
        'gs -q -dBATCH -sDEVICE=txtwrite -o - /tmp/a.pdf | tr -d " \\r"',
      ),
      beside: ['sh', 'tr'],
      prints: 'vial\n',
    },
    {
      program: 'ffmpeg',
      package: 'ffmpeg',
      task: 'makes a film, and looks into it',
      ...sh(
        'ffmpeg -v error -f lavfi -i testsrc=d=1:s=64x48:r=5 /tmp/a.mkv',
        'ffprobe -v error -show_entries stream=width,codec_type -of csv=p=0 /tmp/a.mkv',
      ),
      beside: ['sh', 'ffprobe'],
      prints: 'video,64\n',
    },
  ],
  'data and services': [
    {
      program: 'sqlite3',
      package: 'sqlite3',
      task: 'a query',
      command: ['sqlite3', ':memory:', "select json_object('a', 6 * 7)"],
      prints: '{"a":42}\n',
    },
    {
      program: 'psql',
      package: 'postgresql-client-15',
      task: 'tells its version (a script of perl)',
      ...sh('psql --version | cut -d " " -f 1,2'),
      beside: ['sh', 'cut'],
      prints: 'psql (PostgreSQL)\n',
    },
    {
      program: '/usr/lib/postgresql/15/bin/postgres',
      package: 'postgresql-15',
      task: 'makes a database, serves it, and psql asks it',
      ...sh(
        'cd /usr/lib/postgresql/15/bin',
        './initdb -D /tmp/d >/tmp/log',
        './pg_ctl -s -w -D /tmp/d -l /tmp/log -o "-k /tmp" start',
        "./psql -h /tmp -d postgres -Atc \"select 6 * 7, now() at time zone 'Europe/Berlin' > '2020-01-01'\"",
        './pg_ctl -s -w -D /tmp/d stop',
      ),
      beside: ['sh', ...['initdb', 'pg_ctl', 'psql'].map((name) => `/usr/lib/postgresql/15/bin/${name}`)],
      prints: '42|t\n',
    },
    {
      program: 'nginx',
      package: 'nginx-light',
      task: 'checks a configuration',
      command: ['nginx', '-q', '-t', '-c', '/task/n.conf', '-e', 'stderr'],
      files: {
        '/task/n.conf':
          'pid /tmp/n.pid; error_log stderr; events {}\nhttp { include /etc/nginx/mime.types; access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s; }\n',
      },
      prints: '',
    },
    {
      program: 'socat',
      package: 'socat',
      task: 'a command behind a socket',
      ...sh(
        'socat UNIX-LISTEN:/tmp/s EXEC:"echo hello" & while [ ! -S /tmp/s ]; do :; done',
        'socat -u UNIX-CONNECT:/tmp/s -',
      ),
      beside: ['sh', 'echo'],
      prints: 'hello\n',
    },
  ],
  'version control': [
    {
      program: 'git',
      package: 'git',
      task: 'a repository with a commit, cloned, and a shell script of git',
      ...sh(
        'cd /tmp',
        'git init -q -b main a',
        'cd a',
        'git -c user.name=v -c user.email=v@w commit -q --allow-empty -m first',
        'cd ..',
        'git clone -q a b 2>/dev/null',
        'git -C b log --format=%s',
        'git -C b submodule status',
        'git -C b grep -q x || echo none',
      ),
      prints: 'first\nnone\n',
    },
    {
      program: 'hg',
      package: 'mercurial',
      task: 'a repository with a commit (a script of python)',
      ...sh('cd /tmp', 'hg init a', 'cd a', 'echo x > f', 'hg commit -q -A -u v -m first', "hg log -T '{desc}\\n'"),
      prints: 'first\n',
    },
  ],
  'network and keys': [
    {
      program: 'curl',
      package: 'curl',
      task: 'reads a file, and its certificates for an address without an answer',
      ...sh('curl -s file:///task/a', 'curl -s https://127.0.0.1:1/ || echo $?'),
      files: { '/task/a': 'x\n' },
      prints: 'x\n7\n',
    },
    {
      program: 'openssl',
      package: 'openssl',
      task: 'makes a certificate, loads the legacy provider',
      ...sh(
        'cd /tmp',
        'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out c -subj /CN=v 2>/dev/null',
        'openssl x509 -in c -noout -subject',
        'printf a | openssl dgst -md4 -provider legacy -provider default | cut -d " " -f 2 | cut -c 1-4',
      ),
      beside: ['sh', 'cut'],
      prints: 'subject=CN = v\nbde5\n',
    },
    {
      program: 'ssh-keygen',
      package: 'openssh-client',
      task: 'makes a key',
      ...sh('ssh-keygen -q -t ed25519 -N "" -C v -f /tmp/k', 'cut -d " " -f 1,3 /tmp/k.pub'),
      beside: ['sh', 'cut'],
      prints: 'ssh-ed25519 v\n',
    },
    {
      program: 'gpg',
      package: 'gpg',
      task: 'encrypts and decrypts with a password (starts gpg-agent)',
      ...sh(
        'mkdir -m 700 /tmp/g',
        'echo secret | gpg --homedir /tmp/g --batch --quiet --passphrase p --pinentry-mode loopback -c -o /tmp/a',
        'gpg --homedir /tmp/g --batch --quiet --passphrase p --pinentry-mode loopback -d /tmp/a',
      ),
      beside: ['sh', 'mkdir'],
      prints: 'secret\n',
    },
    {
      program: 'rsync',
      package: 'rsync',
      task: 'copies a tree',
      ...sh('rsync -r /task/ /tmp/b', 'cat /tmp/b/a'),
      beside: ['sh', 'cat'],
      files: { '/task/a': 'x\n' },
      prints: 'x\n',
    },
    {
      program: 'getent',
      package: 'libc-bin',
      task: 'services, protocols and accounts',
      ...sh('getent services 443/tcp | tr -s " "', 'getent protocols 6 | tr -s " "', 'getent passwd 0 | cut -d : -f 1'),
      beside: ['sh', 'tr', 'cut'],
      prints: 'https 443/tcp\ntcp 6 TCP\nroot\n',
    },
  ],
  'building and packing': [
    {
      program: 'make',
      package: 'make',
      task: 'a rule',
      command: ['make', '-s', '-f', '/task/m'],
      beside: ['tr'],
      files: { '/task/m': 'all:\n\t@echo made | tr a-z A-Z\n' },
      prints: 'MADE\n',
    },
    {
      program: 'cmake',
      package: 'cmake',
      task: 'configures a project in C, and ninja builds it',
      ...sh('cmake -G Ninja -S /task -B /tmp/b >/dev/null', 'cmake --build /tmp/b >/dev/null', '/tmp/b/a'),
      beside: ['sh', 'gcc', 'ninja'],
      files: {
        '/task/CMakeLists.txt':
          'cmake_minimum_required(VERSION 3.10)\nproject(a C)\nfind_package(Threads)\nadd_executable(a a.c)\n',
        '/task/a.c': '#include <stdio.h>\nint main() { puts("built"); }\n',
      },
      prints: 'built\n',
    },
    {
      program: 'bison',
      package: 'bison',
      task: 'a parser (reads its skeletons, starts m4)',
      ...sh('bison -o /tmp/a.c /task/a.y', 'head -c 2 /tmp/a.c'),
      beside: ['sh', 'head'],
      files: { '/task/a.y': '%code { int yylex(void); void yyerror(const char *); }\n%%\na: ;\n%%\n' },
      prints: '/*',
    },
    {
      program: 'flex',
      package: 'flex',
      task: 'a scanner (starts m4)',
      ...sh('flex -o /tmp/a.c /task/a.l', 'grep -c yylex /tmp/a.c >/dev/null && echo scanner'),
      beside: ['sh', 'grep'],
      files: { '/task/a.l': '%%\na ;\n%%\n' },
      prints: 'scanner\n',
    },
    {
      program: 'tar',
      package: 'tar',
      task: 'an archive that xz packs (starts xz)',
      ...sh('tar -C / -cJf /tmp/a.tar.xz task', 'tar -tf /tmp/a.tar.xz'),
      beside: ['sh'],
      files: { '/task/a': '' },
      prints: 'task/\ntask/a\n',
    },
    {
      program: 'zstd',
      package: 'zstd',
      task: 'packs and unpacks',
      ...sh('echo x | zstd -q | zstd -dq'),
      prints: 'x\n',
    },
    {
      program: 'zip',
      package: 'zip',
      task: 'packs, and unzip unpacks',
      ...sh('cd /tmp', 'zip -q a.zip /task/a', 'unzip -p a.zip'),
      beside: ['sh', 'unzip'],
      files: { '/task/a': 'é\n' },
      prints: 'é\n',
    },
    {
      program: 'strip',
      package: 'binutils',
      task: "makes a program's copy smaller",
      ...sh('strip -o /tmp/a /bin/sh', '/tmp/a -c "echo runs"'),
      prints: 'runs\n',
    },
  ],
  '/usr/sbin': [
    {
      program: 'ip',
      package: 'iproute2',
      task: "the sandbox's own loopback",
      ...sh('ip -o link show lo | cut -d " " -f 2', 'ip route show table main'),
      beside: ['sh', 'cut'],
      prints: 'lo:\n',
    },
    {
      program: 'ldconfig',
      package: 'libc-bin',
      task: 'tells its version',
      ...sh('ldconfig -p | head -c 0', 'echo read'),
      beside: ['sh', 'head'],
      prints: 'read\n',
    },
    {
      program: 'zic',
      package: 'libc-bin',
      task: 'compiles a time zone',
      ...sh('echo "Zone v 1:00 - V" | zic -d /tmp/z -', 'TZDIR=/tmp/z TZ=v date -d @0 +%H%Z'),
      beside: ['sh', 'date'],
      prints: '01V\n',
    },
    {
      program: 'mke2fs',
      package: 'e2fsprogs',
      task: 'a filesystem in a file (reads /etc/mke2fs.conf)',
      ...sh('mke2fs -q -t ext4 /tmp/a 4m >/dev/null', 'dumpe2fs -h /tmp/a 2>/dev/null | grep -c extent'),
      beside: ['sh', 'dumpe2fs', 'grep'],
      prints: '1\n',
    },
  ],
}

/** Debian's own programs, not what an administrator or a version manager put before them. */
const path = ['/usr/bin', '/usr/sbin']

const isPresent = (name: string) =>
  name.includes('/') ? installed(name) : path.some((directory) => installed(`${directory}/${name}`))

/** Why a program's task cannot be tried here, as the value of a test's `skip`. */
export function absent({ program, beside = [] }: Program): string | false {
  const missing = [program, ...beside].filter((name) => !isPresent(name))
  return missing.length > 0 && `not installed: ${missing.join(', ')}`
}

/** A program's closure, or the preset, with the files of its task. */
export function policyOf({ program, beside = [], files = {}, env = {} }: Program, preset?: Policy['preset']): Policy {
  return {
    ...(preset === undefined ? { fill: { program: [program, ...beside], path: path.join(':') } } : { preset }),
    env: { set: { PATH: path.join(':'), ...env } },
    filesystem: Object.entries(files).map(([file, content]) => ({ file, content })),
  }
}
