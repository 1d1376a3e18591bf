/** docs/lab.md. */
import type { Feature } from './jobs.js'
import type { Results } from './results.js'
import { factRows, inOrder, markdown, notesOf, tableRows } from './table.js'

/** The tables have these kernels, if there are results of them, in this order. */
export function document(results: Results, kernels: readonly string[], features: readonly Feature[]): string {
  const told = inOrder(results, kernels)
  const notes = notesOf(told, features)
  return `# The lab

\`npm run lab\` boots Debian's kernels in qemu, with this repository inside, runs tests there, and writes this page. There is
no KVM: qemu translates each instruction, so that nothing here says how fast anything is. The tests are the guests' own
(\`lab/tests\`) and those of \`test/\`, run by the guest's root, who becomes an ordinary user where it says so. "12 of 12" are
tests that passed of those that ran; "-" was not run. A run of some jobs or kernels
(\`npm run lab -- --kernel '6.1 arm64' --job cgroup\`) replaces what it ran, in \`lab/results.json\`, and this page.

${markdown(tableRows(told, features))}
${notes.length === 0 ? '' : `\nNot run, or failed, on some of them:\n\n${markdown([['test', '', 'on'], ...notes])}\n`}
## The guests

${markdown([['', ...told.map(([name]) => name)], ...factRows(told)])}
`
}
