/* Attacks on what enters a sandbox, and what holds it still for them. */
#include "attack.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* Whatever /proc/PID/NAME has; what is checked as it is read, is read. A namespace has nothing to read. */
static int look(char **w) {
  char path[256], byte;
  struct stat status;
  snprintf(path, sizeof path, "/proc/%s/%s", w[0], w[1]);
  int file = open(path, O_RDONLY | O_NONBLOCK);
  if (file < 0 || fstat(file, &status)) return -1;
  /* At address 0 nothing is mapped. */
  return !S_ISREG(status.st_mode) || strcmp(w[1], "mem") == 0 ? 0 : got(reached(read(file, &byte, 1), EINVAL));
}

static int open_memory(char **w) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/mem", w[0]);
  return open_only(path, O_RDWR);
}

/* PTRACE_ATTACH, which stops it: it goes on when this process has ended. */
static int attach(char **w) { return got(ptrace(PTRACE_ATTACH, atoi(w[0]), 0, 0)); }

/* To an address where nothing is. */
static int write_memory(char **w) {
  char byte = 0;
  struct iovec here = {&byte, 1}, there = {(void *)8, 1};
  return reached(process_vm_writev(atoi(w[0]), &here, 1, &there, 1, 0), EFAULT);
}

/* Makes what a process executes another, as soon as it has ended: till then it is ETXTBSY. "taken" is said when it cannot end too early. */
static int write_executable(char **w) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/exe", w[0]);
  int file = open(path, O_PATH);
  if (file < 0) return -1;
  printf("taken\n");
  while (kill(atoi(w[0]), 0) == 0 || errno != ESRCH) usleep(1000);
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  chmod(path, 0700);
  int writable, turns = 0;
  /* Those that wait for it outside execute the same file. */
  while ((writable = open(path, O_RDWR)) < 0 && errno == ETXTBSY && ++turns < 10000) usleep(1000);
  return writable < 0 ? -1 : got(pwrite(writable, "poison", 6, 9));
}

static int kill_pid(char **w) { return kill(atoi(w[0]), SIGKILL); }

static int stop_pid(char **w) { return kill(atoi(w[0]), SIGSTOP); }

/* setns(2) of a descriptor that another process gave. */
static int join_descriptor(char **w) { return setns(atoi(w[0]), 0); }

/* With all capabilities, in a user namespace of its own. */
static int nested(char **w) {
  if (unshare(CLONE_NEWUSER)) return -1;
  return attack(w);
}

/* Does the attack of each line, one after the other, each in a process of its own. */
static int serve(char **w) {
  char line[4096];
  printf("ready\n");
  while (fgets(line, sizeof line, stdin)) {
    char *words[32] = {strtok(line, " \n")};
    for (int i = 1; i < 31 && (words[i] = strtok(NULL, " \n")); i++) continue;
    if (words[0] == NULL) continue;
    pid_t child = fork();
    if (child < 0) return -1;
    if (child == 0) {
      int result = attack(words);
      printf("%s\n", result == 0 ? "succeeded" : strerrorname_np(errno));
      exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status)) printf("signal %d\n", WTERMSIG(status));
  }
  return 0;
}

/* From here on PR_SET_DUMPABLE does nothing, and says that it has. */
static void forget_dumpable(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_DUMPABLE, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) exit(2);
}

static char state_of(pid_t pid) {
  char path[64], text[512] = "";
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int file = open(path, O_RDONLY);
  if (file < 0) return 0;
  if (read(file, text, sizeof text - 1) < 1) text[0] = 0;
  close(file);
  char *end = strrchr(text, ')');
  return end ? end[2] : 0;
}

/* How many pid namespaces deep a process is. */
static int depth_of(pid_t pid) {
  char path[64], line[512], *at = NULL;
  int depth = 0;
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE *file = fopen(path, "re");
  if (file == NULL) return 0;
  while (fgets(line, sizeof line, file))
    if (strncmp(line, "NSpid:", 6) == 0)
      for (at = strtok(line + 6, "\t\n"); at; at = strtok(NULL, "\t\n")) depth++;
  fclose(file);
  return depth;
}

static int is_new_process(int status) {
  const int event = status >> 16;
  return event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE;
}

