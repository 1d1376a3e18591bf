/**
 * Names in a work tree that its owner's other programs execute, obey or keep secrets in. A payload may write there, in its layer; but that
 * never reaches the host. So such a name need not exist, and nothing has to be mounted over it, which would leave an empty file behind.
 */
import { type Found, typeOf } from './workChanges.js'

/** What is protected where `work.protect` says nothing else: at whatever depth, with all in it. */
export const protectedNames: readonly string[] = [
  // git executes hooks, and what its configuration names: githooks(5), git-config(1).
  ...['.git/hooks', '.git/config', '.git/config.worktree', '.git/modules', '.gitconfig', '.gitmodules', '.config/git'],
  // Shells read these as they start, and direnv(1) when a directory is entered.
  ...['.profile', '.bashrc', '.bash_profile', '.bash_login', '.bash_logout', '.bash_aliases', '.inputrc', '.envrc'],
  ...['.zshenv', '.zprofile', '.zshrc', '.zlogin', '.zlogout', '.kshrc', '.cshrc', '.tcshrc', '.login', '.config/fish'],
  // Secrets, and where programs send them.
  ...['.env', '.netrc', '.npmrc', '.yarnrc', '.pypirc', '.ssh', '.gnupg', '.aws', '.docker', '.kube'],
  // Editors execute what these name when the directory is opened.
  ...['.vscode', '.idea', '.vim', '.nvim', '.exrc', '.vimrc', '.nvimrc', '.nvim.lua', '.dir-locals.el', '.mcp.json'],
]

type Name = readonly string[]

/** Filesystems that fold case have `.GIT` for `.git`. Bytes stand for themselves. */
const folded = (names: readonly Buffer[]): Name => names.map((name) => name.toString('latin1').toLowerCase())
const foldedText = (name: string): Name => folded(name.split('/').map((part) => Buffer.from(part)))

/** The same changes, those that are never committed marked. They come sorted: a directory before what is in it. */
export function markProtected(found: readonly Found[], names: readonly string[]): readonly Found[] {
  const wanted = names.map(foldedText)
  const held = new Map<string, Found>()
  const keyOf = (path: Name) => path.join('/')
  const all = found.map((one) => [folded(one.names), one] as const)
  for (const [path, one] of all)
    if (held.has(keyOf(path.slice(0, -1))) || wanted.some((name) => meets(path, name, one))) held.set(keyOf(path), one)
  // What holds something that stays on the host cannot go itself.
  const stays = new Set<string>()
  for (const [path] of all) {
    if (held.get(keyOf(path))?.host === undefined) continue
    for (let length = 1; length < path.length; length++) stays.add(keyOf(path.slice(0, length)))
  }
  return all.map(([path, one]) =>
    held.has(keyOf(path)) || (stays.has(keyOf(path)) && !isDirectoryInBoth(one))
      ? { ...one, change: { ...one.change, protected: true } }
      : one,
  )
}

/** Whether the change is of that name, of what is in it, or of a directory on the way to it that another takes the place of. */
function meets(path: Name, name: Name, one: Found): boolean {
  return path.some((_, start) => {
    const common = Math.min(name.length, path.length - start)
    if (!name.slice(0, common).every((part, index) => path[start + index] === part)) return false
    return common === name.length || !(isDirectoryInBoth(one) || isNewDirectory(one))
  })
}

const isNewDirectory = ({ change, host }: Found) => change.type === 'directory' && host === undefined
const isDirectoryInBoth = ({ change, host }: Found) =>
  change.kind !== 'removed' && change.type === 'directory' && host !== undefined && typeOf(host) === 'directory'
