/** Submissions to the problem `sum` (a count, then so many numbers: print their sum): a right one in each language, and 25 wrong ones. */
import type { Word } from './judge.js'
import type { LanguageName } from './languages.js'

export interface Submission {
  readonly language: LanguageName
  readonly name: string
  readonly source: string
  readonly word: Word
  /** It is found out by a limit that needs a cgroup. */
  readonly group?: true
}

const right: Readonly<Record<LanguageName, string>> = {
  c: `
    #include <stdio.h>
    int main(void) {
      long long count, number, sum = 0;
      for (scanf("%lld", &count); count-- > 0 && scanf("%lld", &number) == 1;) sum += number;
      printf("%lld\\n", sum);
    }`,
  'c++': `
    #include <iostream>
    int main() {
      long long count, number, sum = 0;
      for (std::cin >> count; count-- > 0 && std::cin >> number;) sum += number;
      std::cout << sum << std::endl;
    }`,
  rust: `
    use std::io::Read;
    fn main() {
      let mut text = String::new();
      std::io::stdin().read_to_string(&mut text).unwrap();
      println!("{}", text.split_whitespace().skip(1).map(|word| word.parse::<i64>().unwrap()).sum::<i64>());
    }`,
  go: `
    package main
    import "fmt"
    func main() {
      var count, number, sum int64
      for fmt.Scan(&count); count > 0; count-- {
        fmt.Scan(&number)
        sum += number
      }
      fmt.Println(sum)
    }`,
  java: `
    import java.util.Scanner;
    public class Main {
      public static void main(String[] arguments) {
        Scanner input = new Scanner(System.in);
        long sum = 0;
        for (int count = input.nextInt(); count > 0; count--) sum += input.nextLong();
        System.out.println(sum);
      }
    }`,
  pascal: `
    var count, number, sum: int64;
    begin
      sum := 0;
      read(count);
      while count > 0 do begin
        read(number);
        sum := sum + number;
        count := count - 1
      end;
      writeln(sum)
    end.`,
  python: `
input()
print(sum(map(int, input().split())))`,
  javascript: `
    const [, ...numbers] = require('node:fs').readFileSync(0, 'utf8').trim().split(/\\s+/).map(Number)
    console.log(numbers.reduce((sum, number) => sum + number, 0))`,
  ruby: 'gets; puts gets.split.map(&:to_i).sum',
  perl: '<>; $sum += $_ for split " ", <>; print "$sum\\n";',
  php: '<?php fgets(STDIN); echo array_sum(explode(" ", trim(fgets(STDIN)))), "\\n";',
  bash: `
    read count; read -a numbers
    for number in "\${numbers[@]}"; do ((sum += number)); done
    echo $sum`,
}

/** Where the accomplice of one of them listens, outside. */
export const accomplicePort = 52_013

