/** What this process and the program that works on a sandbox's files (filer.ts) tell each other. */

/** What it does, by the number in a request. */
const operations = [
  'read',
  'write',
  'list',
  'stat',
  'tree',
  'mkdir',
  'rename',
  'remove',
  'copy',
  'symlink',
  'watch',
] as const
export type FilesOperation = (typeof operations)[number]
export const numberOf = (operation: FilesOperation): number => operations.indexOf(operation)

/**
 * A request: so many little-endian u64, then its texts, each with a NUL, then its data. `limit`: how many bytes are read, or written by a
 * copy, at most; of a list and a tree, `entries`: how many entries. `data`: how many bytes follow. The others are lengths of texts with their
 * NUL, 0 where there is none: a directory and a name in it; and those that it is renamed to, or copied to. Of a symbolic link `to` is its text.
 */
const fields = [
  'operation',
  'flags',
  'mode',
  'limit',
  'entries',
  'data',
  'directory',
  'name',
  'toDirectory',
  'to',
] as const
export type FilesField = (typeof fields)[number]
export const filesRequest = {
  size: 8 * fields.length,
  offset: (field: FilesField): number => 8 * fields.indexOf(field),
  texts: ['directory', 'name', 'toDirectory', 'to'],
  /** Of one text, with its NUL: PATH_MAX of `linux/limits.h`. */
  longest: 4096,
} as const satisfies { readonly texts: readonly FilesField[]; readonly [key: string]: unknown }

/** `append`: to what is there. `exclusive`: nothing may be there yet. `recursive`: a directory with all that is in it. */
export const filesFlags = { append: 1, exclusive: 2, recursive: 4 } as const

/** Data that goes on to the end of the input. */
export const toEnd = 1n << 62n

/**
 * An answer is frames: two u32, its kind and the length of what follows. Each request ends in one of the kind `end`, with 0 or -errno.
 * An entry has the first part of a struct statx of statx(2), its name (or path) and a NUL, and the text of a symbolic link. In a
 * tree the data behind an entry is what is in that file. Of a watch data are whole structs inotify_event of inotify(7); an empty frame says that it
 * has begun, and it goes on until the input ends.
 */
export const filesAnswer = {
  header: 8,
  /** It could not get into the sandbox: a number of `filesStages`, and an errno, each an u64. */
  failed: 0,
  /** It is in the sandbox. */
  ready: 1,
  data: 2,
  entry: 3,
  /** In a tree: the file or directory of the last entry, or what is left of it, cannot be read; -errno. */
  fault: 4,
  end: 5,
  /** How much of a struct statx. */
  status: 128,
} as const

/** How deep a tree may be. */
export const deepest = 200
