/*
 * Programs that take more than they may, each with two safeguards: it first sees from inside that its limit is in force,
 * and it stops by itself at a ceiling of its own. A limit that does not work makes the test fail, not the machine.
 * Exit statuses: 77 the limit is not in force, 78 the ceiling was reached; what else is said at each program.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NOT_IN_FORCE = 77, CEILING = 78 };

static void die(int status) { _exit(status); }

/* The value in a file of our own group: in v1 `old` in the hierarchy of `controller`, else `new` in v2. */
static unsigned long long own_value(const char *controller, const char *old, const char *new) {
  char line[4096], path[8192] = "";
  FILE *groups = fopen("/proc/self/cgroup", "r");
  if (!groups) die(NOT_IN_FORCE);
  while (fgets(line, sizeof line, groups)) {
    char *names = strchr(line, ':') + 1, *group = strchr(names, ':');
    *group++ = 0;
    group[strcspn(group, "\n")] = 0;
    if (!strcmp(names, controller)) snprintf(path, sizeof path, "/sys/fs/cgroup/%s%s/%s", controller, group, old);
    else if (!*names && !*path) snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", group, new);
  }
  fclose(groups);
  if (!strstr(path, "/vial.")) die(NOT_IN_FORCE);
  FILE *file = fopen(path, "r");
  unsigned long long value = 0;
  if (!file || fscanf(file, "%llu", &value) != 1) die(NOT_IN_FORCE);
  fclose(file);
  return value;
}

static void must_be(unsigned long long value, unsigned long long expected) {
  if (value != expected) die(NOT_IN_FORCE);
}

static void must_be_limited(int resource, unsigned long long expected) {
  struct rlimit limit;
  getrlimit(resource, &limit);
  must_be(limit.rlim_cur, expected);
  must_be(limit.rlim_max, expected);
}

/* Whatever happens, no program here lives longer. */
static void live_at_most(int seconds) {
  signal(SIGALRM, SIG_DFL);
  alarm(seconds);
}

static void touch(size_t bytes) {
  const size_t step = 1 << 20;
  for (size_t at = 0; at < bytes; at += step) {
    char *block = mmap(0, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) die(CEILING);
    memset(block, 1, step);
  }
}

/* memory LIMIT: takes up to twice the limit. In a child, if `child`: its parent would go on. */
static int memory(unsigned long long limit, int child) {
  must_be(own_value("memory", "memory.limit_in_bytes", "memory.max"), limit);
  if (child) {
    pid_t pid = fork();
    if (pid > 0) {
      waitpid(pid, 0, 0);
      sleep(20);
      return CEILING;
    }
  }
  touch(2 * limit);
  return CEILING;
}

/* fork LIMIT: children that stay, until one is refused, then exit status 3; zombies: that end at once, unreaped. */
static int forks(unsigned long long limit, int zombies, int forever) {
  must_be(own_value("pids", "pids.max", "pids.max"), limit + 1);
  for (unsigned long long made = 1; made < 2 * limit || forever;) {
    pid_t pid = fork();
    if (pid == 0) {
      if (zombies) die(0);
      pause();
    }
    if (pid > 0 && ++made > limit) return CEILING;
    if (pid < 0 && !forever) return made == limit ? 3 : CEILING;
    if (pid < 0) usleep(1000);
  }
  return CEILING;
}

/* files LIMIT: descriptors, until one is refused, then exit status 4. */
static int descriptors(unsigned long long limit) {
  must_be_limited(RLIMIT_NOFILE, limit);
  for (unsigned long long open_now = 3; open_now <= 2 * limit; open_now++)
    if (open("/dev/null", O_RDONLY) < 0) return errno == EMFILE && open_now == limit ? 4 : CEILING;
  return CEILING;
}

/* output LIMIT: far more than the limit; there is nothing to see from inside. */
static int output(unsigned long long limit) {
  static char block[65536];
  memset(block, 'y', sizeof block);
  for (unsigned long long at = 0; at < 64 * limit; at += sizeof block)
    if (write(1, block, sizeof block) < 0) return 5;
  return CEILING;
}

/* flood LIMIT: a file in /tmp, until there is no room, then exit status 6. inodes LIMIT: many files, 7. */
static int flood(unsigned long long limit) {
  static char block[65536];
  struct statvfs disk;
  if (statvfs("/tmp", &disk)) die(NOT_IN_FORCE);
  must_be(disk.f_blocks * disk.f_frsize, limit);
  int file = open("/tmp/flood", O_WRONLY | O_CREAT, 0600);
  for (unsigned long long at = 0; at < 2 * limit; at += sizeof block)
    if (write(file, block, sizeof block) < 0) return errno == ENOSPC && at <= limit ? 6 : CEILING;
  return CEILING;
}
static int inodes(unsigned long long limit) {
  char name[64];
  struct statvfs disk;
  if (statvfs("/tmp", &disk)) die(NOT_IN_FORCE);
  must_be(disk.f_files, limit);
  for (unsigned long long at = 0; at < 2 * limit; at++) {
    snprintf(name, sizeof name, "/tmp/%llu", at);
    int file = open(name, O_WRONLY | O_CREAT, 0600);
    if (file < 0) return errno == ENOSPC && at <= limit ? 7 : CEILING;
    close(file);
  }
  return CEILING;
}

/* sparse LIMIT: a file longer than allowed, without any content; a signal, or with it ignored, exit status 8. */
static int sparse(unsigned long long limit) {
  must_be_limited(RLIMIT_FSIZE, limit);
  int file = open("/tmp/sparse", O_WRONLY | O_CREAT, 0600);
  return ftruncate(file, limit) == 0 && ftruncate(file, limit + 1) < 0 && errno == EFBIG ? 8 : CEILING;
}

