/**
 * Sentences about a policy. What they say of its keys is data: the library names the key, the command the flag that set it, and
 * both say the same sentence.
 */

/** What a sentence names, besides its text. */
export type Named =
  /** A key, by its path, such as `limits.memory`. */
  | { readonly key: string }
  /** A key with a value: what there is, or what to write. */
  | { readonly key: string; readonly value: unknown }
  /** An entry of `filesystem` to write; and as a flag, which says the same. */
  | { readonly entry: object; readonly flag: string }
  /** What can be said in a policy only. */
  | { readonly aside: string }

/** How keys are named to a reader. */
export interface Names {
  /** What a fault begins with: where it is. */
  at(path: string): string
  /** A key within a sentence. */
  key(path: string): string
  /** A key that has this value, or could have it. */
  setting(path: string, value: unknown): string
  entry(entry: object, flag: string): string
  /** Whether the reader writes a policy at all. */
  readonly ofPolicy: boolean
}

/** As a policy has them: the words of the library, and of a compiled vial. */
export const policyNames: Names = {
  at: (path) => path,
  key: (path) => path,
  setting: (path, value) => `${path}: ${JSON.stringify(value)}`,
  entry: (entry) => JSON.stringify(entry),
  ofPolicy: true,
}

/** What can be said to readers who know a policy by different names. */
export interface Tellable {
  tell(names: Names): string
}

/** A sentence. */
export class Words implements Tellable {
  constructor(readonly parts: readonly (string | Named)[]) {}

  tell(names: Names): string {
    return this.parts.map((part) => (typeof part === 'string' ? part : nameOf(part, names))).join('')
  }

  toString(): string {
    return this.tell(policyNames)
  }
}

function nameOf(part: Named, names: Names): string {
  if ('aside' in part) return names.ofPolicy ? part.aside : ''
  if ('entry' in part) return names.entry(part.entry, part.flag)
  return 'value' in part ? names.setting(part.key, part.value) : names.key(part.key)
}

/** A sentence from a template, such as `` words`needs ${key('limits.memory')}` ``. */
export function words(texts: TemplateStringsArray, ...named: readonly (string | number | Named | Words)[]): Words {
  return new Words(
    texts.flatMap((text, index) => {
      const part = named[index]
      return [text, ...(part === undefined ? [] : part instanceof Words ? part.parts : [asPart(part)])]
    }),
  )
}

const asPart = (part: string | number | Named) => (typeof part === 'number' ? String(part) : part)

/** Sentences with something between them. */
export function joined(all: readonly (string | Named | Words)[], between: string): Words {
  return new Words(
    all.flatMap((one, index) => [...(index === 0 ? [] : [between]), ...(one instanceof Words ? one.parts : [one])]),
  )
}

/** Adds what only the writer of a policy can do. */
export const aside = (text: string): Named => ({ aside: text })

/** Text, or a sentence that names keys. */
export type Said = string | Words

export const tell = (said: Said, names: Names) => (typeof said === 'string' ? said : said.tell(names))
