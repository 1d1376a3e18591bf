/* Attacks on what the kernel shares among all: keys, clocks, modules, tracing, terminals, other system call tables. */
#include "attack.h"
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/kcmp.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/timex.h>
#include <termios.h>
#if defined(__x86_64__)
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <sys/io.h>
#endif

/* A terminal of one's own stands for the caller's: the filter looks at the request, whatever the terminal. */
static int own_terminal(void) {
  int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) || unlockpt(master)) return -1;
  setsid();
  int terminal = open(ptsname(master), O_RDWR);
  if (terminal < 0) return -1;
  return terminal;
}

enum { process_keyring = -2, session_keyring = -3 };

static int new_key(char **w) { return got(syscall(SYS_add_key, "user", "vial-attack", "x", 1, process_keyring)); }
static int session_keys(char **w) { return got(syscall(SYS_keyctl, 0, session_keyring, 0)); }
static int ask_for_key(char **w) {
  return reached(syscall(SYS_request_key, "user", "vial-attack-none", NULL, session_keyring), ENOKEY);
}

static int make_map(char **w) {
  union bpf_attr attributes = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
  return got(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
}

static int count_events(char **w) {
  struct perf_event_attr attributes = {
      .type = PERF_TYPE_SOFTWARE, .size = sizeof attributes, .config = PERF_COUNT_SW_CPU_CLOCK};
  return got(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
}

static int handle_faults(char **w) { return got(syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY)); }

static int make_ring(char **w) {
  char parameters[120] = {0};
  return got(syscall(SYS_io_uring_setup, 1, parameters));
}

/* No ring: what the calls say of a wrong descriptor comes after whether they may be made. */
static int enter_ring(char **w) { return reached(syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0), EBADF); }
static int register_ring(char **w) { return reached(syscall(SYS_io_uring_register, 1000, 0, NULL, 0), EBADF); }

/* quotactl(2): Q_SYNC without a device is for every user. */
static int quota(char **w) { return got(syscall(SYS_quotactl, 0x800001 << 8, NULL, 0, NULL)); }

/* Hangs up the caller's terminal, which is one of its own here; vhangup(2). */
static int hang_up(char **w) {
  if (own_terminal() < 0) return -1;
  signal(SIGHUP, SIG_IGN);
  return got(syscall(SYS_vhangup));
}

/* An unknown flag, a wrong magic number, files that are not there: the check of the caller comes first. */
static int load_kernel(char **w) { return reached(syscall(SYS_kexec_load, 0, 0, 0, 1ul << 20), EINVAL); }
static int restart(char **w) { return reached(syscall(SYS_reboot, 0, 0, 0, 0), EINVAL); }
static int swap_on(char **w) { return reached(swapon("/no/such/file", 0), ENOENT); }
static int account(char **w) { return reached(acct("/no/such/file"), ENOENT); }
static int load_module(char **w) { return reached(syscall(SYS_init_module, NULL, 0, ""), ENOEXEC); }
static int unload_module(char **w) { return reached(syscall(SYS_delete_module, "no such module", O_NONBLOCK), ENOENT); }

/* adjtimex(2): a tick that no clock has is refused after the caller was found to be allowed. */
static int set_clock(char **w) {
  struct timex parameters = {.modes = ADJ_TICK, .tick = 1};
  return reached(adjtimex(&parameters), EINVAL);
}

static int read_log(char **w) {
  static char text[16];
  return got(klogctl(3, text, sizeof text));
}

static int weaker_personality(char **w) { return got(personality(strtoul(w[0], NULL, 16))); }

/* A filter of one's own that allows everything and has a listener: it must not win over the one that is there. */
static int allow_again(char **w) {
  struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  struct sock_fprog program = {1, &allow};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) < 0) return -1;
  return new_key(w);
}

/* mlock(2): more than one's own limit. */
static int lock_memory(char **w) {
  if (setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){4096, 4096})) return -1;
  void *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return mlock(memory, 1 << 20);
}

static int place_memory(char **w) { return got(syscall(SYS_set_mempolicy, 0, NULL, 0)); }
static int compare_with_itself(char **w) { return got(syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0)); }

/* PR_SET_MM(2const): where proc shows a program's own command line. */
static int move_memory_map(char **w) { return prctl(PR_SET_MM, PR_SET_MM_START_BRK, (unsigned long)sbrk(0), 0, 0); }

/* prctl(2): "2" can be set by no program; a process that has it is owned by root in /proc. */
static int set_dumpable(char **w) { return prctl(PR_SET_DUMPABLE, atoi(w[0]), 0, 0, 0); }

/* arch_prctl(2) on x86-64: the base of a segment, which for FS ("fs") may be where the kernel's own memory begins; or the base
   that it has already. */
#if defined(__x86_64__)
static int segment_base(char **w) {
  int is_fs = strcmp(w[0], "fs") == 0;
  unsigned long base = 0xffff888000000000;
  if (strcmp(w[1], "own") == 0 && syscall(SYS_arch_prctl, is_fs ? ARCH_GET_FS : ARCH_GET_GS, &base)) return -1;
  return got(syscall(SYS_arch_prctl, is_fs ? ARCH_SET_FS : ARCH_SET_GS, base));
}
#endif

