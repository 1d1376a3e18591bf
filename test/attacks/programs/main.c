/* attack NAME [WORD…]: tries it, says how it went, and exits 0 when it succeeded. */
#include "attack.h"

int attack(char **words) {
  const struct attack *lists[] = {filesystem, processes, privileges, kernel, network, init, entrants};
  for (int i = 0; i < 7; i++)
    for (const struct attack *one = lists[i]; one->name; one++)
      if (strcmp(one->name, words[0]) == 0) {
        errno = 0;
        return one->run(words + 1);
      }
  printf("no such attack: %s\n", words[0]);
  exit(2);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  setvbuf(stdout, NULL, _IONBF, 0);
  int result = attack(argv + 1);
  printf("%s\n", result == 0 ? "succeeded" : strerrorname_np(errno));
  return result == 0 ? 0 : 1;
}
