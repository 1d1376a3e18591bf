/** What the payload itself is and has: privileges, a terminal, resources, descriptors and an environment. */
import type { CapabilityName } from '../kernel/capabilities.js'
import { PRIO, TIOC } from '../kernel/flags.js'
import { limitRows } from '../policy/limitRows.js'
import { starvingLimits } from '../policy/limits.js'
import { type Judgement, list, place } from './securityView.js'

const either = (words: readonly string[]) => words.join(', ').replace(/, ([^,]*)$/, ' or $1')

/** What root mode's capabilities make of a file in a place that is shown to be written; capabilities(7). */
const asRootOutside: readonly { readonly needs: readonly CapabilityName[]; readonly makes: string }[] = [
  { needs: ['CAP_SETUID'], makes: 'a file of root that is setuid' },
  { needs: ['CAP_CHOWN', 'CAP_FOWNER'], makes: 'a file of root that is setuid' },
  { needs: ['CAP_SETFCAP'], makes: 'a file with capabilities' },
]

export const inside: readonly Judgement[] = [
  [
    'privileges',
    (view, say) => {
      const { kept } = view
      const over = view.rootMode ? 'over the host' : 'over its own namespaces'
      const bounding = view.first('capabilities')?.bounding
      say(
        kept?.length === 0,
        `no capability in any set${bounding ? ', nor in the bounding set' : ''}`,
        `capabilities ${over}: ${kept?.join(', ') ?? "the caller's own"}`,
      )
      say(
        view.first('noNewPrivs'),
        'no_new_privs: setuid programs and file capabilities give nothing',
        'setuid programs gain privileges',
      )
      say(view.first('secureBits'), 'uid 0 means no privilege, locked')
      say(
        !view.rootMode,
        'its own user namespace: no privilege outside',
        "no user namespace: ids and privileges are the host's (root mode)",
      )
      const identity = view.first('identity')
      if (view.rootMode)
        say(
          identity !== undefined && identity.uid !== 0,
          `it is uid ${identity?.uid}`,
          "it owns what the host's root owns, as far as it is shown",
        )
      const dropsGroups = identity !== undefined && identity.groups !== 'keep'
      say(dropsGroups, 'no supplementary groups')
      if (!dropsGroups)
        say(false, '', `supplementary groups of a caller other than root stay, and open what is shown to them`)
      if (!view.rootMode) say(false, '', "outside, it is the caller: what is shown, it may do as the caller's uid")
      const writable = view.shown.filter(({ flags }) => !flags.readonly).map((step) => view.at(step))
      if (writable.length === 0) return
      say(false, '', 'outside, a file that it made setuid where it may write gives its uid to any user who runs it')
      if (!view.rootMode || kept === undefined) return
      for (const { needs, makes } of asRootOutside)
        if (needs.every((name) => kept.includes(name)))
          say(
            false,
            '',
            `with ${needs.join(' and ')} it makes ${makes} in ${list(writable)}: a user who can run or open it outside is root`,
          )
    },
  ],
  [
    'terminal',
    (view, say) => {
      const stands = view.first('session') !== undefined
      say(stands, "a session of its own: it cannot type into the caller's terminal (TIOCSTI)")
      if (!stands) {
        say(false, '', "the caller's session: it takes the terminal's foreground, and signals of its keys reach both")
        say(
          !view.lets('ioctl', 0, TIOC.STI) && !view.lets('ioctl', 0, TIOC.LINUX),
          'the filter keeps it from typing into the terminal (TIOCSTI)',
          'it may type into the terminal (TIOCSTI)',
        )
        say(
          !view.lets('setpriority', PRIO.PGRP, 0),
          "the filter keeps it from changing the priority of the caller's process group",
          "it may change the priority of the caller's process group, the shell among it",
        )
        if (view.all('mount').some(({ type, flags }) => type === 'proc' && !flags.readonly))
          say(false, '', "it may change the share of the caller's session (/proc/self/autogroup)")
      }
      say(
        !view.lets('ioctl', 0, TIOC.EXCL),
        'a terminal that it is given can be used when it has ended (TIOCEXCL, TCXONC)',
        'a terminal that it is given may be left so that no process can open it or nothing is shown (TIOCEXCL, TCXONC)',
      )
      say(false, '', 'of a terminal that it is given it reads what is typed, and changes modes and size')
      say(false, '', 'what it writes to a terminal, the terminal obeys (escape sequences): use a pipe')
    },
  ],
  [
    'resources',
    (view, say, { limits = [] }) => {
      for (const { name, value, by } of limits)
        say(by !== 'none', `${name} ${value}, held by ${by}`, `nothing here holds it to ${name}`)
      for (const { what } of view.all('rlimit')) say(true, `${what}, for each process`)
      const isHeld = (name: string) => limits.some((limit) => limit.name === name && limit.by !== 'none')
      say(
        !view.lets('io_setup'),
        'no AIO: its events are one number for the whole machine (fs.aio-max-nr)',
        'it may use up the AIO events of the whole machine (fs.aio-max-nr)',
      )
      say(
        false,
        '',
        "no limit here holds what the kernel counts for a user as a whole, the caller's programs included: inotify, queued signals, pipe buffers, descriptors in flight; nor pseudo-terminals, counted for the machine",
      )
      const endlessly = starvingLimits.filter((name) => !isHeld(name)).map((name) => limitRows[name].starves)
      if (endlessly.length > 0) say(false, '', `no limit on ${either(endlessly)}: it may starve the host`)
      const endless = view
        .all('mount')
        .filter(({ type, options }) => type === 'tmpfs' && !options.some(([key]) => key === 'size'))
      if (endless.length > 0)
        say(false, '', `up to half of the memory each: ${list(endless.map((step) => place(step.place.path)))} (size)`)
      if (view.all('bind').some(({ flags }) => !flags.readonly && flags.nodev))
        say(false, '', 'no limit on disk where it may write')
    },
  ],
  [
    'descriptors and environment',
    (view, say) => {
      const { environment } = view.plan.start
      const keep = view.first('closeFds')?.keep.filter((fd) => fd > 2 && !view.own.includes(fd))
      say(
        keep,
        `descriptors are closed, but for the standard streams${keep?.length ? ` and ${keep.join(', ')}` : ''}`,
        'inherited descriptors stay open',
      )
      say(view.first('refuseDirectories'), 'no standard stream is a directory')
      say(
        view.first('landlock')?.files,
        `${view.landlock}: a file that is open cannot be opened again for more; a pipe or memfd can`,
        'what is open for reading may be opened again for writing, as file modes allow',
      )
      say(
        false,
        '',
        "the standard streams are the caller's open files: it moves their places, and empties those that are open to write (lseek, ftruncate)",
      )
      const names = environment.inherit === true ? undefined : environment.inherit
      say(
        names,
        `of the caller's environment: ${names?.length ? list(names) : 'nothing'}`,
        "the caller's whole environment, and what is secret in it",
      )
      say(view.first('chdir') ?? view.first('chdirBack'), 'its own working directory', "the caller's working directory")
    },
  ],
]