static int map_zero(char **w) {
  return mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int push_input(char **w) {
  int terminal = own_terminal();
  if (terminal < 0) return -1;
  return got(syscall(SYS_ioctl, terminal, (long)TIOCSTI, "x"));
}

/* The kernel reads 32 bits of the request; a filter that compares 64 is passed by. */
static int push_input_upper(char **w) {
  int terminal = own_terminal();
  if (terminal < 0) return -1;
  return got(syscall(SYS_ioctl, terminal, 0x100000000l | TIOCSTI, "x"));
}

/* By a descriptor of its controlling terminal that it opens anew, tty(4). */
static int push_input_anew(char **w) {
  if (own_terminal() < 0) return -1;
  int terminal = open("/dev/tty", O_RDWR);
  if (terminal < 0) return -1;
  return got(syscall(SYS_ioctl, terminal, (long)TIOCSTI, "x"));
}

/* ioctl_tty(2): another line discipline is another driver, of which several had holes. Here it stays as it is. */
static int set_discipline(char **w) {
  int terminal = own_terminal(), discipline = 0;
  if (terminal < 0) return -1;
  return ioctl(terminal, TIOCSETD, &discipline);
}

/* TIOCEXCL(2const): no user but root can open the terminal, as long as it is open somewhere. */
static int lock_terminal(char **w) {
  int terminal = own_terminal();
  if (terminal < 0) return -1;
  return ioctl(terminal, TIOCEXCL);
}

/* TCXONC(2const): nothing is shown until the same call starts it again. Here it goes on. */
static int stop_terminal(char **w) {
  int terminal = own_terminal();
  if (terminal < 0) return -1;
  return tcflow(terminal, TCOON);
}

/* io_setup(2): events come out of a number for the whole machine, /proc/sys/fs/aio-max-nr. */
static int make_context(char **w) {
  unsigned long context = 0;
  return got(syscall(SYS_io_setup, 1, &context));
}

/* The terminal on standard input as its own, taken from the session that has it: ioctl_tty(2), TIOCSCTTY. */
static int take_terminal(char **w) {
  setsid();
  return ioctl(0, TIOCSCTTY, atoi(w[0]));
}

static int push_input_here(char **w) { return got(syscall(SYS_ioctl, 0, (long)TIOCSTI, "x")); }

/* No console here: its driver alone knows the request, so that ENOTTY means that nothing else stood in the way. */
static int paste(char **w) {
  int terminal = own_terminal();
  if (terminal < 0) return -1;
  return reached(syscall(SYS_ioctl, terminal, (long)TIOCLINUX, "\2"), ENOTTY);
}

#if defined(__x86_64__)
static int old_calls(char **w) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "0"(20l) : "memory", "r8", "r9", "r10", "r11");
  errno = result < 0 ? -result : 0;
  return result > 0 ? 0 : -1;
}

static int x32_calls(char **w) { return got(syscall(0x40000000 | SYS_getpid)); }
static int ports(char **w) { return iopl(3); }
static int local_descriptors(char **w) {
  struct user_desc descriptor = {.entry_number = 0, .base_addr = 0, .limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1};
  return got(syscall(SYS_modify_ldt, 1, &descriptor, sizeof descriptor));
}
#endif

const struct attack kernel[] = {
    {"add-key", new_key},
    {"session-keys", session_keys},
    {"request-key", ask_for_key},
    {"bpf", make_map},
    {"perf", count_events},
    {"userfaultfd", handle_faults},
    {"io-uring", make_ring},
    {"io-uring-enter", enter_ring},
    {"io-uring-register", register_ring},
    {"quota", quota},
    {"vhangup", hang_up},
    {"kexec", load_kernel},
    {"reboot", restart},
    {"swapon", swap_on},
    {"acct", account},
    {"init-module", load_module},
    {"delete-module", unload_module},
    {"clock", set_clock},
    {"syslog", read_log},
    {"personality", weaker_personality},
    {"allow-again", allow_again},
    {"mlock", lock_memory},
    {"mempolicy", place_memory},
    {"kcmp", compare_with_itself},
    {"memory-map", move_memory_map},
    {"map-zero", map_zero},
    {"dumpable", set_dumpable},
    {"tiocsti", push_input},
    {"tiocsti-upper", push_input_upper},
    {"tiocsti-tty", push_input_anew},
    {"tiocsti-stdin", push_input_here},
    {"take-terminal", take_terminal},
    {"line-discipline", set_discipline},
    {"lock-terminal", lock_terminal},
    {"stop-terminal", stop_terminal},
    {"io-setup", make_context},
    {"tioclinux", paste},
#if defined(__x86_64__)
    {"int80", old_calls},
    {"x32", x32_calls},
    {"iopl", ports},
    {"segment-base", segment_base},
    {"modify-ldt", local_descriptors},
#endif
    {0},
};
