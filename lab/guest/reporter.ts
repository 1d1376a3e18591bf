/** A reporter of node:test that prints one line of JSON for each test, and one when it begins: https://nodejs.org/docs/latest-v20.x/api/test.html */

interface Data {
  readonly name: string
  readonly nesting: number
  readonly skip?: string | boolean
  readonly details?: { readonly type?: string; readonly error?: Error & { readonly failureType?: string } }
}

interface Event {
  readonly type: string
  readonly data: Data
}

export default async function* reporter(source: AsyncIterable<Event>) {
  const names: string[] = []
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      names.splice(data.nesting, Number.POSITIVE_INFINITY, data.name)
      yield `${JSON.stringify({ begins: names.join(': ') })}\n`
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue
    // A suite that fails for its tests says nothing that they have not said.
    const { error } = data.details ?? {}
    if (data.details?.type === 'suite' && (type === 'test:pass' ? !data.skip : error?.failureType === 'subtestsFailed'))
      continue
    const test = [...names.slice(0, data.nesting), data.name].join(': ')
    const status = data.skip ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed'
    const cause = (error?.cause as Error | undefined)?.message ?? error?.message
    const why = status === 'failed' ? cause : typeof data.skip === 'string' ? data.skip : undefined
    yield `${JSON.stringify({ test, status, ...(why ? { why } : {}) })}\n`
  }
}
