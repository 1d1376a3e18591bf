/* Attacks on what the processes of vial execute and tell, from the first moment to the last. */
#include "attack.h"
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* A payload that ends so has not ended well, whatever it wrote before. */
enum { badly = 7 };

/* Makes the executable of a process another, if it is one below the directory. */
static void poison_one(int pid, const char *directory) {
  char name[64], path[4096];
  snprintf(name, sizeof name, "/proc/%d/exe", pid);
  ssize_t length = readlink(name, path, sizeof path);
  if (length < 0 || strncmp(path, directory, strlen(directory)) != 0) return;
  int file = open(name, O_PATH);
  if (file < 0) return;
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  chmod(path, 0700);
  /* ETXTBSY as long as any process executes it. */
  int writable = open(path, O_WRONLY);
  if (writable >= 0 && pwrite(writable, "poison", 6, 9) == 6) close(writable);
  close(file);
}

/* Tries it again and again, also when the payload has ended: pid 1 then ends and takes all with it, or waits for the rest. Each
   process of the payload has tried it at least once before. */
static int poison(char **w) {
  int tried[2];
  char byte;
  if (pipe(tried)) exit(1);
  for (int i = 0; i < 2; i++)
    if (fork() == 0) {
      for (int fd = 0; fd < 3; fd++) close(fd);
      for (int round = 0; round < 5000; round++) {
        for (int pid = 1; pid < 16; pid++) poison_one(pid, w[0]);
        if (round == 0 && write(tried[1], "x", 1) != 1) exit(1);
      }
      exit(0);
    }
  for (int i = 0; i < 2; i++)
    if (read(tried[0], &byte, 1) != 1) exit(1);
  usleep(20000);
  exit(badly);
}

/* Tells a good end in place of pid 1, as a wait status and as the number of an eventfd, wherever it may write. */
static int forge_end(char **w) {
  const uint32_t status = 0;
  const uint64_t number = 1;
  int pid = syscall(SYS_pidfd_open, atoi(w[0]), 0);
  for (int fd = 3; fd < 64; fd++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/fd/%d", w[0], fd);
    int files[] = {open(path, O_WRONLY | O_NONBLOCK), syscall(SYS_pidfd_getfd, pid, fd, 0)};
    for (int i = 0; i < 2; i++) {
      if (files[i] < 0) continue;
      if (write(files[i], &number, sizeof number) < 0) continue;
      if (write(files[i], &status, sizeof status) < 0) continue;
    }
  }
  usleep(20000);
  exit(badly);
}

static int unix_socket(const char *path, struct sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  snprintf(address->sun_path, sizeof address->sun_path, "%s", path);
  return socket(AF_UNIX, SOCK_STREAM, 0);
}

/* Gives a directory away by a socket, unix(7), and lives as long as the one who took it. */
static int hand_directory(char **w) {
  struct sockaddr_un address;
  int service = unix_socket(w[0], &address);
  int directory = open(w[1], O_RDONLY | O_DIRECTORY);
  if (service < 0 || directory < 0) return -1;
  if (bind(service, (void *)&address, sizeof address) || listen(service, 1)) return -1;
  printf("listening\n");
  int peer = accept(service, NULL, NULL);
  char byte = 'x', room[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &directory, sizeof(int));
  if (sendmsg(peer, &message, 0) < 1) return -1;
  return got(read(peer, &byte, 1));
}

/* What a process executes or has open, by its directory in another sandbox's /proc. */
static int look_through(char **w) {
  struct sockaddr_un address;
  int peer = unix_socket(w[0], &address);
  if (peer < 0 || connect(peer, (void *)&address, sizeof address)) return -1;
  char byte, room[CMSG_SPACE(sizeof(int))];
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  if (recvmsg(peer, &message, 0) < 1) return -1;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header == NULL) return -1;
  int directory;
  memcpy(&directory, CMSG_DATA(header), sizeof(int));
  if (openat(directory, "exe", O_PATH) >= 0) return 0;
  int why = errno;
  for (int fd = 0; fd < 64; fd++) {
    char name[16];
    snprintf(name, sizeof name, "fd/%d", fd);
    if (openat(directory, name, O_PATH) >= 0) return 0;
  }
  errno = why;
  return -1;
}

const struct attack init[] = {
    {"poison", poison},
    {"forge-end", forge_end},
    {"hand-directory", hand_directory},
    {"look-through", look_through},
    {0},
};
