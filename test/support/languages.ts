/** A small program of each language: it reads a file and its standard input, sorts, makes garbage in threads of its own, sleeps and prints. */
import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Policy } from '../../src/index.js'
import type { profileNames } from '../../src/seccomp/profileSchema.js'

export const columns = ['default', 'strict', 'nested'] as const satisfies readonly (typeof profileNames)[number][]
type Column = (typeof columns)[number]

export interface Language {
  readonly name: string
  /** Programs that have to be installed, by name. */
  readonly needs: readonly string[]
  /** In a directory of their own, which is /p inside. */
  readonly sources: Readonly<Record<string, string>>
  /** What makes the program, before and outside of any sandbox. */
  readonly build?: readonly string[]
  readonly command: readonly [string, ...string[]]
  readonly prints: string
  /** A profile under which it does not run, and what it says there. */
  readonly refused?: Readonly<Partial<Record<Column, RegExp>>>
  readonly filesystem?: Policy['filesystem']
}

export const input = '5\n4\n'
const data = { data: '3\n1\n2\n' }
const prints = '1 2 3 4 5 80\n'
const hello = '#include <stdio.h>\nint main(void) { puts("made"); }\n'

export const languages: readonly Language[] = [
  {
    name: 'C',
    needs: ['gcc'],
    sources: {
      ...data,
      'main.c': `#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
static int order(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
static void *work(void *total) { for (int i = 0; i < 20; i++) { char *p = malloc(1 << 20); memset(p, 1, 1 << 20); __atomic_add_fetch((int *)total, p[i], __ATOMIC_SEQ_CST); free(p); } return 0; }
int main(int argc, char **argv) {
  int n = 0, total = 0, all[9]; pthread_t t[4]; FILE *f = fopen(argv[1], "r");
  while (fscanf(f, "%d", &all[n]) == 1) n++;
  while (scanf("%d", &all[n]) == 1) n++;
  qsort(all, n, sizeof *all, order);
  for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, work, &total);
  for (int i = 0; i < 4; i++) pthread_join(t[i], 0);
  nanosleep(&(struct timespec){ 0, 1000000 }, 0);
  for (int i = 0; i < n; i++) printf("%d ", all[i]);
  printf("%d\\n", total);
}
`,
    },
    build: ['gcc', '-w', '-o', 'main', 'main.c', '-pthread'],
    command: ['/p/main', '/p/data'],
    prints,
  },
  {
    name: 'Rust',
    needs: ['rustc'],
    sources: {
      ...data,
      'main.rs': `use std::{env, fs, io, io::Read, thread, time::Duration};
fn main() {
    let mut text = fs::read_to_string(env::args().nth(1).unwrap()).unwrap();
    io::stdin().read_to_string(&mut text).unwrap();
    let mut words: Vec<&str> = text.split_whitespace().collect();
    words.sort();
    let work = || (0..20).map(|_| vec![1u8; 1 << 20].len() >> 20).sum::<usize>();
    let threads: Vec<_> = (0..4).map(|_| thread::spawn(work)).collect();
    let total: usize = threads.into_iter().map(|one| one.join().unwrap()).sum();
    thread::sleep(Duration::from_millis(1));
    println!("{} {}", words.join(" "), total);
}
`,
    },
    build: ['rustc', '-o', 'main', 'main.rs'],
    command: ['/p/main', '/p/data'],
    prints,
  },
  {
    name: 'Go',
    needs: ['go'],
    sources: {
      ...data,
      'main.go': `package main

import ("bufio"; "fmt"; "os"; "runtime"; "sort"; "strings"; "time")

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil { panic(err) }
	words := strings.Fields(string(text))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); { words = append(words, lines.Text()) }
	sort.Strings(words)
	totals := make(chan int)
	for i := 0; i < 4; i++ {
		go func() { n := 0; for j := 0; j < 20; j++ { n += len(make([]byte, 1<<20)) >> 20 }; totals <- n }()
	}
	total := <-totals + <-totals + <-totals + <-totals
	runtime.GC()
	time.Sleep(time.Millisecond)
	fmt.Println(strings.Join(words, " "), total)
}
`,
    },
    build: ['go', 'build', '-o', 'main', 'main.go'],
    command: ['/p/main', '/p/data'],
    prints,
  },
  {
    name: 'Java',
    needs: ['java', 'javac'],
    sources: {
      ...data,
      'Main.java': `import java.nio.file.*; import java.util.*; import java.util.stream.*;
public class Main { public static void main(String[] arguments) throws Exception {
  List<String> words = new ArrayList<>(Files.readAllLines(Path.of(arguments[0])));
  Scanner in = new Scanner(System.in); while (in.hasNextLine()) words.add(in.nextLine());
  Collections.sort(words);
  int total = IntStream.range(0, 80).parallel().map(i -> new byte[1 << 20].length >> 20).sum();
  System.gc(); Thread.sleep(1);
  System.out.println(String.join(" ", words) + " " + total);
} }
`,
    },
    build: ['javac', 'Main.java'],
    command: ['java', '-cp', '/p', 'Main', '/p/data'],
    prints,
  },
  {
    name: 'C# (Mono)',
    needs: ['mono', 'mcs'],
    filesystem: [{ bind: '/etc/mono', optional: true }],
    sources: {
      ...data,
      'main.cs': `using System; using System.Collections.Generic; using System.IO; using System.Linq; using System.Threading;
public class Program { public static void Main(string[] arguments) {
  var words = new List<string>(File.ReadAllLines(arguments[0]));
  string line; while ((line = Console.ReadLine()) != null) words.Add(line);
  words.Sort(StringComparer.Ordinal);
  int total = 0;
  var threads = Enumerable.Range(0, 4).Select(i => new Thread(() => { for (int j = 0; j < 20; j++) Interlocked.Add(ref total, new byte[1 << 20].Length >> 20); })).ToList();
  threads.ForEach(one => one.Start()); threads.ForEach(one => one.Join());
  GC.Collect(); Thread.Sleep(1);
  Console.WriteLine(string.Join(" ", words) + " " + total);
} }
`,
    },
    build: ['mcs', 'main.cs'],
    command: ['mono', '/p/main.exe', '/p/data'],
    prints,
  },
  {
    name: 'JavaScript (Node)',
    needs: ['node'],
    sources: {
      ...data,
      'main.js': `const { promises, readFileSync } = require('node:fs'), { Worker } = require('node:worker_threads'), { gzip } = require('node:zlib')
const main = async () => {
  const words = (await promises.readFile(process.argv[2], 'utf8') + readFileSync(0, 'utf8')).trim().split('\\n').sort()
  let total = 0
  for (let i = 0; i < 80; i++) total += Buffer.alloc(1 << 20).length >> 20
  const text = 'require("node:worker_threads").parentPort.postMessage(1)'
  await new Promise((done) => new Worker(text, { eval: true }).on('message', done))
  await new Promise((done) => gzip('x', done))
  await new Promise((done) => setTimeout(done, 1))
  console.log(words.join(' '), total)
}
main()
`,
    },
    command: ['node', '/p/main.js', '/p/data'],
    prints,
  },
  {
    name: 'Python',
    needs: ['python3'],
    sources: {
      ...data,
      'main.py': `import sys, threading, time, json, hashlib
words = sorted(open(sys.argv[1]).read().split() + sys.stdin.read().split())
counts = []
threads = [threading.Thread(target=lambda: counts.append(sum(len(bytearray(1 << 20)) >> 20 for _ in range(20)))) for _ in range(4)]
for one in threads: one.start()
for one in threads: one.join()
time.sleep(.001)
print(*words, sum(counts))
`,
    },
    command: ['python3', '/p/main.py', '/p/data'],
    prints,
  },
  {
    name: 'Ruby',
    needs: ['ruby'],
    sources: {
      ...data,
      'main.rb': `words = (File.read(ARGV[0]).split + STDIN.read.split).sort
total = 4.times.map { Thread.new { (0...20).sum { ("x" * (1 << 20)).size >> 20 } } }.sum(&:value)
GC.start
sleep 0.001
puts [*words, total].join(" ")
`,
    },
    command: ['ruby', '/p/main.rb', '/p/data'],
    prints,
  },
  {
    name: 'Perl',
    needs: ['perl'],
    sources: {
      ...data,
      'main.pl': `open my $file, '<', $ARGV[0] or die $!;
my @words = sort map { chomp; $_ } <$file>, <STDIN>;
my $total = 0; $total += length('x' x (1 << 20)) >> 20 for 1..80;
select undef, undef, undef, 0.001;
print "@words $total\\n";
`,
    },
    command: ['perl', '/p/main.pl', '/p/data'],
    prints,
  },
  {
    name: 'PHP',
    needs: ['php'],
    sources: {
      ...data,
      'main.php': `<?php
$words = array_merge(file($argv[1], FILE_IGNORE_NEW_LINES), explode("\\n", trim(stream_get_contents(STDIN))));
sort($words);
$total = 0;
for ($i = 0; $i < 80; $i++) $total += strlen(str_repeat('x', 1 << 20)) >> 20;
usleep(1000);
echo implode(' ', $words), ' ', $total, "\\n";
`,
    },
    command: ['php', '/p/main.php', '/p/data'],
    prints,
  },
  {
    name: 'OCaml',
    needs: ['ocaml'],
    sources: {
      ...data,
      'main.ml': `let rec lines from = match input_line from with line -> line :: lines from | exception End_of_file -> []
let () =
  let words = List.sort compare (lines (open_in Sys.argv.(1)) @ lines stdin) in
  let total = ref 0 in
  for _ = 1 to 80 do total := !total + Bytes.length (Bytes.make (1 lsl 20) 'x') lsr 20 done;
  Gc.full_major ();
  print_endline (String.concat " " words ^ " " ^ string_of_int !total)
`,
    },
    command: ['ocaml', '/p/main.ml', '/p/data'],
    prints,
  },
  {
    name: 'Guile',
    needs: ['guile'],
    sources: {
      'main.scm': '(use-modules (ice-9 rdelim))\n(display (apply + (read) (read) (iota 1000))) (newline)\n',
    },
    command: ['guile', '--no-auto-compile', '/p/main.scm'],
    prints: '499509\n',
  },
  {
    name: 'Lua',
    needs: ['lua5.4'],
    sources: {
      ...data,
      'main.lua': `local words, total = {}, 0
for line in io.lines(arg[1]) do words[#words + 1] = line end
for line in io.lines() do words[#words + 1] = line end
table.sort(words)
for _ = 1, 80 do total = total + (#string.rep('x', 1 << 20) >> 20) end
collectgarbage()
print(table.concat(words, ' ') .. ' ' .. total)
`,
    },
    command: ['lua5.4', '/p/main.lua', '/p/data'],
    prints,
  },
  {
    name: 'bash, its own words',
    needs: ['bash'],
    sources: {
      ...data,
      'main.sh':
        'mapfile -t words < "$1"; while read -r line; do words+=("$line"); done\nset --; for i in 0 1 2 3 4; do set -- "$@" "$((words[i]))"; done; echo "$@"\n',
    },
    command: ['bash', '/p/main.sh', '/p/data'],
    prints: '3 1 2 5 4\n',
  },
  {
    name: 'bash, a pipeline',
    needs: ['bash'],
    sources: {},
    command: ['bash', '-c', 'sort | head -n 1'],
    prints: '4\n',
    refused: { strict: /^bash: fork: Operation not permitted$/m },
  },
  {
    name: 'gcc, compiling',
    needs: ['gcc'],
    sources: { 'main.c': hello },
    command: ['gcc', '/p/main.c', '-o', '/tmp/main'],
    prints: '',
    refused: { strict: /Operation not permitted/ },
  },
]

/** The system's own, not one that a version manager put before it: all users see it. */
export const PATH = '/usr/local/bin:/usr/bin:/bin'

/** Writes the sources of one, and makes the program. */
export function build({ sources, build }: Language, directory: string): void {
  for (const [file, text] of Object.entries(sources)) writeFileSync(join(directory, file), text)
  if (build !== undefined) {
    const env = { ...process.env, HOME: homedir() }
    const made = spawnSync(build[0]!, build.slice(1), { cwd: directory, encoding: 'utf8', env })
    if (made.status !== 0) throw new Error(`${build.join(' ')}: ${made.stderr}`)
  }
  chmodSync(directory, 0o755)
}
