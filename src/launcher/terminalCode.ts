/**
 * The terminal of a payload: a pair of pseudoterminals of the sandbox's own devpts, pty(7). The payload makes it where it is, gets the one
 * that looks like a terminal, and sends both to the monitor, which hands on between the other and the caller's streams:
 * terminalRelay.ts. The payload holds nothing of the caller's terminal.
 */
import { own } from '../assembly/variables.js'
import { AF, AT, MSG, SOCK, SUPER_MAGIC, TC, TERMIOS, TIOC } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Address, Slot } from '../machine/instruction.js'
import type { Plan } from '../plan/plan.js'
import type { Step } from '../plan/step.js'
import type { LauncherContext } from './launcherContext.js'
import { messageOf } from './message.js'
import { requireFilesystem } from './openFiles.js'
import { record } from './record.js'

export const hasTerminal = ({ start }: Plan): boolean => start.terminal === true

/** A pair of sockets: the monitor's, and the payload's. */
export const terminalChannel = own(({ b }: LauncherContext) => b.reserve(8))

/** In the monitor, before there is an init. */
export function makeTerminalChannel(c: LauncherContext): void {
  if (hasTerminal(c.plan)) c.must('socketpair', AF.UNIX, SOCK.SEQPACKET | SOCK.CLOEXEC, 0, terminalChannel(c))
}

export const terminalCode = {
  /** In the payload, which leads a session. */
  terminal(c: LauncherContext, { devices }: Step<'terminal'>): void {
    const { b } = c
    const [master, terminal, channel] = b.temporaries(3)
    const unlocked = b.bytes(new Uint8Array(4), 4)
    b.move(master, devices === 'own' ? openOwn(c) : openHosts(c))
    c.must('ioctl', master, TIOC.SPTLCK, unlocked)
    // By its name it could be another one, TIOCGPTPEER(2const).
    b.move(terminal, c.must('ioctl', master, TIOC.GPTPEER, c.open.RDWR | c.open.NOCTTY | c.open.CLOEXEC))
    setModes(c, terminal)
    setSize(c, terminal)
    const { message, descriptors } = messageOf(c, 2)
    b.store(32, descriptors, 0, master)
    b.store(32, descriptors, 4, terminal)
    b.load(channel, 32, terminalChannel(c), 4)
    c.must('sendmsg', channel, message, MSG.NOSIGNAL)
    c.must('ioctl', terminal, TIOC.SCTTY, 0)
    for (const fd of [0, 1, 2]) c.must('dup3', terminal, fd, 0)
    // Before the command and its directory are looked for: a payload may have planted links to descriptors.
    for (const fd of [master, terminal, channel]) c.must('close', fd)
    b.load(channel, 32, terminalChannel(c), 0)
    c.attempt('close', channel)
  },
}

/** What was planted at one of these names is not followed, and nothing but a devpts has a ptmx that is opened. */
function openOwn(c: LauncherContext): Slot {
  const { b } = c
  const [directory, file] = b.temporaries(2)
  const way = c.open.PATH | c.open.DIRECTORY | c.open.NOFOLLOW | c.open.CLOEXEC
  b.move(directory, c.must('openat', AT.FDCWD, b.text('/dev'), way, 0))
  b.move(file, c.must('openat', directory, b.text('pts'), way, 0))
  requireFilesystem(c, file, [SUPER_MAGIC.DEVPTS], 'ENODEV')
  c.attempt('close', directory)
  b.move(directory, c.must('openat', file, b.text('ptmx'), c.open.NOFOLLOW | openedAs(c), 0))
  c.attempt('close', file)
  return directory
}

const openHosts = (c: LauncherContext): Slot => c.must('openat', AT.FDCWD, c.b.text('/dev/ptmx'), openedAs(c), 0)

const openedAs = ({ open }: LauncherContext) => open.RDWR | open.NOCTTY | open.NONBLOCK | open.CLOEXEC

/** Those of the caller's terminal; else those of any new one, in UTF-8. */
function setModes(c: LauncherContext, terminal: Slot): void {
  const { b } = c
  const { size, fields } = structs.termios
  const modes = b.reserve(size)
  const input = b.temporary()
  c.attempt('ioctl', 0, TC.GETS, modes)
  c.whenFailed(() => {
    c.must('ioctl', terminal, TC.GETS, modes)
    b.load(input, 32, modes, fields.c_iflag.offset)
    b.compute(input, input, 'or', TERMIOS.IUTF8)
    b.store(32, modes, fields.c_iflag.offset, input)
  })
  c.must('ioctl', terminal, TC.SETS, modes)
}

function setSize(c: LauncherContext, terminal: Slot): void {
  const size = c.b.reserve(structs.winsize.size)
  readSize(c, 0, size)
  c.must('ioctl', terminal, TIOC.SWINSZ, size)
}

/** That of the caller's terminal; else what the caller says in the status file. */
export function readSize(c: LauncherContext, callers: Slot | number, to: Address): void {
  c.attempt('ioctl', callers, TIOC.GWINSZ, to)
  c.whenFailed(() => c.attempt('pread64', c.plan.start.statusFd!, to, structs.winsize.size, record.window))
}
