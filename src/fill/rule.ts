/**
 * What a file needs of the host that its ELF file does not declare. Paths are patterns: `*` stands for any part of a name,
 * `{1}` for what the rule's expression captured (`*` when it captured nothing), `{at}` for the directory of the real file,
 * `{home}` for the directory above that, `{prefix}` for the same of each link that leads to it, so that a venv's directory is
 * found as well as the interpreter's. What does not exist is passed over.
 */
export interface Rule {
  readonly name: string
  /**
   * Is tried on the real path of a program, of a script, and of each library that one loads; of a program that no rule knows by
   * that, on the links that lead to it. Every rule that matches counts.
   */
  readonly match: RegExp
  /** Made visible with the libraries of each program and library inside, and with what links inside lead to. */
  readonly trees?: readonly string[]
  /** Made visible as they are. Of a linker script, what it names too. */
  readonly places?: readonly string[]
  /** Filled in turn: names, which are looked for on PATH, or patterns of paths. */
  readonly programs?: readonly string[]
  /** Loaded with dlopen(3) by name. */
  readonly libraries?: readonly string[]
}
