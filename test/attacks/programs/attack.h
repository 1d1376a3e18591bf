/* What every attack shares. An attack returns 0 when it got what it wanted, else -1 with errno. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

struct attack {
  const char *name;
  int (*run)(char **words);
};

/* The attack of this name, with the words behind it. */
int attack(char **words);

extern const struct attack filesystem[], processes[], privileges[], kernel[], network[], init[], entrants[];

/* A call that would change the machine is made with an argument that it refuses: this errno means that the permission
   was there, and only the argument was wrong. */
static inline int reached(long result, int past_the_check) {
  return result == -1 && errno == past_the_check ? 0 : (int)result;
}

/* Success is a number that is no error. */
static inline int got(long result) { return result < 0 ? -1 : 0; }

static inline int open_only(const char *path, int flags) { return got(open(path, flags | O_CLOEXEC)); }
