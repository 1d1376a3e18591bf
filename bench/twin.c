/*
 * What a vial of the policy in policy.ts does, written by hand: the same system calls in the same order, as
 * `vial explain` shows them. What a vial takes longer than this is the price of generated code. (The static libc makes
 * seven calls more at its start.)
 *
 *     twin [--share-net] COMMAND [ARGUMENT...]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define must(call) ({ long result_ = (call); if (result_ < 0) { perror(#call); _exit(125); } result_; })

static int root;
static sigset_t every, callers;

static void attributes(int tree, const char *path, unsigned flags, unsigned long long set) {
  struct mount_attr attr = {.attr_set = set, .propagation = 1 << 18 /* MS_PRIVATE */};
  must(syscall(SYS_mount_setattr, tree, path, flags, &attr, sizeof attr));
}

static void attach(int tree, const char *path, int directory) {
  if (directory) must(mkdirat(root, path, 0755));
  else must(mknodat(root, path, S_IFREG | 0644, 0));
  must(syscall(SYS_move_mount, tree, "", root, path, 4 /* MOVE_MOUNT_F_EMPTY_PATH */));
  close(tree);
}

static void bindMount(const char *from, const char *path, unsigned recursive, unsigned long long set) {
  struct statx status;
  int tree = must(syscall(SYS_open_tree, AT_FDCWD, from, 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC | recursive));
  attributes(tree, "", AT_EMPTY_PATH | recursive, set);
  must(statx(tree, "", AT_EMPTY_PATH, STATX_TYPE, &status));
  attach(tree, path, S_ISDIR(status.stx_mode));
}

static int filesystem(const char *type, const char *const *options, unsigned set) {
  int context = must(syscall(SYS_fsopen, type, 1));
  for (; *options != NULL; options += 2)
    must(syscall(SYS_fsconfig, context, options[1] == NULL ? 0 : 1, options[0], options[1], 0));
  must(syscall(SYS_fsconfig, context, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0));
  int tree = must(syscall(SYS_fsmount, context, 1, set));
  close(context);
  return tree;
}
#define options(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(,) NULL})

static void put(const char *path, const char *text) {
  int file = must(open(path, O_WRONLY | O_CLOEXEC));
  must(write(file, text, strlen(text)));
  close(file);
}

static void tie(int monitor) {
  struct pollfd poll = {.fd = monitor, .events = POLLIN};
  struct timespec now = {0, 0};
  must(prctl(PR_SET_PDEATHSIG, SIGKILL));
  if (ppoll(&poll, 1, &now, NULL) == 1) _exit(125);
}

