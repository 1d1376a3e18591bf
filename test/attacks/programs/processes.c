/* Attacks on other processes: those outside, and those of the sandbox itself. */
#include "attack.h"
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

static int signal_pid(char **w) { return kill(atoi(w[0]), SIGURG); }

static int trace(char **w) {
  int pid = atoi(w[0]);
  if (ptrace(PTRACE_SEIZE, pid, 0, 0)) return -1;
  return 0;
}

static int read_memory(char **w) {
  char byte;
  struct iovec here = {&byte, 1}, there = {(void *)strtoul(w[1], NULL, 16), 1};
  return got(process_vm_readv(atoi(w[0]), &here, 1, &there, 1, 0));
}

/* pidfd_getfd(2). */
static int steal_descriptor(char **w) {
  int pid = syscall(SYS_pidfd_open, atoi(w[0]), 0);
  if (pid < 0) return -1;
  return got(syscall(SYS_pidfd_getfd, pid, 0, 0));
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
  struct rlimit limit;
  if (getrlimit(RLIMIT_CORE, &limit)) return -1;
  limit.rlim_max = 1;
  if (setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0})) return -1;
  return setrlimit(RLIMIT_CORE, &limit);
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
    {"read-memory", read_memory},    {"steal-descriptor", steal_descriptor},
    {"join", join_namespace},        {"join-by-pidfd", join_by_pidfd},
    {"priority", raise_priority},    {"limit", raise_limit},
    {"oom-score", escape_oom},       {"real-time", real_time},
    {0},
};
