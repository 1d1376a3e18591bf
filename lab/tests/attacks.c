/* Attacks whose success changes the machine itself: for a guest that is thrown away. Same manners as test/attacks/programs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int put(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return -1;
  return write(file, text, strlen(text)) < 0 ? -1 : 0;
}

static int set_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  now.tv_sec += 1000;
  return clock_settime(CLOCK_REALTIME, &now);
}

static int load_module(void) {
  int file = open("/lab/dummy.ko", O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  return syscall(SYS_finit_module, file, "numdummies=0", 0);
}

static int swap_on(void) { return swapon("/lab/swap", 0); }
/* No segments: whatever kernel was loaded is forgotten. kexec_load(2) */
static int forget_kernel(void) { return syscall(SYS_kexec_load, 0, 0, NULL, 0); }
static int account(void) { return acct("/lab/account"); }
static int core_pattern(void) { return put("/proc/sys/kernel/core_pattern", "|/bin/false"); }
/* By a crash: core_pattern calls a handler, and whatever the payload sets its limit to is meant to be in vain. */
static int crash_handler(void) {
  unlink("/lab/dumped");
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  int child = fork();
  if (child == 0) abort();
  waitpid(child, NULL, 0);
  for (int i = 0; i < 50; i++) {
    if (access("/lab/dumped", F_OK) == 0) return 0;
    usleep(100000);
  }
  errno = ETIME;
  return -1;
}

static int sysrq(void) { return put("/proc/sysrq-trigger", "h"); }
static int panic_at_oops(void) { return put("/proc/sys/kernel/panic_on_oops", "1"); }
static int host_name(void) { return sethostname("taken", 5); }
static int ctrl_alt_del(void) { return reboot(RB_ENABLE_CAD); }

static int interpreter(void) {
  mkdir("/tmp/b", 0700);
  if (mount("binfmt_misc", "/tmp/b", "binfmt_misc", 0, NULL)) return -1;
  return put("/tmp/b/register", ":vial-attack:E::vialattack::/bin/true:");
}

/* The guest's own disk, behind the file system. */
static int read_disk(void) {
  char bytes[512];
  if (mknod("/tmp/disk", S_IFBLK | 0600, makedev(254, 0))) return -1;
  int file = open("/tmp/disk", O_RDONLY);
  return file < 0 || read(file, bytes, sizeof bytes) != sizeof bytes ? -1 : 0;
}

#if defined(__x86_64__)
#include <sys/io.h>
static int ports(void) {
  if (iopl(3)) return -1;
  outb(0, 0x80);
  return 0;
}
static int old_calls(void) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "0"(20l) : "memory", "r8", "r9", "r10", "r11");
  errno = result < 0 ? -result : 0;
  return result > 0 ? 0 : -1;
}
static int x32_calls(void) { return syscall(0x40000000 | SYS_getpid) > 0 ? 0 : -1; }
#endif

static const struct {
  const char *name;
  int (*run)(void);
} attacks[] = {
    {"clock", set_clock},
    {"module", load_module},
    {"swap", swap_on},
    {"kexec", forget_kernel},
    {"accounting", account},
    {"core-pattern", core_pattern},
    {"crash-handler", crash_handler},
    {"sysrq", sysrq},
    {"sysctl", panic_at_oops},
    {"ctrl-alt-del", ctrl_alt_del},
    {"binfmt", interpreter},
    {"disk", read_disk},
    {"hostname", host_name},
#if defined(__x86_64__)
    {"iopl", ports},
    {"int80", old_calls},
    {"x32", x32_calls},
#endif
};

int main(int argc, char **argv) {
  for (size_t i = 0; argc > 1 && i < sizeof attacks / sizeof *attacks; i++) {
    if (strcmp(attacks[i].name, argv[1])) continue;
    errno = 0;
    printf("%s\n", attacks[i].run() == 0 ? "succeeded" : strerrorname_np(errno));
    return 0;
  }
  return 2;
}
