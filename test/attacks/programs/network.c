/* Attacks over sockets and System V IPC: the host's services, and families that have no namespace. */
#include "attack.h"
#include <arpa/inet.h>
#include <linux/if_alg.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>

static int loopback(char **w) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(atoi(w[0])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  return connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&address, sizeof address);
}

static int unix_socket(char **w) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, w[0], sizeof address.sun_path - 1);
  return connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&address, sizeof address);
}

/* unix(7), "abstract": a name that begins with a zero byte, of the socket's network namespace. */
static int connect_abstract(int fd, const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
  return connect(fd, (void *)&address, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}
static int abstract_socket(char **w) { return connect_abstract(socket(AF_UNIX, SOCK_STREAM, 0), w[0]); }
/* By a socket that its caller made: standard input. */
static int abstract_of_stream(char **w) { return connect_abstract(0, w[0]); }

static int raw_socket(char **w) { return got(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }
static int packet_socket(char **w) { return got(socket(AF_PACKET, SOCK_RAW, 0)); }
static int low_port(char **w) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(81), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  return bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&address, sizeof address);
}

/* A kernel that lacks the family or the protocol refuses it as a filter does. A type that no family has is refused before either is
   looked for (__sock_create() of net/socket.c): with it the kernel answers EINVAL, and a filter what it answered before. */
enum { no_type = SOCK_PACKET + 1 };
static int family(char **w) {
  if (socket(atoi(w[0]), atoi(w[1]), atoi(w[2])) >= 0) return 0;
  int why = errno;
  if (socket(atoi(w[0]), no_type, atoi(w[2])) < 0 && errno == EINVAL) return 0;
  errno = why;
  return -1;
}

static int mark_packets(char **w) {
  int mark = 1;
  return setsockopt(socket(AF_INET, SOCK_DGRAM, 0), SOL_SOCKET, SO_MARK, &mark, sizeof mark);
}

/* socket(7): a buffer beyond the limit of all. */
static int force_buffer(char **w) {
  int size = 1 << 20;
  return setsockopt(socket(AF_INET, SOCK_DGRAM, 0), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
}

/* netdevice(7): the flags that the loopback has already. */
static int set_device(char **w) {
  struct ifreq request = {.ifr_name = "lo"};
  int any = socket(AF_INET, SOCK_DGRAM, 0);
  if (ioctl(any, SIOCGIFFLAGS, &request)) return -1;
  return ioctl(any, SIOCSIFFLAGS, &request);
}

/* unix(7), SCM_CREDENTIALS: to say to a listener that one is root. */
static int forge_credentials(char **w) {
  int both[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, both)) return -1;
  union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(struct ucred))]; } control = {0};
  struct iovec data = {"x", 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  control.head = (struct cmsghdr){CMSG_LEN(sizeof(struct ucred)), SOL_SOCKET, SCM_CREDENTIALS};
  *(struct ucred *)CMSG_DATA(&control.head) = (struct ucred){getpid(), 0, 0};
  return got(sendmsg(both[0], &message, 0));
}

static int bind_device(char **w) {
  return setsockopt(socket(AF_INET, SOCK_DGRAM, 0), SOL_SOCKET, SO_BINDTODEVICE, w[0], strlen(w[0]) + 1);
}

/* A descriptor that a service hands over by its socket: unix(7), SCM_RIGHTS. */
static int given(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int service = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(service, (void *)&address, sizeof address)) return -1;
  char byte;
  union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(int))]; } control;
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  if (recvmsg(service, &message, 0) < 1) return -1;
  return *(int *)CMSG_DATA(&control.head);
}

static int beneath_given(char **w) {
  int directory = given(w[0]);
  if (directory < 0) return -1;
  return got(openat(directory, w[1], O_RDONLY));
}

static int read_given(char **w) {
  char byte;
  int file = given(w[0]);
  if (file < 0) return -1;
  return read(file, &byte, 1) == 1 ? 0 : -1;
}

/* What is open for reading, opened once more by its name in /proc. */
static int write_given(char **w) {
  char path[64];
  int file = given(w[0]);
  if (file < 0) return -1;
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  return open_only(path, O_WRONLY);
}

