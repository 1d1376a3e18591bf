/*
 * meanwhile NAME COUNT UNTIL ONE OTHER PROGRAM...: runs PROGRAM, and at one moment of it exchanges the names ONE and OTHER, or
 * removes ONE if OTHER is empty: before the COUNTth system call that a process makes from the first on whose path has the
 * component NAME. UNTIL is a call after which that process is left alone, or "-". A race whose two sides always meet at the
 * same place: ptrace(2).
 *
 * Exits with 99 if the moment never came, and else as PROGRAM does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The argument that is a path: move_mount(2) has an empty one where the place is open already. */
static const struct { const char *name; long number; int path; } calls[] = {
  {"openat", SYS_openat, 1},     {"openat2", SYS_openat2, 1},       {"mkdirat", SYS_mkdirat, 1},
  {"mknodat", SYS_mknodat, 1},   {"symlinkat", SYS_symlinkat, 2},   {"statx", SYS_statx, 1},
  {"move_mount", SYS_move_mount, 3}, {"readlinkat", SYS_readlinkat, 1}, {"unlinkat", SYS_unlinkat, 1},
};

static int names(pid_t pid, const struct __ptrace_syscall_info *info, const char *wanted)
{
  for (size_t at = 0; at < sizeof calls / sizeof *calls; at++) {
    if ((long)info->entry.nr != calls[at].number) continue;
    char path[4097] = "";
    /* To the end of the page: what lies behind it may not be there. */
    unsigned long address = info->entry.args[calls[at].path];
    struct iovec ours = {path, 4096 - address % 4096}, theirs = {(void *)address, ours.iov_len};
    ssize_t got = process_vm_readv(pid, &ours, 1, &theirs, 1, 0);
    if (got <= 0) return 0;
    path[got] = 0;
    for (char *rest = path, *part; (part = strsep(&rest, "/"));)
      if (strcmp(part, wanted) == 0) return 1;
    return 0;
  }
  return 0;
}

static int is(const struct __ptrace_syscall_info *info, const char *call)
{
  for (size_t at = 0; at < sizeof calls / sizeof *calls; at++)
    if ((long)info->entry.nr == calls[at].number) return strcmp(calls[at].name, call) == 0;
  return 0;
}

int main(int argc, char **argv)
{
  if (argc < 7) return 98;
  const char *wanted = argv[1], *until = argv[3], *one = argv[4], *other = argv[5];
  long left = atol(argv[2]);
  pid_t child = fork();
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) _exit(97);
    raise(SIGSTOP);
    execv(argv[6], argv + 6);
    _exit(96);
  }
  int status, ending = 0, done = 0;
  pid_t followed = 0;
  waitpid(child, &status, 0);
  long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                 PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  if (ptrace(PTRACE_SETOPTIONS, child, 0, options) != 0) return 97;
  ptrace(PTRACE_SYSCALL, child, 0, 0);
  for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR;) {
    if (pid < 0) continue;
    if (!WIFSTOPPED(status)) {
      if (pid == child) ending = status;
      continue;
    }
    int sig = WSTOPSIG(status), event = status >> 16;
    if (sig == (SIGTRAP | 0x80)) {
      struct __ptrace_syscall_info info;
      memset(&info, 0, sizeof info);
      sig = 0;
      if (!done && ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        if (followed == 0 && names(pid, &info, wanted)) followed = pid;
        if (pid == followed && left-- == 0) {
          done = 1;
          /* What the builder has not made yet cannot be exchanged. */
          int failed = *other ? renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) : unlink(one);
          if (failed && errno != ENOENT) return 95;
        } else if (pid == followed && is(&info, until))
          done = -1;
      }
    } else if (event != 0 || sig == SIGSTOP)
      sig = 0;
    ptrace(PTRACE_SYSCALL, pid, 0, sig);
  }
  if (done != 1) return 99;
  return WIFEXITED(ending) ? WEXITSTATUS(ending) : 128 + WTERMSIG(ending);
}
