/**
 * The command line of bwrap(1), version 0.11.1, into a request: walks the words, by the table of options. What they ask
 * for is data, and what depends on the host is left to the vial.
 */
import { readFileSync } from 'node:fs'
import { errnoMessage } from '../kernel/errno.js'
import { arity, Stop, options as table } from './bwrapOptions.js'
import type { BwrapRequest } from './bwrapRequest.js'
import { descriptor } from './numbers.js'
import { BwrapError, State } from './state.js'

export type Parsed =
  | { readonly kind: 'help' | 'version' | 'usage'; readonly levelPrefix: boolean }
  | {
      readonly kind: 'run'
      readonly request: BwrapRequest
      /** How many leading arguments are options; the command comes after them. */
      readonly options: number
      readonly warnings: readonly string[]
    }

/** Reads all of a descriptor. */
export type ReadFd = (fd: number) => Buffer

/**
 * Parses the arguments of bwrap.
 * @throws {BwrapError} with bwrap's own words.
 */
export function parse(args: readonly string[], readFd: ReadFd = (fd) => readFileSync(fd)): Parsed {
  const state = new State()
  let options: number
  try {
    options = walk(state, args, readFd)
    requireOverlay(state)
  } catch (error) {
    if (!(error instanceof Stop)) throw error
    return { kind: error.kind, levelPrefix: state.request.levelPrefix }
  }
  if (args.length === 0) return { kind: 'usage', levelPrefix: false }
  const { request, warnings } = state
  contradictions(request)
  if (options === args.length) return { kind: 'usage', levelPrefix: request.levelPrefix }
  return { kind: 'run', request, options, warnings }
}

const numbers = ['no', 'an argument', 'two arguments', 'three arguments']
const mostArguments = 9000

/** Applies the options of a list; the index of the first argument that is none. */
function walk(state: State, args: readonly string[], readFd: ReadFd): number {
  let at = 0
  while (at < args.length) {
    const name = args[at]!
    if (!name.startsWith('-')) break
    at++
    if (name === '--') break
    const option = Object.hasOwn(table, name) ? table[name]! : undefined
    if (option === undefined) throw new BwrapError(`Unknown option ${name}`)
    const values = args.slice(at, at + arity(option))
    if (values.length < arity(option)) throw new BwrapError(`${name} takes ${option.takes ?? numbers[arity(option)]}`)
    at += values.length
    if (option.once && state.seen.has(name)) state.warnings.push(`Only the last ${name} option will take effect`)
    state.seen.add(name)
    if (name === '--args') readArguments(state, values[0]!, readFd)
    else option.apply(state, values, name)
    if (option.modifier) continue
    if (state.perms !== undefined) throw new BwrapError('--perms must be followed by an option that creates a file')
    if (state.size !== undefined) throw new BwrapError('--size must be followed by --tmpfs')
    requireOverlay(state)
  }
  return at
}

function requireOverlay({ layers }: State): void {
  if (layers.length > 0)
    throw new BwrapError(
      '--overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay',
    )
}

function readArguments(state: State, value: string, readFd: ReadFd): void {
  if (state.inArgsFile) throw new BwrapError('--args not supported in arguments file')
  const from = descriptor(value)
  let data: Buffer
  try {
    data = readFd(from)
  } catch (error) {
    const { errno, message } = error as NodeJS.ErrnoException
    throw new BwrapError(`Can't read --args data: ${errno === undefined ? message : errnoMessage(-errno)}`)
  }
  const list = data.toString('utf8').split('\0')
  // What follows the last NUL is an argument too, if there is something.
  if (list.at(-1) === '') list.pop()
  if (list.length > mostArguments) throw new BwrapError(`Exceeded maximum number of arguments ${mostArguments}`)
  state.inArgsFile = true
  walk(state, list, readFd)
  state.inArgsFile = false
}

/** What cannot be asked for together. What needs the caller's id to tell is the plan's to say. */
function contradictions(request: BwrapRequest): void {
  const { unshare, userns, usernsBlockFd } = request
  if (usernsBlockFd !== undefined && unshare.user !== 'yes')
    throw new BwrapError('--userns-block-fd requires --unshare-user')
  if (usernsBlockFd !== undefined && request.infoFd === undefined)
    throw new BwrapError('--userns-block-fd requires --info-fd')
  if (userns !== undefined && unshare.user === 'yes') throw new BwrapError('--userns not compatible --unshare-user')
  if (userns !== undefined && unshare.user === 'try') throw new BwrapError('--userns not compatible --unshare-user-try')
  if (request.disableUserns && unshare.user !== 'yes') throw new BwrapError('--disable-userns requires --unshare-user')
  if (request.disableUserns && usernsBlockFd !== undefined)
    throw new BwrapError('--disable-userns is not compatible with  --userns-block-fd')
}
