/*
 * Builds a filter with libseccomp from the words on standard input, and writes its BPF to standard output:
 *   default ACTION          (first; an action is SECCOMP_RET_… as a number)
 *   arch NAME               (instead of the native one; scmp names such as x86_64)
 *   optimize LEVEL          (SCMP_FLTATR_CTL_OPTIMIZE: 2 is a binary tree)
 *   rule ACTION SYSCALL COUNT, then COUNT times: ARGUMENT OP A B     (OP: enum scmp_compare)
 * or, alone, `version`: the library's.
 */
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what, int error) {
  fprintf(stderr, "%s: %s\n", what, strerror(-error));
  exit(1);
}

int main(void) {
  scmp_filter_ctx filter = NULL;
  char word[64], name[128];
  int kept = 0;
  while (scanf("%63s", word) == 1) {
    if (strcmp(word, "version") == 0) {
      const struct scmp_version *version = seccomp_version();
      printf("%u.%u.%u", version->major, version->minor, version->micro);
      return 0;
    } else if (strcmp(word, "default") == 0) {
      unsigned action;
      if (scanf("%u", &action) != 1) exit(2);
      filter = seccomp_init(action);
    } else if (strcmp(word, "arch") == 0) {
      if (scanf("%127s", name) != 1) exit(2);
      unsigned arch = seccomp_arch_resolve_name(name);
      if (arch == seccomp_arch_native()) {
        kept = 1;
        continue;
      }
      int error = seccomp_arch_add(filter, arch);
      if (error < 0) fail(name, error);
    } else if (strcmp(word, "optimize") == 0) {
      unsigned level;
      if (scanf("%u", &level) != 1) exit(2);
      int error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, level);
      if (error < 0) fail(word, error);
    } else if (strcmp(word, "archs-end") == 0) {
      if (!kept) seccomp_arch_remove(filter, seccomp_arch_native());
    } else if (strcmp(word, "rule") == 0) {
      unsigned action, count;
      struct scmp_arg_cmp tests[6];
      if (scanf("%u %127s %u", &action, name, &count) != 3 || count > 6) exit(2);
      for (unsigned i = 0; i < count; i++) {
        unsigned arg, op;
        unsigned long long a, b;
        if (scanf("%u %u %llu %llu", &arg, &op, &a, &b) != 4) exit(2);
        tests[i] = (struct scmp_arg_cmp){arg, op, a, b};
      }
      int number = seccomp_syscall_resolve_name(name);
      if (number == __NR_SCMP_ERROR) continue;
      int error = seccomp_rule_add_array(filter, action, number, count, tests);
      if (error < 0) fail(name, error);
    } else exit(2);
  }
  int error = seccomp_export_bpf(filter, 1);
  if (error < 0) fail("export", error);
  return 0;
}