static void makeRoot(void) {
  const unsigned long long readonly = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
  static const char *const links[][2] = {{"/proc/self/fd", "dev/fd"},       {"/proc/self/fd/0", "dev/stdin"},
                                         {"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"},
                                         {"/proc/kcore", "dev/core"},       {"pts/ptmx", "dev/ptmx"}};
  struct winsize size;
  attributes(AT_FDCWD, "/", AT_RECURSIVE, 0);
  root = filesystem("tmpfs", options("mode", "755"), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  must(syscall(SYS_move_mount, root, "", AT_FDCWD, "/", 4));
  bindMount("/usr", "usr", AT_RECURSIVE, readonly);
  must(symlinkat("usr/bin", root, "bin"));
  must(symlinkat("usr/lib", root, "lib"));
  must(symlinkat("usr/lib64", root, "lib64"));
  must(mkdirat(root, "etc", 0755));
  bindMount("/etc/ld.so.cache", "etc/ld.so.cache", AT_RECURSIVE, readonly);
  attach(filesystem("proc", options(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC), "proc", 1);
  attach(filesystem("tmpfs", options("mode", "0755", "size", "65536"), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), "dev", 1);
  for (int i = 0; i < 6; i++) {
    char from[32], path[32];
    snprintf(from, sizeof from, "/dev/%s", nodes[i]);
    snprintf(path, sizeof path, "dev/%s", nodes[i]);
    bindMount(from, path, 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  }
  for (int i = 0; i < 6; i++) must(symlinkat(links[i][0], root, links[i][1]));
  attach(filesystem("devpts", options("newinstance", NULL, "ptmxmode", "0666", "mode", "0620"),
                    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), "dev/pts", 1);
  ioctl(1, TIOCGWINSZ, &size);
  attach(filesystem("tmpfs", options("mode", "1777"), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV), "dev/shm", 1);
  attach(filesystem("tmpfs", options("mode", "755"), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV), "tmp", 1);
  attributes(root, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY);
  must(fchdir(root));
  must(syscall(SYS_pivot_root, ".", "."));
  must(syscall(SYS_umount2, ".", 2 /* MNT_DETACH */));
  must(chdir("/"));
  close(root);
}

static void dropCapabilities(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[2] = {0};
  must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  for (int which = 0; which <= CAP_LAST_CAP; which++)
    if (prctl(PR_CAPBSET_DROP, which, 0, 0, 0) < 0 && errno != EINVAL) must(-1);
  must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
  must(syscall(SYS_capset, &header, none));
}

static int statusOf(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

/* Takes signals one by one: passes them on to `to`, and ends as it does. `reaps`: others' children too. */
static _Noreturn void await(pid_t to, int reaps) {
  close_range(0, ~0U, 0);
  for (;;) {
    siginfo_t info;
    int status, signal = sigtimedwait(&every, &info, NULL);
    if (signal < 0) continue;
    if (signal != SIGCHLD) kill(to, signal);
    else
      for (pid_t child; (child = waitpid(reaps ? -1 : to, &status, WNOHANG)) > 0;)
        if (child == to) _exit(statusOf(status));
  }
}

int main(int argc, char **argv) {
  int net = !(argc > 1 && strcmp(argv[1], "--share-net") == 0);
  char **command = argv + (net ? 1 : 2), map[32], *none[] = {"PATH=/usr/bin", NULL};
  if (command[0] == NULL) return 125;
  mode_t mask = umask(0);
  struct sigaction usual = {.sa_handler = SIG_DFL};
  sigfillset(&every);
  must(sigprocmask(SIG_SETMASK, &every, &callers));
  must(sigaction(SIGCHLD, &usual, NULL));
  must(close_range(3, ~0U, 0));
  uid_t uid = geteuid(), gid = getegid();
  must(unshare(CLONE_NEWUSER));
  put("/proc/self/setgroups", "deny");
  snprintf(map, sizeof map, "1000 %u 1\n", uid);
  put("/proc/self/uid_map", map);
  snprintf(map, sizeof map, "1000 %u 1\n", gid);
  put("/proc/self/gid_map", map);
  must(unshare(CLONE_NEWTIME));
  pid_t parent = getppid();
  must(prctl(PR_SET_PDEATHSIG, SIGKILL));
  if (getppid() != parent) return 125;
  int monitor = must(syscall(SYS_pidfd_open, getpid(), 0));
  int made = must(eventfd(0, EFD_CLOEXEC));
  unsigned long long one = 1;
  int namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID;
  pid_t init = must(syscall(SYS_clone, namespaces | SIGCHLD, NULL, NULL, NULL, 0));
  if (init > 0) {
    if (net) {
      must(unshare(CLONE_NEWNET));
      must(write(made, &one, sizeof one));
    }
    await(init, 0);
  }
  tie(monitor);
  makeRoot();
  if (net) {
    must(read(made, &one, sizeof one));
    must(setns(monitor, CLONE_NEWNET));
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int socketFd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    must(ioctl(socketFd, SIOCSIFFLAGS, &lo));
    close(socketFd);
  }
  must(sethostname("vial", 4));
  dropCapabilities();
  must(chdir("/"));
  tie(monitor);
  close(monitor);
  must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
  pid_t payload = must(vfork());
  if (payload > 0) await(payload, 1);
  sigprocmask(SIG_SETMASK, &callers, NULL);
  umask(mask);
  must(setsid());
  environ = none;
  execvp(command[0], command);
  perror(command[0]);
  _exit(127);
}
