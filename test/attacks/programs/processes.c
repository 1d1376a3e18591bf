/* Attacks on other processes: those outside, and those of the sandbox itself. */
#include "attack.h"
#include <dirent.h>
#include <linux/ioprio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

static int signal_pid(char **w) { return kill(atoi(w[0]), SIGURG); }

static int trace(char **w) {
  int pid = atoi(w[0]);
  if (ptrace(PTRACE_SEIZE, pid, 0, 0)) return -1;
  return 0;
}

/* The parent of a process of the sandbox's is init's child or init. */
static int be_traced(char **w) { return got(ptrace(PTRACE_TRACEME, 0, 0, 0)); }

static int read_memory(char **w) {
  char byte;
  struct iovec here = {&byte, 1}, there = {(void *)strtoul(w[1], NULL, 16), 1};
  return got(process_vm_readv(atoi(w[0]), &here, 1, &there, 1, 0));
}

/* pidfd_getfd(2), of standard input or of the number that is named. */
static int steal_descriptor(char **w) {
  int pid = syscall(SYS_pidfd_open, atoi(w[0]), 0);
  if (pid < 0) return -1;
  return got(syscall(SYS_pidfd_getfd, pid, w[1] ? atoi(w[1]) : 0, 0));
}

/* process_madvise(2): advice that changes nothing. */
static int advise(char **w) {
  int pid = syscall(SYS_pidfd_open, atoi(w[0]), 0);
  if (pid < 0) return -1;
  struct iovec there = {(void *)strtoul(w[1], NULL, 16), 4096};
  return got(syscall(SYS_process_madvise, pid, &there, 1, MADV_WILLNEED, 0));
}

/* proc_pid_map_files(5): what a process has mapped. */
static int mapped_files(char **w) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/map_files", w[0]);
  DIR *directory = opendir(path);
  if (directory == NULL) return -1;
  for (struct dirent *entry; errno = 0, (entry = readdir(directory)) != NULL;)
    if (entry->d_name[0] != '.') return 0;
  if (errno == 0) errno = ENODATA;
  return -1;
}

/* The mode of the file that a process executes; it stays as it is. */
static int executable_of(char **w) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/exe", w[0]);
  int file = open(path, O_PATH);
  struct stat status;
  if (file < 0 || fstat(file, &status)) return -1;
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  return chmod(path, status.st_mode & 07777);
}

/* Any of the files that a process has open, again and for writing. */
static int reopen_of(char **w) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/fd", w[0]);
  DIR *directory = opendir(path);
  if (directory == NULL) return -1;
  int why = ENODATA;
  for (struct dirent *entry; errno = 0, (entry = readdir(directory)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/%s/fd/%s", w[0], entry->d_name);
    if (open(path, O_WRONLY | O_NONBLOCK) >= 0) return 0;
    why = errno;
  }
  errno = why;
  return -1;
}

/* PIDFD_GET_MNT_NAMESPACE of linux/pidfd.h (Linux 6.11). */
static int namespace_of_pidfd(char **w) {
  int pid = syscall(SYS_pidfd_open, atoi(w[0]), 0);
  if (pid < 0) return -1;
  return got(ioctl(pid, _IO(0xff, 3), 0));
}

/* NS_GET_PARENT, ioctl_nsfs(2). */
static int parent_namespace(char **w) {
  int file = open(w[0], O_RDONLY);
  if (file < 0) return -1;
  return got(ioctl(file, _IO(0xb7, 2)));
}

/* The same of a child in namespaces of its own, whose parents are those of this process. */
static int parent_of_child(char **w) {
  char path[64];
  long child = syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) for (;;) pause();
  if (child < 0) return -1;
  snprintf(path, sizeof path, "/proc/%ld/ns/%s", child, w[0]);
  int result = parent_namespace((char *[]){path}), why = errno;
  kill(child, SIGKILL);
  waitpid(child, NULL, __WALL);
  errno = why;
  return result;
}

/* NS_MNT_GET_PREV of linux/nsfs.h (Linux 6.12): the mount namespace that was made before one's own. */
static int earlier_mounts(char **w) {
  struct { uint32_t size, mounts; uint64_t id; } info = {.size = 16};
  int file = open("/proc/self/ns/mnt", O_RDONLY);
  if (file < 0) return -1;
  return got(ioctl(file, _IOC(_IOC_READ, 0xb7, 12, sizeof info), &info));
}

