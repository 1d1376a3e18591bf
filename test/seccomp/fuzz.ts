/** Random profiles for a long time: `npm run fuzz:seccomp`, or with a number of seconds; ten minutes if none is given. */
import { agree } from './agree.js'

const seconds = Number(process.argv[2] ?? 600)
for (const kind of ['typed', 'oci'] as const) {
  const { profiles, calls, longest, tooLong } = agree(kind, { seconds: seconds / 2 })
  process.stdout.write(
    `${kind}: ${profiles} filters (the longest of ${longest} instructions; ${tooLong} were too long) agreed on ${calls} calls\n`,
  )
}
