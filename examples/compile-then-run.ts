/**
 * C from a stranger: compiled in one sandbox, run in another that holds nothing but the result.
 * Run it with: node dist/examples/compile-then-run.js
 *
 * Look at what each of the two sees: the compiler its tools and the source, the program only itself.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sandbox } from 'vial'

const source = `
#include <dirent.h>
#include <stdio.h>
int main(void) {
  DIR *root = opendir("/");
  printf("hello from C; I see");
  for (struct dirent *entry; (entry = readdir(root)) != NULL;)
    if (entry->d_name[0] != '.') printf(" /%s", entry->d_name);
  printf("\\n");
  return 42;
}
`

const work = mkdtempSync(join(tmpdir(), 'vial-example-'))
try {
  writeFileSync(join(work, 'hello.c'), source)

  const compiler = sandbox({
    fill: { program: 'gcc' },
    filesystem: [{ bind: '/work', from: work, writable: true }],
    cwd: '/work',
  })
  const compiled = await compiler.run('gcc', ['-static', '-O2', '-o', 'hello', 'hello.c'])
  console.log(`gcc: status ${compiled.exitCode}, ${Math.round(compiled.durationMs)} ms ${compiled.stderr}`)
  console.log(`in the directory now: ${readdirSync(work).sort().join(' ')}`)

  // No preset, no fill: an empty root, and the program in it.
  const runner = sandbox({ filesystem: [{ bind: '/hello', from: join(work, 'hello') }] })
  const ran = await runner.run('/hello')
  process.stdout.write(ran.stdout)
  console.log(`hello: status ${ran.exitCode}`)

  if (compiled.exitCode !== 0 || ran.stdout !== 'hello from C; I see /hello\n' || ran.exitCode !== 42) {
    console.error('not as it should be')
    process.exitCode = 1
  }
} finally {
  rmSync(work, { recursive: true })
}
