/** Standard output, which whoever reads it may close early: `vial explain | head`. */
export function print(text: string): void {
  process.stdout.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit()
  })
  process.stdout.write(text)
}

export const printJson = (value: unknown) => print(`${JSON.stringify(value, null, 2)}\n`)
