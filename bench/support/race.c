/*
 * Runs commands in turn (A B A B ...), so that whatever else the machine does hits all of them alike, and prints the
 * wall time of each run: one line of nanoseconds for each command.
 *
 *     race RUNS COMMAND [ARGUMENT...] [// COMMAND [ARGUMENT...]]...
 *
 * A run is posix_spawn(3) to the end of waitpid(2). The first tenth is not counted. A command that fails ends it all.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc < 3) return fputs("usage: race RUNS COMMAND [// COMMAND]...\n", stderr), 2;
  int runs = atoi(argv[1]), warm = runs / 10 + 1, count = 0;
  char ***commands = calloc(argc, sizeof *commands);
  for (int i = 2; i < argc; i++) {
    commands[count++] = argv + i;
    while (i < argc && strcmp(argv[i], "//") != 0) i++;
    if (i < argc) argv[i] = NULL;
  }
  posix_spawn_file_actions_t quiet;
  posix_spawn_file_actions_init(&quiet);
  posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
  long long *times = calloc((size_t)runs * count, sizeof *times);
  for (int run = -warm; run < runs; run++)
    for (int i = 0; i < count; i++) {
      int status;
      pid_t pid;
      long long start = now();
      int error = posix_spawnp(&pid, commands[i][0], &quiet, NULL, commands[i], environ);
      if (error != 0) return fprintf(stderr, "%s: %s\n", commands[i][0], strerror(error)), 1;
      if (waitpid(pid, &status, 0) != pid) return perror("waitpid"), 1;
      long long took = now() - start;
      if (status != 0) return fprintf(stderr, "%s: wait status 0x%x\n", commands[i][0], status), 1;
      if (run >= 0) times[(size_t)i * runs + run] = took;
    }
  for (int i = 0; i < count; i++)
    for (int run = 0; run < runs; run++) printf("%lld%c", times[(size_t)i * runs + run], run + 1 < runs ? ' ' : '\n');
  return 0;
}
