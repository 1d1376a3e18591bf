/* attack NAME [WORD…]: tries it, says how it went, and exits 0 when it succeeded. */
#include "attack.h"

static void try(const struct attack *list, char **argv) {
  for (; list->name; list++) {
    if (strcmp(list->name, argv[1])) continue;
    errno = 0;
    int result = list->run(argv + 2);
    printf("%s\n", result == 0 ? "succeeded" : strerrorname_np(errno));
    exit(result == 0 ? 0 : 1);
  }
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  setvbuf(stdout, NULL, _IONBF, 0);
  const struct attack *lists[] = {filesystem, processes, privileges, kernel, network};
  for (int i = 0; i < 5; i++) try(lists[i], argv);
  printf("no such attack: %s\n", argv[1]);
  return 2;
}
