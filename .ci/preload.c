/* Preloaded together with the sanitizer's library, and under Valgrind.
** - Programs started by the specs get neither: some of them hang with the sanitizer's.
** - Leaks are only looked for in the specs' own process, since LeakSanitizer sometimes crashes at
**   the end of a short program.
** - libcurl stays loaded: Lua unloads the module, and libcurl with it, when it exits, and libcurl's
**   process-wide memory would then be reported as leaked. (libcurl in LD_PRELOAD itself hangs.) */
#include <dlfcn.h>
#include <stdlib.h>

__attribute__((constructor)) static void preload(void) {
  unsetenv("LD_PRELOAD");
  setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
  dlopen("libcurl.so.4", RTLD_NOW | RTLD_GLOBAL);
}
