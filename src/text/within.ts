/** Waiting for something, but not for ever. */

/** Whether `promise` was fulfilled within so many milliseconds. Rejects when it does so in that time. */
export async function within(milliseconds: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  try {
    return await Promise.race([
      promise.then(() => true),
      new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), milliseconds))),
    ])
  } finally {
    clearTimeout(timer)
  }
}