/* long LIMIT: a file of real bytes that is longer than allowed; with the signal ignored, exit status 9. */
static int longer(unsigned long long limit) {
  static char block[65536];
  must_be_limited(RLIMIT_FSIZE, limit);
  int file = open("/tmp/long", O_WRONLY | O_CREAT, 0600);
  for (unsigned long long at = 0; at < 2 * limit; at += sizeof block)
    if (write(file, block, sizeof block) < 0) return errno == EFBIG && at == limit ? 9 : CEILING;
  return CEILING;
}

static void *spin(void *_) {
  for (volatile unsigned long long n = 0;; n++);
  return _;
}

/* spin THREADS: until killed. The limit is the monitor's; what can be seen is that something counts. */
static int threads(int count) {
  own_value("cpuacct", "cpuacct.usage", "cgroup.procs");
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 65536);
  for (int made = 1; made < count; made++) {
    pthread_t thread;
    if (pthread_create(&thread, &attributes, spin, 0)) return CEILING;
  }
  spin(0);
  return CEILING;
}

/* ignore: every signal that can be ignored, for ever. */
static int ignore(void) {
  for (int number = 1; number < 65; number++) signal(number, SIG_IGN);
  live_at_most(20);
  printf("up\n");
  fflush(stdout);
  for (;;) pause();
}

/* daemons COUNT: processes that leave their parent and session behind, and keep the output open; then exit status 0. */
static int daemons(int count) {
  for (int made = 0; made < count; made++)
    if (fork() == 0) {
      setsid();
      if (fork() == 0) {
        for (int number = 1; number < 65; number++)
          if (number != SIGALRM) signal(number, SIG_IGN);
        live_at_most(20);
        for (;;) pause();
      }
      die(0);
    }
  while (wait(0) > 0);
  return 0;
}

/* Sends on one end until nothing more goes in; how many bytes went. */
static unsigned long long fill(int fd) {
  static char bytes[60000];
  unsigned long long sent = 0;
  for (int missed = 0; missed < 3;) {
    const ssize_t written = send(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (written > 0) sent += written, missed = 0;
    else usleep(1000), missed++;
  }
  return sent;
}

/* tcp LIMIT of memory: fills the buffers of TCP connections that nothing reads; 10 when the kernel refuses more. */
static int tcp(unsigned long long limit) {
  must_be(own_value("memory", "memory.limit_in_bytes", "memory.max"), limit);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (void *)&address, length) || listen(listener, 64) ||
      getsockname(listener, (void *)&address, &length))
    die(NOT_IN_FORCE);
  unsigned long long sent = 0;
  while (sent < 3 * limit) {
    const int one = socket(AF_INET, SOCK_STREAM, 0);
    if (one < 0 || connect(one, (void *)&address, length)) return 10;
    const int other = accept(listener, 0, 0);
    if (other < 0) return 10;
    const unsigned long long now = fill(one) + fill(other);
    // A connection holds megabytes; where the limit is reached, its first buffer only.
    if (now < 512 * 1024) return 10;
    sent += now;
  }
  return CEILING;
}

/* signals CEILING: queues signals of its own that are blocked, as many as go; prints how many. */
static int signals(long ceiling) {
  sigset_t every;
  sigfillset(&every);
  sigprocmask(SIG_BLOCK, &every, 0);
  long queued = 0;
  while (queued < ceiling && sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0) queued++;
  printf("%ld\n", queued);
  return 0;
}

/* burn MILLISECONDS of this thread's own CPU time; take BYTES of memory. For comparison with what is measured. */
static int burn(long milliseconds) {
  struct timespec now;
  do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < milliseconds);
  return 0;
}

int main(int argc, char **argv) {
  const char *name = argc > 2 ? argv[1] : "";
  const unsigned long long value = argc > 2 ? strtoull(argv[2], 0, 10) : 0;
  live_at_most(20);
  if (!strcmp(name, "memory")) return memory(value, 0);
  if (!strcmp(name, "memory-of-a-child")) return memory(value, 1);
  if (!strcmp(name, "forks")) return forks(value, 0, 0);
  if (!strcmp(name, "forks-for-ever")) return forks(value, 0, 1);
  if (!strcmp(name, "zombies")) return forks(value, 1, 0);
  if (!strcmp(name, "descriptors")) return descriptors(value);
  if (!strcmp(name, "signals")) return signals(value);
  if (!strcmp(name, "tcp")) return tcp(value);
  if (!strcmp(name, "output")) return output(value);
  if (!strcmp(name, "flood")) return flood(value);
  if (!strcmp(name, "inodes")) return inodes(value);
  if (!strcmp(name, "sparse-ignored")) signal(SIGXFSZ, SIG_IGN);
  if (!strncmp(name, "sparse", 6)) return sparse(value);
  if (!strcmp(name, "long-ignored")) signal(SIGXFSZ, SIG_IGN);
  if (!strncmp(name, "long", 4)) return longer(value);
  if (!strcmp(name, "spin")) return threads(value);
  if (!strcmp(name, "ignore")) return ignore();
  if (!strcmp(name, "sleep")) for (;;) pause();
  if (!strcmp(name, "daemons")) return daemons(value);
  if (!strcmp(name, "burn")) return burn(value);
  if (!strcmp(name, "take")) return touch(value), 0;
  return NOT_IN_FORCE;
}
