/** docs/lab.md. */
import { features } from './jobs.js'
import { factRows, markdown, type Outcome, tableRows } from './table.js'

export const document = (outcomes: readonly Outcome[]): string => `# The lab

\`npm run lab\` boots Debian's kernels in qemu, without /dev/kvm, with this repository inside, runs tests there, and
writes this page. The tests are the guests' own (\`lab/tests\`) and those of \`test/\`; "12 of 12" are tests that passed.

${markdown(tableRows(outcomes, features))}

## The guests

${markdown([['', ...outcomes.map(({ kernel }) => kernel)], ...factRows(outcomes)])}
`
