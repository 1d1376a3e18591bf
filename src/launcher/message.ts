/** A message by which one process gives another its open files: unix(7), "SCM_RIGHTS". */
import { SCM, SOL } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import type { Address } from '../machine/instruction.js'
import type { StrictAssembler } from '../assembly/strictAssembler.js'

/** A message of one byte, which is what `vector` says, with room for so many descriptors. */
export function messageOf(
  c: StrictAssembler,
  count: number,
): { message: Address; vector: Address; descriptors: Address } {
  const { b } = c
  const { msghdr, cmsghdr, iovec } = structs
  const [control, vector, message] = [
    b.reserve(Math.ceil((cmsghdr.size + 4 * count) / 8) * 8),
    b.reserve(iovec.size),
    b.reserve(msghdr.size),
  ]
  const used = cmsghdr.size + 4 * count
  b.store(64, control, cmsghdr.fields.cmsg_len.offset, used)
  b.store(32, control, cmsghdr.fields.cmsg_level.offset, SOL.SOCKET)
  b.store(32, control, cmsghdr.fields.cmsg_type.offset, SCM.RIGHTS)
  b.store(64, vector, iovec.fields.iov_base.offset, b.reserve(1))
  b.store(64, vector, iovec.fields.iov_len.offset, 1)
  b.store(64, message, msghdr.fields.msg_iov.offset, vector)
  b.store(64, message, msghdr.fields.msg_iovlen.offset, 1)
  b.store(64, message, msghdr.fields.msg_control.offset, control)
  // CMSG_SPACE: to whole words.
  b.store(64, message, msghdr.fields.msg_controllen.offset, Math.ceil(used / 8) * 8)
  return { message, vector, descriptors: { ...control, offset: control.offset + cmsghdr.size } }
}
