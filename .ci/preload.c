/* Preloaded together with the sanitizer's library.
** - Programs started by the specs get neither: some of them hang with the sanitizer's.
** - Leaks are only looked for in the specs' own process, since LeakSanitizer sometimes crashes at
**   the end of a short program. */
#include <stdlib.h>

__attribute__((constructor)) static void preload(void) {
  unsetenv("LD_PRELOAD");
  setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
}