static void print_end(int status) {
  printf("ended %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  exit(0);
}

/*
 * hold real|weakened CALLS PROGRAM [ARGUMENT…]: starts what enters a sandbox, and stops the process that is in there when it has made so
 * many system calls: "held PID", or "executed CALLS" if it executed the command before. It goes on at the next line of the input.
 */
static int hold(char **w) {
  const long most = atol(w[1]);
  const int outside = depth_of(getpid());
  int status;
  char line[16];
  pid_t maker = fork(), held = maker;
  if (maker == 0) {
    if (strcmp(w[0], "weakened") == 0) forget_dumpable();
    if (ptrace(PTRACE_TRACEME, 0, 0, 0)) exit(2);
    raise(SIGSTOP);
    execv(w[2], w + 2);
    exit(2);
  }
  if (maker < 0 || waitpid(maker, &status, 0) < 0 || !WIFSTOPPED(status)) return -1;
  const long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
                       PTRACE_O_TRACESYSGOOD;
  if (ptrace(PTRACE_SETOPTIONS, maker, 0, options)) return -1;
  /* Those that wait outside make one after the other. */
  while (depth_of(held) == outside) {
    if (ptrace(PTRACE_CONT, held, 0, 0) || waitpid(held, &status, __WALL) < 0) return -1;
    if (!WIFSTOPPED(status)) print_end(status);
    if (!is_new_process(status)) continue;
    unsigned long made;
    if (ptrace(PTRACE_GETEVENTMSG, held, 0, &made) || waitpid(made, &status, __WALL) < 0) return -1;
    if (ptrace(PTRACE_DETACH, held, 0, 0)) return -1;
    held = made;
  }
  long calls = 0;
  int executed = 0;
  /* Each call stops it twice. */
  for (int stops = 0; calls < most && !executed;) {
    if (ptrace(PTRACE_SYSCALL, held, 0, 0) || waitpid(held, &status, __WALL) < 0 || !WIFSTOPPED(status)) return -1;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) calls = ++stops / 2;
    executed = status >> 16 == PTRACE_EVENT_EXEC;
  }
  if (ptrace(PTRACE_DETACH, held, 0, executed ? 0 : SIGSTOP)) return -1;
  if (executed) printf("executed %ld\n", calls);
  else {
    while (state_of(held) != 'T') usleep(1000);
    printf("held %d\n", held);
    if (fgets(line, sizeof line, stdin) == NULL) errno = 0;
    kill(held, SIGCONT);
  }
  if (waitpid(maker, &status, 0) < 0) return -1;
  print_end(status);
  return 0;
}

/*
 * hold-command PROGRAM [ARGUMENT…]: starts what enters a sandbox, or makes one, by however many processes, and stops the first process in
 * there that has executed a command, before its first instruction: "held PID PROGRAM'S-PID". It goes on at the next line of the input.
 */
static int hold_command(char **w) {
  const int outside = depth_of(getpid());
  int status;
  char line[16];
  pid_t maker = fork(), held = 0, listener = 0;
  if (maker == 0) {
    if (ptrace(PTRACE_TRACEME, 0, 0, 0)) exit(2);
    raise(SIGSTOP);
    execv(w[0], w);
    exit(2);
  }
  if (maker < 0 || waitpid(maker, &status, 0) < 0 || !WIFSTOPPED(status)) return -1;
  const long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
  if (ptrace(PTRACE_SETOPTIONS, maker, 0, options) || ptrace(PTRACE_CONT, maker, 0, 0)) return -1;
  for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0;) {
    if (pid == listener) kill(held, SIGCONT);
    if (!WIFSTOPPED(status)) {
      if (pid == maker) print_end(status);
      continue;
    }
    if (held == 0 && status >> 16 == PTRACE_EVENT_EXEC && depth_of(pid) > outside) {
      held = pid;
      /* This stop hands on no signal, ptrace(2), "PTRACE_EVENT stops". */
      if (kill(pid, SIGSTOP) || ptrace(PTRACE_DETACH, pid, 0, 0)) return -1;
      while (state_of(pid) != 'T') usleep(1000);
      printf("held %d %d\n", pid, maker);
      /* The others go on meanwhile. */
      listener = fork();
      if (listener == 0) _exit(fgets(line, sizeof line, stdin) == NULL);
      continue;
    }
    const int signal = WSTOPSIG(status);
    /* The first stop of a new process is no signal. */
    ptrace(PTRACE_CONT, pid, 0, status >> 16 || signal == SIGSTOP ? 0 : signal);
  }
  return -1;
}

const struct attack entrants[] = {
    {"look", look},       {"open-memory", open_memory},   {"attach", attach},
    {"write-memory", write_memory},                       {"stop", stop_pid}, {"kill", kill_pid},
    {"join-descriptor", join_descriptor},                 {"nested", nested},
    {"serve", serve},     {"hold", hold},                 {"hold-command", hold_command},
    {"write-executable", write_executable},               {0},
};