/* netdevice(7), of a socket that belongs to another network: what interfaces it has, and their addresses. */
static int list_devices_of_given(char **w) {
  int other = given(w[0]);
  if (other < 0) return -1;
  char room[1024];
  struct ifconf list = {.ifc_len = sizeof room, .ifc_buf = room};
  return ioctl(other, SIOCGIFCONF, &list);
}

/* The same flags once more. */
static int set_device_of_given(char **w) {
  int other = given(w[0]);
  if (other < 0) return -1;
  struct ifreq request = {.ifr_name = "lo"};
  request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
  return ioctl(other, SIOCSIFFLAGS, &request);
}

/* SIOCGSKNS of linux/sockios.h: the network namespace that a socket belongs to. */
static int namespace_of_given(char **w) {
  int other = given(w[0]);
  if (other < 0) return -1;
  return got(ioctl(other, SIOCGSKNS));
}

/* Another protocol on top of TCP, for which its module is loaded: net/ipv4/tcp_ulp.c. A kernel that lacks it answers as the filter does,
   but refuses an empty name before it looks: do_tcp_setsockopt() of net/ipv4/tcp.c. */
static int upper_protocol(char **w) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listening = socket(AF_INET, SOCK_STREAM, 0), connected = socket(AF_INET, SOCK_STREAM, 0);
  if (listen(listening, 1) || getsockname(listening, (void *)&address, &size)) return -1;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(connected, (void *)&address, size)) return -1;
  if (setsockopt(connected, IPPROTO_TCP, TCP_ULP, w[0], strlen(w[0])) == 0) return 0;
  return reached(setsockopt(connected, IPPROTO_TCP, TCP_ULP, w[0], 0), EINVAL);
}

/* UDP_ENCAP_ESPINUDP: IPsec in datagrams. */
static int encapsulate(char **w) {
  int kind = 2;
  return setsockopt(socket(AF_INET, SOCK_DGRAM, 0), IPPROTO_UDP, UDP_ENCAP, &kind, sizeof kind);
}

static int join_group(char **w) {
  if (strcmp(w[0], "6") == 0) {
    struct ipv6_mreq group = {.ipv6mr_interface = 1};
    inet_pton(AF_INET6, "ff02::fb", &group.ipv6mr_multiaddr);
    return setsockopt(socket(AF_INET6, SOCK_DGRAM, 0), IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &group, sizeof group);
  }
  struct ip_mreqn group = {.imr_ifindex = 1};
  inet_pton(AF_INET, "224.0.0.251", &group.imr_multiaddr);
  return setsockopt(socket(AF_INET, SOCK_DGRAM, 0), IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group);
}

static int out_of_band(char **w) {
  int both[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, both)) return -1;
  if (strcmp(w[0], "send") == 0) return got(send(both[0], "x", 1, MSG_OOB));
  struct iovec data = {"x", 1};
  struct mmsghdr message = {.msg_hdr = {.msg_iov = &data, .msg_iovlen = 1}};
  if (strcmp(w[0], "sendmsg") == 0) return got(sendmsg(both[0], &message.msg_hdr, MSG_OOB));
  return got(sendmmsg(both[0], &message, 1, MSG_OOB));
}

static int shared_memory(char **w) { return got(shmget((key_t)strtol(w[0], NULL, 0), 0, 0)); }

const struct attack network[] = {
    {"loopback", loopback},       {"unix", unix_socket},     {"abstract", abstract_socket}, {"abstract-of-stream", abstract_of_stream}, {"raw", raw_socket},
    {"packet", packet_socket},    {"low-port", low_port},    {"family", family},            {"shm", shared_memory},
    {"bind-device", bind_device}, {"beneath-given", beneath_given},
    {"read-given", read_given},   {"write-given", write_given},
    {"mark", mark_packets},       {"force-buffer", force_buffer},
    {"devices-of-given", list_devices_of_given},
    {"set-device-of-given", set_device_of_given},
    {"namespace-of-given", namespace_of_given},
    {"upper-protocol", upper_protocol},
    {"encapsulate", encapsulate},
    {"join-group", join_group},
    {"out-of-band", out_of_band},
    {"set-device", set_device},   {"forge-credentials", forge_credentials},
    {0},
};
