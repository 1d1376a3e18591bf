/** Becomes the same vial in memory that cannot be changed, before anything else is done: see assembly/sealed.ts. */
import { copySealed, executeDescriptor, whenUnchangeable } from '../assembly/sealed.js'
import { AT, STATX } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { LauncherContext } from './context.js'

/** What has no name was made to be executed once; what is sealed is this code in its second turn, or was made so by the front. */
export function becomeSealed(c: LauncherContext): void {
  const { b } = c
  const [file, size, links, sealed, argv, envp] = [
    b.temporary(),
    b.temporary(),
    b.temporary(),
    b.temporary(),
    b.temporary(),
    b.temporary(),
  ]
  const status = b.reserve(structs.statx.size, 8)
  const fine = b.label()
  c.begin({
    what: 'run from sealed memory',
    why: 'the payload may look at what its processes execute, and must not be able to change it',
    hints: {
      EACCES: 'this host forbids to execute memory: sysctl vm.memfd_noexec is 2',
      ENOENT: 'there is no /proc here, in which a vial finds itself',
    },
  })
  b.move(file, c.must('openat', AT.FDCWD, b.text('/proc/self/exe'), c.open.RDONLY | c.open.CLOEXEC, 0))
  c.must('statx', file, b.text(''), AT.EMPTY_PATH, STATX.BASIC_STATS, status)
  b.load(links, 32, status, structs.statx.fields.stx_nlink.offset)
  b.load(size, 64, status, structs.statx.fields.stx_size.offset)
  whenUnchangeable(c, file, links, fine)
  copySealed(c, file, size, sealed, c.fail)
  b.compute(argv, c.stack, 'add', 8)
  b.load(envp, 64, c.stack)
  b.compute(envp, envp, 'shl', 3)
  b.compute(envp, envp, 'add', argv)
  b.compute(envp, envp, 'add', 8)
  executeDescriptor(c, sealed, argv, envp)
  b.jump(c.fail)
  b.place(fine)
  c.attempt('close', file)
}
