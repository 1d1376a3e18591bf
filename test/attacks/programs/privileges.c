/* Attacks that try to get privileges: ids, capabilities, namespaces to be root in. */
#include "attack.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int become_root(char **w) { return setuid(0); }

static int become_group(char **w) { return setgid(0); }

static int take_groups(char **w) {
  gid_t group = 0;
  return setgroups(1, &group);
}

/* Of a setuid or setgid program, or one with file capabilities: what it has become. */
static int is_root(char **w) {
  errno = EPERM;
  return geteuid() == 0 ? 0 : -1;
}

static int has_capability(char **w) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data)) return -1;
  errno = EPERM;
  int number = atoi(w[0]);
  return data[number / 32].effective & (1u << (number % 32)) ? 0 : -1;
}

static int raise_capabilities(char **w) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{1, 1, 1}, {0, 0, 0}};
  return got(syscall(SYS_capset, &header, data));
}

static int raise_ambient(char **w) { return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0); }

static int in_bounding(char **w) {
  for (int number = 0; number <= 40; number++)
    if (prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1) return 0;
  errno = EPERM;
  return -1;
}

static int loosen_securebits(char **w) { return prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS, 0, 0, 0); }

static int set_no_new_privs(char **w) { return prctl(PR_SET_NO_NEW_PRIVS, atol(w[0]), 0, 0, 0); }

static int new_namespace(char **w) { return unshare((int)strtol(w[0], NULL, 0)); }

static int finish(long child) {
  if (child == 0) _exit(0);
  if (child < 0) return -1;
  return waitpid(child, NULL, __WALL) == child ? 0 : -1;
}

static int clone_user(char **w) { return finish(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)); }

static int clone3_user(char **w) {
  struct clone_args arguments = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
  return finish(syscall(SYS_clone3, &arguments, sizeof arguments));
}

static int write_file(const char *path, const char *text) {
  int file = open(path, O_WRONLY);
  if (file < 0) return -1;
  int result = write(file, text, strlen(text)) < 0 ? -1 : 0;
  close(file);
  return result;
}

/* Another attack as root of a user namespace of its own, with mounts and a network. */
static int in_user(char **w) {
  char users[64], groups[64];
  snprintf(users, sizeof users, "0 %d 1", geteuid());
  snprintf(groups, sizeof groups, "0 %d 1", getegid());
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)) return -1;
  if (write_file("/proc/self/setgroups", "deny")) return -1;
  if (write_file("/proc/self/uid_map", users) || write_file("/proc/self/gid_map", groups)) return -1;
  return attack(w);
}

static int keep_capabilities(char **w) { return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0); }

static int new_hostname(char **w) { return sethostname("taken", 5); }

const struct attack privileges[] = {
    {"setuid", become_root},          {"setgid", become_group},
    {"setgroups", take_groups},       {"is-root", is_root},
    {"has-capability", has_capability},
    {"capset", raise_capabilities},   {"ambient", raise_ambient},
    {"bounding", in_bounding},        {"securebits", loosen_securebits},
    {"new-privs", set_no_new_privs},
    {"unshare", new_namespace},       {"clone-user", clone_user},
    {"keepcaps", keep_capabilities},  {"in-user", in_user},
    {"clone3-user", clone3_user},     {"sethostname", new_hostname},
    {0},
};