const wrong: readonly Submission[] = [
  {
    language: 'c',
    name: 'sums in 32 bits',
    word: 'wrong answer',
    source: right.c.replace('long long count, number, sum', 'int count, number, sum').replaceAll('%lld', '%d'),
  },
  {
    language: 'c',
    name: 'follows a null pointer',
    word: 'runtime error',
    source: 'int main(void) { volatile int *nowhere = 0; return *nowhere; }',
  },
  {
    language: 'c',
    name: 'forks for ever',
    word: 'process limit',
    group: true,
    source: '#include <unistd.h>\nint main(void) { while (fork() >= 0) continue; return 1; }',
  },
  {
    language: 'c',
    name: 'compiles to a gigabyte',
    word: 'compile error',
    source: 'char large[1 << 30] = { 1 };\nint main(void) { return large[5]; }',
  },
  {
    language: 'c++',
    name: 'takes all memory',
    word: 'memory limit',
    group: true,
    source: '#include <vector>\nint main() { for (std::vector<long> all;; all.push_back(1)); }',
  },
  {
    language: 'c++',
    name: 'catches no exception',
    word: 'runtime error',
    source: '#include <vector>\nint main() { return std::vector<int>(3).at(3); }',
  },
  {
    language: 'rust',
    name: 'panics',
    word: 'runtime error',
    source: 'fn main() { let numbers: Vec<i64> = vec![]; println!("{}", numbers[std::env::args().count()]); }',
  },
  {
    language: 'rust',
    name: 'uses what it gave away',
    word: 'compile error',
    source: 'fn main() { let text = String::new(); drop(text); println!("{}", text); }',
  },
  {
    language: 'go',
    name: 'waits for itself',
    word: 'runtime error',
    source: 'package main\nfunc main() { <-make(chan int) }',
  },
  {
    language: 'go',
    name: 'keeps all that it makes',
    word: 'memory limit',
    group: true,
    source: `
      package main
      var all [][]byte
      func main() {
        for {
          some := make([]byte, 1<<20)
          for i := range some { some[i] = 1 }
          all = append(all, some)
        }
      }`,
  },
  {
    language: 'java',
    name: 'reads a number where there is none',
    word: 'runtime error',
    source: right.java.replace('input.nextInt()', 'Integer.parseInt("many")'),
  },
  {
    language: 'java',
    name: 'fills its heap',
    word: 'memory limit',
    source: `
      public class Main {
        public static void main(String[] arguments) {
          var all = new java.util.ArrayList<byte[]>();
          while (true) all.add(new byte[1 << 20]);
        }
      }`,
  },
  {
    language: 'pascal',
    name: 'divides by zero',
    word: 'runtime error',
    source: 'var zero: longint; begin zero := 0; writeln(1 div zero) end.',
  },
  {
    language: 'pascal',
    name: 'loops for ever',
    word: 'time limit',
    group: true,
    source: 'var i: longint; begin i := 0; repeat i := i xor 1 until i = 2 end.',
  },
  {
    language: 'python',
    name: 'loops in two processes',
    word: 'time limit',
    group: true,
    source: 'import os\nos.fork()\nwhile True: pass',
  },
  {
    language: 'python',
    name: 'looks for the answer',
    word: 'runtime error',
    source: `
import os, sys
question = sys.stdin.read()
for directory, _, names in os.walk('/'):
  for name in names:
    if name.endswith('.input') and open(os.path.join(directory, name)).read() == question:
      print(open(os.path.join(directory, name.replace('.input', '.answer'))).read())
      sys.exit()
sys.exit('no answer is to be seen')`,
  },
  {
    language: 'python',
    name: 'fills the disk',
    word: 'runtime error',
    source: "with open('/tmp/large', 'wb') as file:\n  while True: file.write(bytes(1 << 20))",
  },
  {
    language: 'javascript',
    name: 'asks an accomplice',
    word: 'runtime error',
    source: `
      const socket = require('node:net').connect(${accomplicePort}, '127.0.0.1')
      process.stdin.pipe(socket).pipe(process.stdout)`,
  },
  {
    language: 'javascript',
    name: 'writes for ever',
    word: 'output limit',
    source: "for (;;) require('node:fs').writeSync(1, 'x'.repeat(1000))",
  },
  {
    language: 'ruby',
    name: 'says more than it is asked',
    word: 'wrong answer',
    source: 'gets; puts "The sum is #{gets.split.map(&:to_i).sum}"',
  },
  {
    language: 'perl',
    name: 'sleeps',
    word: 'idleness limit',
    source: 'sleep 1000;',
  },
  {
    language: 'perl',
    name: 'kills itself',
    word: 'runtime error',
    source: 'kill "KILL", $$;',
  },
  {
    language: 'php',
    name: 'calls what is not there',
    word: 'runtime error',
    source: '<?php sum_of_all();',
  },
  {
    language: 'php',
    name: 'says nothing',
    word: 'wrong answer',
    source: '<?php exit(0);',
  },
  {
    language: 'bash',
    name: 'changes its own source',
    word: 'runtime error',
    source: `echo '# changed' >> main.sh || exit\n${right.bash}`,
  },
]

export const submissions: readonly Submission[] = [
  ...Object.entries(right).map(([language, source]) => ({
    language: language as LanguageName,
    name: 'adds',
    source: `${source.trimStart()}\n`,
    word: 'accepted' as const,
  })),
  ...wrong.map((one) => ({ ...one, source: `${one.source.trimStart()}\n` })),
]
