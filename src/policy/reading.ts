/** Texts of a policy that are read as data: each is read in one place, which says what is wrong, too. */

/** What a text stands for, or why it stands for nothing. */
export type Read<Value> = Value | { readonly fault: string }

export const isFault = (read: object): read is { readonly fault: string } => 'fault' in read

/**
 * The two sides of such a reader, as schemas ask for them.
 * @param otherwise the fault of a value that is no text
 */
export const reading = <Value extends object>(read: (text: string) => Read<Value>, otherwise: string) => ({
  /** What is wrong with a value; nothing is wrong: undefined. */
  fault(value: unknown): string | undefined {
    if (typeof value !== 'string') return otherwise
    const found = read(value)
    return isFault(found) ? found.fault : undefined
  },
  /** As data; undefined when the text is none. */
  parse(text: string): Value | undefined {
    const found = read(text)
    return isFault(found) ? undefined : found
  },
})
