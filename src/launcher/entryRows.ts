/** Code for the steps that a plan has many of: the entries of the new root, each a row of a table (see rows.ts). */
import { relative } from 'node:path'
import { copyText, requireSameText } from '../assembly/text.js'
import { variables } from '../assembly/variables.js'
import { errno } from '../kernel/errno.js'
import { AT, OPEN_TREE, S_IS, STATX } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Operand, Slot } from '../machine/instruction.js'
import type { Step } from '../plan/step.js'
import { attachHere } from './attach.js'
import type { Code, LauncherContext } from './launcherContext.js'
import { attributesOf, makeMount, newMountWords, propagationOf, setAttributes, treeOf } from './mounts.js'
import { attachRoot } from './newRoot.js'
import { copyFrom, openRegular, statusBuffer, writeAll } from './openFiles.js'
import { openSource, sourceKind } from './openSource.js'
import { isForeign, isPlanted, locate, placeWords, release, tryFind } from './places.js'
import type { Row, Word } from './rows.js'

type Entry = 'directory' | 'symlink' | 'file' | 'bind' | 'mount'

/** The words of the rows, each kind's own. */
const directoryOf = variables('mode')
const linkOf = variables('target')
const fileOf = variables('mode', 'content', 'length')
const bindOf = variables('source', 'within', 'recursive', 'attributes', 'flags')
const ownerOf = variables('uid', 'gid')

