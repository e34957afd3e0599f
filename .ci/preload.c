/* Preloaded beside the sanitizer's library. Keeps both from the programs that the specs start, some
** of which hang under them; looks for leaks in the specs' own process only, since the leak finder
** itself crashes now and then at the end of a short program; and keeps libcurl loaded: Lua unloads
** the module, and libcurl with it, at its end, and what libcurl keeps for the whole process would
** then look lost. (Named in LD_PRELOAD itself, libcurl makes the start hang.) */
#include <dlfcn.h>
#include <stdlib.h>

__attribute__((constructor)) static void preload(void) {
  unsetenv("LD_PRELOAD");
  setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
  dlopen("libcurl.so.4", RTLD_NOW | RTLD_GLOBAL);
}
