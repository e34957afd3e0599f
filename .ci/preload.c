/* Preloaded beside the sanitizer's library. Keeps both from the programs that the specs start, some
** of which hang under them; and keeps libcurl loaded: Lua unloads the module, and libcurl with it,
** at its end, and what libcurl keeps for the whole process would then look lost. (Named in
** LD_PRELOAD itself, libcurl makes the start hang.) */
#include <dlfcn.h>
#include <stdlib.h>

__attribute__((constructor)) static void preload(void) {
  unsetenv("LD_PRELOAD");
  dlopen("libcurl.so.4", RTLD_NOW | RTLD_GLOBAL);
}
