/**
 * One thing that a fill puts inside a sandbox. A key names the kind and its value is always the place inside; `from` is the
 * host's side of a bind and is the same path when absent. Binds are read-only and recursive. Parents that no entry names
 * are plain directories, made when something is put beneath them.
 */
export type FillEntry =
  | { bind: string; from?: string; optional?: boolean }
  | { symlink: string; to: string }
  | { directory: string; mode?: number }
  | { tmpfs: string; mode?: number; size?: number }
  | { file: string; content: string; mode?: number }
  | { file: string; authorities: true; mount: 'readonly' }
  | { proc: string }
  | { dev: string }