/** Adds a step's row. What its code depends on, and is not in the words, is in the name of its kind. */
export const entryRows: Code<Entry> = {
  directory(c, step) {
    const { b } = c
    const { implicit, ifAllowed = false, owner, place } = step
    const { owned } = place
    const { mode } = directoryOf(b)
    // mkdirat(2) drops the setuid and setgid bits.
    const special = (step.mode & 0o6000) !== 0
    const words: Word[] = [...placeWords(c, place), [mode, step.mode], ...ownerWords(c, step)]
    const kind = named('directory', { implicit, ifAllowed, special, owner: owner !== undefined, owned })
    c.row(step, kind, words, () => {
      if (implicit) return makeImplicit(c, owned, mode, ifAllowed)
      const [there, done] = [b.label(), b.label()]
      // What is there may be found through a link, but nothing is made through one.
      if (!owned) {
        tryFind(c, false)
        b.branch(c.result, 'ne', -errno.ENOENT, there)
      }
      const [at, name] = locate(c, owned)
      const given = special || owner !== undefined
      c.attempt('mkdirat', at, name, given && !owned ? unfinished : mode)
      if (owned)
        c.whenError('EEXIST', () => {
          tryFind(c, true)
          b.jump(there)
        })
      c.orFail()
      if (given) {
        // By descriptor: a name could be that of something else meanwhile.
        const flags = c.open.RDONLY | c.open.DIRECTORY | c.open.NOFOLLOW | c.open.CLOEXEC
        const directory = b.temporary()
        b.move(directory, c.must('openat', at, name, flags, 0))
        if (!owned) requireUnfinished(c, directory)
        if (special || !owned) c.must('fchmod', directory, mode)
        if (owner !== undefined) c.must('fchown', directory, ownerOf(b).uid, ownerOf(b).gid)
        c.attempt('close', directory)
      }
      release(c, owned)
      b.jump(done)
      b.place(there)
      c.orFail()
      requireDirectory(c)
      b.place(done)
    })
  },

  symlink(c, step) {
    const { owned } = step.place
    const { target } = linkOf(c.b)
    const words: Word[] = [...placeWords(c, step.place), [target, step.target]]
    c.row(step, named('symlink', { owned }), words, () => {
      const [at, name] = locate(c, owned)
      c.attempt('symlinkat', target, at, name)
      c.whenError('EEXIST', () => requireLink(c, step, target, at, name))
      c.orFail()
      release(c, owned)
    })
  },

  file(c, step) {
    const { b } = c
    const { content, owner, place } = step
    const { mode, content: from, length } = fileOf(b)
    const byFd = typeof content === 'number'
    const words: Word[] = [
      ...placeWords(c, place),
      [mode, step.mode],
      ...ownerWords(c, step),
      [from, byFd ? content : b.bytes(content)],
      [length, byFd ? 0 : content.length],
    ]
    const { owned } = place
    const [foreign, owns] = [isForeign(place), owner !== undefined]
    const kind = named('file', { byFd, keepsMode: step.keepsMode, owner: owns, owned, foreign })
    c.row(step, kind, words, () => {
      const [at, name] = locate(c, owned)
      const flags = c.open.WRONLY | c.open.CREAT | c.open.CLOEXEC | c.open.NOFOLLOW
      c.attempt('openat', at, name, flags | (owned ? c.open.TRUNC : c.open.EXCL), mode)
      if (!owned)
        c.whenError('EEXIST', () => openRegular(c, at, name, foreign ? { payload: step.payload, mode } : undefined))
      c.orFail()
      const file = b.temporary()
      b.move(file, c.result)
      c.complain(step, 1)
      if (byFd) copyFrom(c, from, file)
      else writeAll(c, file, from, length)
      if (!step.keepsMode) c.must('fchmod', file, mode)
      if (owns) c.must('fchown', file, ownerOf(b).uid, ownerOf(b).gid)
      c.attempt('close', file)
      release(c, owned)
    })
  },

  bind(c, step) {
    const { b } = c
    const { source, optional, place, within, above } = step
    const { source: from, within: outer, recursive, attributes, flags } = bindOf(b)
    const tree = treeOf(b)
    const kind = sourceKind(source)
    const inside = within !== undefined && typeof source === 'string' ? relative(within, source) : undefined
    const words: Word[] = [
      [from, inside ?? source],
      ...(inside === undefined ? [] : [[outer, within!] as const]),
      [recursive, step.recursive ? AT.RECURSIVE : 0],
      [attributes, attributesOf(step.flags)],
    ]
    const open = (missing: () => void) => {
      b.compute(flags, recursive, 'or', OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC)
      openSource(c, {
        from,
        flags,
        ...kind,
        within: inside === undefined ? undefined : outer,
        missing: optional ? missing : undefined,
      })
      b.move(tree, c.result)
    }
    const put = () => {
      c.complain(step, 1)
      b.compute(flags, recursive, 'or', AT.EMPTY_PATH)
      setAttributes(c, { tree, at: flags, set: attributes, propagation: propagationOf(c) })
      attachHere(c, step, 'same')
    }
    const { owned } = place
    const where = { owned, planted: isPlanted(place) }
    const variants = { ...kind, within: inside !== undefined, optional }
    // The directories above a source that may be missing are made once it was found.
    if (above.length > 0 && typeof step.complaint !== 'object') {
      c.rows(step, { kind: named('source', variants), words, body: () => open(() => c.passRows()) }, [
        ...above.map((one) => implicitRow(c, one)),
        { kind: named('put', where), words: placeWords(c, place), body: put },
      ])
      return
    }
    c.row(step, named('bind', { ...variants, ...where }), [...words, ...placeWords(c, place)], () => {
      const done = b.label()
      open(() => b.jump(done))
      for (const one of above) {
        const { words, body } = implicitRow(c, one)
        c.setWords(words)
        body()
      }
      if (above.length > 0) c.setWords(placeWords(c, place))
      put()
      b.place(done)
    })
  },

  mount(c, step) {
    const { owned, path } = step.place
    const planted = isPlanted(step.place)
    const words = [...newMountWords(c, step.type, step.options, step.flags), ...placeWords(c, step.place)]
    c.row(step, named('mount', { root: path === '', owned, planted }), words, () => {
      makeMount(c, {})
      if (path === '') attachRoot(c, treeOf(c.b))
      else attachHere(c, step, 'directory')
    })
  },
}

/** A directory on the way to a place, in the midst of another step. */
function implicitRow(c: LauncherContext, step: Step<'bind'>['above'][number]): Row {
  const { mode, place } = step
  const { owned } = place
  const slot = directoryOf(c.b).mode
  const words: Word[] = [...placeWords(c, place), [slot, mode]]
  return { kind: named('directory, implicit', { owned }), words, body: () => makeImplicit(c, owned, slot) }
}

/**
 * A directory on the way to a place: what is there already may be found through a link, but nothing is made through one.
 * `ifAllowed`: where the caller may not make it, nothing is made.
 */
