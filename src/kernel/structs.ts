/**
 * Layouts of the structures that system calls take. Both architectures lay them out alike. A field is named as in C; one
 * inside a nested structure has its path, as offsetof would take it. Padding and unused fields are left out.
 */

export interface Field {
  readonly offset: number
  readonly size: number
}

export interface Layout {
  readonly size: number
  readonly fields: Readonly<Record<string, Field>>
}

/** Numbers and bigints are little endian, negative ones two's complement; a string is UTF-8, padded with zeros. */
export type FieldValue = number | bigint | string | Uint8Array

export const structs = {
  /** openat2(2), `linux/openat2.h`. */
  open_how: {
    size: 24,
    fields: {
      flags: { offset: 0, size: 8 },
      mode: { offset: 8, size: 8 },
      resolve: { offset: 16, size: 8 },
    },
  },
  /** mount_setattr(2), `linux/mount.h`. */
  mount_attr: {
    size: 32,
    fields: {
      attr_set: { offset: 0, size: 8 },
      attr_clr: { offset: 8, size: 8 },
      propagation: { offset: 16, size: 8 },
      userns_fd: { offset: 24, size: 8 },
    },
  },
  /** clone3: clone(2), `linux/sched.h`. */
  clone_args: {
    size: 88,
    fields: {
      flags: { offset: 0, size: 8 },
      pidfd: { offset: 8, size: 8 },
      child_tid: { offset: 16, size: 8 },
      parent_tid: { offset: 24, size: 8 },
      exit_signal: { offset: 32, size: 8 },
      stack: { offset: 40, size: 8 },
      stack_size: { offset: 48, size: 8 },
      tls: { offset: 56, size: 8 },
      set_tid: { offset: 64, size: 8 },
      set_tid_size: { offset: 72, size: 8 },
      cgroup: { offset: 80, size: 8 },
    },
  },
  /** ip(7), `linux/in.h`. Port and address are big endian. */
  sockaddr_in: {
    size: 16,
    fields: {
      sin_family: { offset: 0, size: 2 },
      sin_port: { offset: 2, size: 2 },
      sin_addr: { offset: 4, size: 4 },
    },
  },
  /** ipv6(7), `linux/in6.h`, alike. */
  sockaddr_in6: {
    size: 28,
    fields: {
      sin6_family: { offset: 0, size: 2 },
      sin6_port: { offset: 2, size: 2 },
      sin6_addr: { offset: 8, size: 16 },
    },
  },
  /** unix(7), `linux/un.h`. */
  sockaddr_un: {
    size: 110,
    fields: { sun_family: { offset: 0, size: 2 }, sun_path: { offset: 2, size: 108 } },
  },
  /** netlink(7), `linux/netlink.h`. */
  nlmsghdr: {
    size: 16,
    fields: {
      nlmsg_len: { offset: 0, size: 4 },
      nlmsg_type: { offset: 4, size: 2 },
      nlmsg_flags: { offset: 6, size: 2 },
    },
  },
  /** What answers a message that asks for it, behind its header. */
  nlmsgerr: {
    size: 20,
    fields: {
      error: { offset: 0, size: 4 },
    },
  },
  /** rtnetlink(7), `linux/rtnetlink.h`. */
  rtmsg: {
    size: 12,
    fields: {
      rtm_family: { offset: 0, size: 1 },
      rtm_dst_len: { offset: 1, size: 1 },
      rtm_table: { offset: 4, size: 1 },
      rtm_protocol: { offset: 5, size: 1 },
      rtm_scope: { offset: 6, size: 1 },
      rtm_type: { offset: 7, size: 1 },
    },
  },
  /** rtnetlink(7), `linux/rtnetlink.h`. */
  rtattr: {
    size: 4,
    fields: {
      rta_len: { offset: 0, size: 2 },
      rta_type: { offset: 2, size: 2 },
    },
  },
  /** rtnetlink(7), `linux/if_addr.h`. */
  ifaddrmsg: {
    size: 8,
    fields: {
      ifa_family: { offset: 0, size: 1 },
      ifa_prefixlen: { offset: 1, size: 1 },
      ifa_flags: { offset: 2, size: 1 },
      ifa_scope: { offset: 3, size: 1 },
      ifa_index: { offset: 4, size: 4 },
    },
  },
  /** netdevice(7), `linux/if.h`: ifr_name and ifr_flags. */
  ifreq: {
    size: 40,
    fields: {
      name: { offset: 0, size: 16 },
      flags: { offset: 16, size: 2 },
    },
  },
  /** statfs(2), `sys/statfs.h`; the fields that are used. */
  statfs: { size: 120, fields: { f_type: { offset: 0, size: 8 } } },
  /** statx(2), `linux/stat.h`. */
  statx: {
    size: 256,
    fields: {
      stx_mask: { offset: 0, size: 4 },
      stx_blksize: { offset: 4, size: 4 },
      stx_attributes: { offset: 8, size: 8 },
      stx_nlink: { offset: 16, size: 4 },
      stx_uid: { offset: 20, size: 4 },
      stx_gid: { offset: 24, size: 4 },
      stx_mode: { offset: 28, size: 2 },
      stx_ino: { offset: 32, size: 8 },
      stx_size: { offset: 40, size: 8 },
      stx_blocks: { offset: 48, size: 8 },
      stx_attributes_mask: { offset: 56, size: 8 },
      stx_mtime: { offset: 112, size: 16 },
      stx_rdev_major: { offset: 128, size: 4 },
      stx_rdev_minor: { offset: 132, size: 4 },
      stx_dev_major: { offset: 136, size: 4 },
      stx_dev_minor: { offset: 140, size: 4 },
      stx_mnt_id: { offset: 144, size: 8 },
    },
  },
  /** getrusage(2), `linux/resource.h`. */
  rusage: {
    size: 144,
    fields: {
      'ru_utime.tv_sec': { offset: 0, size: 8 },
      'ru_utime.tv_usec': { offset: 8, size: 8 },
      'ru_stime.tv_sec': { offset: 16, size: 8 },
      'ru_stime.tv_usec': { offset: 24, size: 8 },
      ru_maxrss: { offset: 32, size: 8 },
      ru_minflt: { offset: 64, size: 8 },
      ru_majflt: { offset: 72, size: 8 },
      ru_inblock: { offset: 88, size: 8 },
      ru_oublock: { offset: 96, size: 8 },
      ru_nvcsw: { offset: 128, size: 8 },
      ru_nivcsw: { offset: 136, size: 8 },
    },
  },
  /** sigaction(2), `asm-generic/siginfo.h`; pid, uid and status are those of a SIGCHLD, pid and uid of a kill too. */
  siginfo: {
    size: 128,
    fields: {
      si_signo: { offset: 0, size: 4 },
      si_errno: { offset: 4, size: 4 },
      si_code: { offset: 8, size: 4 },
      si_pid: { offset: 16, size: 4 },
      si_uid: { offset: 20, size: 4 },
      si_status: { offset: 24, size: 4 },
      /** Of a timer. */
      si_value: { offset: 24, size: 8 },
    },
  },
  /** rt_sigaction, `asm/signal.h`: the kernel's own, not the C library's. */
  sigaction: {
    size: 32,
    fields: {
      sa_handler: { offset: 0, size: 8 },
      sa_flags: { offset: 8, size: 8 },
      sa_restorer: { offset: 16, size: 8 },
      sa_mask: { offset: 24, size: 8 },
    },
  },
  /** prlimit64: getrlimit(2), `linux/resource.h`. */
  rlimit64: {
    size: 16,
    fields: {
      rlim_cur: { offset: 0, size: 8 },
      rlim_max: { offset: 8, size: 8 },
    },
  },
  /** capset(2), `linux/capability.h`; version 3 is 0x20080522. */
  cap_user_header: {
    size: 8,
    fields: {
      version: { offset: 0, size: 4 },
      pid: { offset: 4, size: 4 },
    },
  },
  /** capset(2), `linux/capability.h`; version 3 takes two, the low half of each set first. */
  cap_user_data: {
    size: 12,
    fields: {
      effective: { offset: 0, size: 4 },
      permitted: { offset: 4, size: 4 },
      inheritable: { offset: 8, size: 4 },
    },
  },
  /** seccomp(2), `linux/filter.h`: one BPF instruction. */
  sock_filter: {
    size: 8,
    fields: {
      code: { offset: 0, size: 2 },
      jt: { offset: 2, size: 1 },
      jf: { offset: 3, size: 1 },
      k: { offset: 4, size: 4 },
    },
  },
  /** seccomp(2), `linux/filter.h`. */
  sock_fprog: {
    size: 16,
    fields: {
      len: { offset: 0, size: 2 },
      filter: { offset: 8, size: 8 },
    },
  },
  /** seccomp(2), `linux/seccomp.h`: what a filter reads; `args` are six of 8 bytes. */
  seccomp_data: {
    size: 64,
    fields: {
      nr: { offset: 0, size: 4 },
      arch: { offset: 4, size: 4 },
      instruction_pointer: { offset: 8, size: 8 },
      args: { offset: 16, size: 48 },
    },
  },
  /** landlock_create_ruleset(2), `linux/landlock.h`; net: ABI 4, scoped: ABI 6, and older ones take it while those are 0. */
  landlock_ruleset_attr: {
    size: 24,
    fields: {
      handled_access_fs: { offset: 0, size: 8 },
      handled_access_net: { offset: 8, size: 8 },
      scoped: { offset: 16, size: 8 },
    },
  },
  /** landlock_add_rule(2), `linux/landlock.h`; packed. */
  landlock_path_beneath_attr: {
    size: 12,
    fields: {
      allowed_access: { offset: 0, size: 8 },
      parent_fd: { offset: 8, size: 4 },
    },
  },
  /** landlock_add_rule(2), `linux/landlock.h`; ABI 4. */
  landlock_net_port_attr: {
    size: 16,
    fields: {
      allowed_access: { offset: 0, size: 8 },
      port: { offset: 8, size: 8 },
    },
  },
  /** poll(2), `asm-generic/poll.h`. */
  pollfd: {
    size: 8,
    fields: {
      fd: { offset: 0, size: 4 },
      events: { offset: 4, size: 2 },
      revents: { offset: 6, size: 2 },
    },
  },
  /** clock_gettime(2), `linux/time.h`. */
  timespec: {
    size: 16,
    fields: {
      tv_sec: { offset: 0, size: 8 },
      tv_nsec: { offset: 8, size: 8 },
    },
  },
  /** timer_settime(2), `linux/time.h`. */
  itimerspec: {
    size: 32,
    fields: {
      'it_interval.tv_sec': { offset: 0, size: 8 },
      'it_interval.tv_nsec': { offset: 8, size: 8 },
      'it_value.tv_sec': { offset: 16, size: 8 },
      'it_value.tv_nsec': { offset: 24, size: 8 },
    },
  },
  /** timer_create(2), `asm-generic/siginfo.h`. A notification of 0 is SIGEV_SIGNAL. */
  sigevent: {
    size: 64,
    fields: {
      sigev_value: { offset: 0, size: 8 },
      sigev_signo: { offset: 8, size: 4 },
      sigev_notify: { offset: 12, size: 4 },
    },
  },
  /** readv(2), `linux/uio.h`. */
  iovec: {
    size: 16,
    fields: {
      iov_base: { offset: 0, size: 8 },
      iov_len: { offset: 8, size: 8 },
    },
  },
  /** sendmsg(2), `linux/socket.h`. */
  msghdr: {
    size: 56,
    fields: {
      msg_name: { offset: 0, size: 8 },
      msg_namelen: { offset: 8, size: 4 },
      msg_iov: { offset: 16, size: 8 },
      msg_iovlen: { offset: 24, size: 8 },
      msg_control: { offset: 32, size: 8 },
      msg_controllen: { offset: 40, size: 8 },
      msg_flags: { offset: 48, size: 4 },
    },
  },
  /** cmsg(3), `linux/socket.h`; the data follows. */
  cmsghdr: {
    size: 16,
    fields: {
      cmsg_len: { offset: 0, size: 8 },
      cmsg_level: { offset: 8, size: 4 },
      cmsg_type: { offset: 12, size: 4 },
    },
  },
  /** ioctl_tty(2), `asm-generic/termbits.h`. */
  termios: {
    size: 36,
    fields: {
      c_iflag: { offset: 0, size: 4 },
      c_oflag: { offset: 4, size: 4 },
      c_cflag: { offset: 8, size: 4 },
      c_lflag: { offset: 12, size: 4 },
      c_cc: { offset: 17, size: 19 },
    },
  },
  /** ioctl_tty(2), `asm-generic/termios.h`. */
  winsize: {
    size: 8,
    fields: {
      ws_row: { offset: 0, size: 2 },
      ws_col: { offset: 2, size: 2 },
      ws_xpixel: { offset: 4, size: 2 },
      ws_ypixel: { offset: 6, size: 2 },
    },
  },
} as const satisfies Record<string, Layout>

/** The bytes of a structure; fields that are not named are zero. */
export function pack<L extends Layout>(
  layout: L,
  values: { readonly [F in keyof L['fields']]?: FieldValue },
): Uint8Array {
  const bytes = new Uint8Array(layout.size)
  for (const [name, value] of Object.entries(values) as [string, FieldValue | undefined][]) {
    const field = layout.fields[name]
    if (field === undefined) throw new TypeError(`no field ${name}`)
    if (value !== undefined) bytes.set(encode(name, field.size, value), field.offset)
  }
  return bytes
}

function encode(name: string, size: number, value: FieldValue): Uint8Array {
  if (typeof value === 'object' || typeof value === 'string') {
    const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value
    if (bytes.length > size) throw new RangeError(`${name} holds ${size} bytes, not ${bytes.length}`)
    return bytes
  }
  const number = BigInt(value)
  const unsigned = BigInt.asUintN(size * 8, number)
  if (unsigned !== number && BigInt.asIntN(size * 8, number) !== number) {
    throw new RangeError(`${name} holds ${size} bytes, too few for ${number}`)
  }
  return Uint8Array.from({ length: size }, (_, index) => Number((unsigned >> BigInt(8 * index)) & 0xffn))
}