/* Handles of namespaces (Linux 6.18), FD_NSFS_ROOT of linux/fcntl.h: one's own, for a process that is not in others. */
static int namespace_by_handle(char **w) {
  struct {
    struct file_handle head;
    char bytes[64];
  } handle = {.head = {.handle_bytes = 64}};
  int mount_id;
  if (syscall(SYS_name_to_handle_at, AT_FDCWD, w[0], &handle, &mount_id, AT_SYMLINK_FOLLOW)) return -1;
  return got(syscall(SYS_open_by_handle_at, -10003, &handle, O_RDONLY));
}

static int timer_slack(char **w) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/timerslack_ns", w[0]);
  int file = open(path, O_WRONLY);
  if (file < 0) return -1;
  return write(file, "50000", 5) == 5 ? 0 : -1;
}

/* RLIMIT_CPU: the kernel's SIGKILL at its end ends pid 1 too. Here it stays as it is. */
static int limit_of(char **w) {
  struct rlimit limit;
  int pid = atoi(w[0]);
  if (prlimit(pid, RLIMIT_CPU, NULL, &limit)) return -1;
  return prlimit(pid, RLIMIT_CPU, &limit, NULL);
}

static int niceness_of(char **w) {
  int pid = atoi(w[0]);
  errno = 0;
  int now = getpriority(PRIO_PROCESS, pid);
  return errno == 0 ? setpriority(PRIO_PROCESS, pid, now) : -1;
}

/* All processes of one's own user that can be named: pid 1 may be among them. */
static int niceness_of_user(char **w) { return setpriority(PRIO_USER, 0, 19); }

static int io_priority_of(char **w) {
  return got(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, atoi(w[0]), IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 4)));
}

static int processors_of(char **w) {
  cpu_set_t all;
  if (sched_getaffinity(atoi(w[0]), sizeof all, &all)) return -1;
  return sched_setaffinity(atoi(w[0]), sizeof all, &all);
}

static int scheduler_of(char **w) {
  struct sched_param parameter = {0};
  return sched_setscheduler(atoi(w[0]), SCHED_OTHER, &parameter);
}

/* fcntl(2), F_SETOWN: whom the kernel sends signals about a descriptor. */
static int own_signals(char **w) {
  int both[2];
  if (pipe(both)) return -1;
  return fcntl(both[0], F_SETOWN, atoi(w[0]));
}

static int join_namespace(char **w) {
  int file = open(w[0], O_RDONLY);
  if (file < 0) return -1;
  return setns(file, 0);
}

static int join_by_pidfd(char **w) {
  int pid = syscall(SYS_pidfd_open, atoi(w[0]), 0);
  if (pid < 0) return -1;
  return setns(pid, CLONE_NEWNET);
}

static int raise_priority(char **w) { return setpriority(PRIO_PROCESS, 0, -10); }

static int raise_limit(char **w) {
  if (setrlimit(RLIMIT_MSGQUEUE, &(struct rlimit){0, 0})) return -1;
  return setrlimit(RLIMIT_MSGQUEUE, &(struct rlimit){1, 1});
}

/* core(5): with 0 a handler of the host's is called at a crash, with 1 none is. */
static int call_crash_handler(char **w) {
  struct rlimit limit;
  if (setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) || getrlimit(RLIMIT_CORE, &limit)) return -1;
  errno = EPERM;
  return limit.rlim_cur == 0 ? 0 : -1;
}

static int escape_oom(char **w) {
  int file = open("/proc/self/oom_score_adj", O_WRONLY);
  if (file < 0) return -1;
  return write(file, "-900", 4) == 4 ? 0 : -1;
}

static int real_time(char **w) {
  struct sched_param parameter = {.sched_priority = 1};
  return sched_setscheduler(0, SCHED_FIFO, &parameter);
}

const struct attack processes[] = {
    {"signal", signal_pid},          {"trace", trace},
    {"traceme", be_traced},
    {"executable-of", executable_of}, {"reopen-of", reopen_of},
    {"read-memory", read_memory},    {"steal-descriptor", steal_descriptor},
    {"join", join_namespace},        {"join-by-pidfd", join_by_pidfd},
    {"priority", raise_priority},    {"limit", raise_limit},
    {"crash-handler", call_crash_handler},
    {"oom-score", escape_oom},       {"real-time", real_time},
    {"advise", advise},              {"mapped-files", mapped_files},
    {"namespace-of-pidfd", namespace_of_pidfd},
    {"parent-namespace", parent_namespace},
    {"parent-of-child", parent_of_child},
    {"earlier-mounts", earlier_mounts},
    {"namespace-by-handle", namespace_by_handle},
    {"timer-slack", timer_slack},    {"limit-of", limit_of},
    {"niceness-of", niceness_of},    {"io-priority-of", io_priority_of},
    {"processors-of", processors_of},
    {"niceness-of-user", niceness_of_user},
    {"scheduler-of", scheduler_of},  {"own-signals", own_signals},
    {0},
};