function makeImplicit(c: LauncherContext, owned: boolean, mode: Operand, ifAllowed = false): void {
  const { b } = c
  const [there, done] = [b.label(), b.label()]
  if (!owned) {
    tryFind(c, false)
    b.branch(c.result, 'ne', -errno.ENOENT, there)
  }
  const [at, name] = locate(c, owned, ifAllowed ? () => b.jump(done) : undefined)
  c.attempt('mkdirat', at, name, mode)
  const made = b.label()
  for (const tolerated of ['EEXIST', ...(ifAllowed ? notAllowed : [])] as const)
    b.branch(c.result, 'eq', -errno[tolerated], made)
  c.orFail()
  b.place(made)
  release(c, owned)
  if (owned) return
  b.jump(done)
  b.place(there)
  c.orFail()
  c.attempt('close', c.result)
  b.place(done)
}

/**
 * The mode of a directory until it is given away: mkdir(2) tells no descriptor of what it made, and others may exchange
 * its name for that of any directory beside it before it is opened. None that is in use is sticky, but closed to all others.
 */
const unfinished = S_IS.VTX | 0o700
const unfinishedMask = S_IS.VTX | 0o077

/** Fails unless the open directory is the one that was just made: of our own user, and {@link unfinished}. */
function requireUnfinished(c: LauncherContext, directory: Slot): void {
  const { b } = c
  const { fields } = structs.statx
  const [mode, owner, exchanged, fine] = [b.temporary(), b.temporary(), b.label(), b.label()]
  c.must('statx', directory, b.text(''), AT.EMPTY_PATH, STATX.BASIC_STATS, statusBuffer(c))
  b.load(mode, 32, statusBuffer(c), fields.stx_mode.offset)
  b.compute(mode, mode, 'and', unfinishedMask)
  b.branch(mode, 'ne', S_IS.VTX, exchanged)
  b.load(owner, 32, statusBuffer(c), fields.stx_uid.offset)
  c.attempt('geteuid')
  b.branch(c.result, 'eq', owner, fine)
  b.place(exchanged)
  c.failWith('ESTALE')
  b.place(fine)
}

/** What we may not make, the payload may not make either: it may do no more than we. */
const notAllowed = ['EACCES', 'EPERM', 'EROFS'] as const

/** `bind, optional, owned`: each variant of a kind has code of its own. */
function named(kind: string, variants: Readonly<Record<string, boolean>>): string {
  let name = kind
  for (const variant in variants) if (variants[variant]) name += `, ${variant}`
  return name
}

function ownerWords({ b }: LauncherContext, { owner }: Step<'directory' | 'file'>): Word[] {
  if (owner === undefined) return []
  return [
    [ownerOf(b).uid, owner.uid],
    [ownerOf(b).gid, owner.gid],
  ]
}

/** What was found, in `result`, must be a directory. */
function requireDirectory(c: LauncherContext): void {
  const { b } = c
  const found = b.temporary()
  b.move(found, c.result)
  c.must('openat', found, b.text('.'), c.open.PATH | c.open.DIRECTORY | c.open.CLOEXEC, 0)
  c.attempt('close', c.result)
  c.attempt('close', found)
}

/** After EEXIST: a link to the same target is as good as a new one. */
function requireLink(c: LauncherContext, step: Step<'symlink'>, target: Slot, at: Slot, name: Operand): void {
  const { b } = c
  const [from, to] = b.temporaries(2)
  const other = b.label()
  const same = b.label()
  c.complain(step, 1)
  c.attempt('readlinkat', at, name, c.scratch, 4095)
  c.whenFailed(() => b.jump(other))
  b.compute(to, c.scratch, 'add', c.result)
  b.store(8, to, 0, 0)
  if (typeof step.complaint === 'object') {
    c.complain(step, 2)
    // The sentence, which is built in the scratch memory too, ends with what the link is.
    const kept = b.reserve(4096)
    b.move(c.detail, kept)
    b.move(to, kept)
    copyText(b, to, c.scratch)
  }
  b.move(from, target)
  b.move(to, c.scratch)
  requireSameText(b, from, to, other)
  b.move(c.result, 0)
  b.jump(same)
  b.place(other)
  b.move(c.result, -errno.EEXIST)
  b.place(same)
}
