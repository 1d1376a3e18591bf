/**
 * The runner's own report, with every skipped test and its reason before the closing figures. A skip that matches no line
 * of the file named by VIAL_EXPECTED_SKIPS (regular expressions, compared with `reason: test`) fails the run: on a machine
 * where everything is installed, a skipped test is a test that is missing. A skip without a reason fails every run.
 */
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { spec, tap } from 'node:test/reporters'

const { VIAL_EXPECTED_SKIPS } = process.env
const noReason = 'no reason is given'
const closing = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/
const expected =
  VIAL_EXPECTED_SKIPS === undefined
    ? [/^/]
    : readFileSync(VIAL_EXPECTED_SKIPS, 'utf8')
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => new RegExp(line))

export default async function* report(source) {
  const inner = process.stdout.isTTY ? Readable.from(withSkips(source)).compose(new spec()) : tap(withSkips(source))
  yield* inner
}

/** The same events, of one run of the runner or of several, but with the skips and the sum of the closing figures at the end. */
async function* withSkips(source) {
  const byReason = new Map()
  const figures = new Map()
  for await (const event of source) {
    const { type, data } = event
    if (type === 'test:pass' && data.skip !== undefined && data.skip !== false) {
      const reason = data.skip === true || data.skip === '' ? noReason : String(data.skip)
      byReason.set(reason, [...(byReason.get(reason) ?? []), data.name])
    }
    const [, name, figure] = (type === 'test:diagnostic' && data.nesting === 0 && closing.exec(data.message)) || []
    if (name === undefined) yield event
    else figures.set(name, (figures.get(name) ?? 0) + Number(figure))
  }
  const messages = [...lines(byReason), ...[...figures].map(([name, figure]) => `${name} ${figure}`)]
  for (const message of messages) yield { type: 'test:diagnostic', data: { nesting: 0, message } }
}

function* lines(byReason) {
  if (byReason.size > 0) yield 'skipped:'
  for (const [reason, names] of byReason) yield `  ${names.length} × ${reason}: ${[...new Set(names)].join('; ')}`
  const unexpected = [...byReason].flatMap(([reason, names]) =>
    names
      .map((name) => `${reason}: ${name}`)
      .filter((line) => reason === noReason || !expected.some((pattern) => pattern.test(line))),
  )
  if (unexpected.length === 0) return
  process.exitCode = 1
  yield `skipped, and not expected to be (${VIAL_EXPECTED_SKIPS ?? 'without a reason'}):`
  for (const line of unexpected) yield `  ${line}`
}
