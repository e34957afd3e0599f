/*
** bmwi.sys: what POSIX offers and Lua lacks, for the token store and the command
** line: private files, a lock, a prompt without echo. No I/O on the network.
*/
#if defined(__linux__)
#define _GNU_SOURCE
#include <sys/prctl.h>
#endif

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "binding/bmwi.h"
#include "core/clock.h"

#if defined(__APPLE__)
#define st_mtim st_mtimespec
#endif

#define LOCK "bmwi.lock"
#define MAX_FILE (1024 * 1024)
#define MAX_SECRET 1024

/* An open descriptor that the collector closes, and what to wipe with it. */
typedef struct handle {
  int fd;
  size_t len;
  char bytes[];
} handle;

static handle *new_handle(lua_State *L, const char *type, size_t bytes) {
  handle *h = lua_newuserdata(L, sizeof *h + bytes);
  memset(h, 0, sizeof *h + bytes);
  h->fd = -1;
  h->len = bytes;
  luaL_setmetatable(L, type);
  return h;
}

static int handle_close(lua_State *L) {
  handle *h = luaL_checkudata(L, 1, LOCK);
  if (h->fd >= 0) close(h->fd);
  h->fd = -1;
  bmwi_wipe(h->bytes, h->len);
  return 0;
}

static int file_failure(lua_State *L, const char *what, const char *path, int error) {
  return bmwi_fail_plain(L, "file", "%s: %s failed: %s", path, what, strerror(error));
}

/* sys.monotonic() -> seconds on a clock that never goes back */
static int sys_monotonic(lua_State *L) {
  lua_pushnumber(L, bmwi_now());
  return 1;
}

/* sys.isatty(fd) -> whether 0, 1 or 2 is a terminal */
static int sys_isatty(lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

/* Makes the folders above the path, private to the user. */
static int make_folders(char *path) {
  if (*path == '\0') return ENOENT;
  for (char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
    *p = '\0';
    int failed = 0;
    if (mkdir(path, 0700) == 0) failed = chmod(path, 0700) != 0 ? errno : 0; /* the umask */
    else if (errno != EEXIST && errno != EISDIR) failed = errno;
    *p = '/';
    if (failed != 0 && failed != EROFS && failed != EACCES && failed != EPERM) return failed;
  }
  return 0;
}

static int write_all(int fd, const char *data, size_t len) {
  while (len > 0) {
    ssize_t n = write(fd, data, len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    data += n;
    len -= (size_t)n;
  }
  return 0;
}

/* Makes a rename in the folder of `path` last over a power cut. */
static void sync_folder(char *path) {
  char *slash = strrchr(path, '/');
  if (slash != NULL) *slash = '\0';
  int fd = open(slash == NULL ? "." : slash == path ? "/" : path, O_RDONLY | O_CLOEXEC);
  if (slash != NULL) *slash = '/';
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

/* Whether a process of this number runs. */
static bool runs(const char *number, char **end) {
  long pid = strtol(number, end, 10);
  return pid <= 0 || kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

/* Removes the new files of sys_write_private ("NAME.PID.ADDRESS.new") that processes
** left behind which were killed in the middle of it. */
static void sweep(char *path) {
  char *slash = strrchr(path, '/'), *end;
  const char *name = slash != NULL ? slash + 1 : path;
  size_t len = strlen(name);
  if (slash != NULL) *slash = '\0';
  DIR *folder = opendir(slash == NULL ? "." : slash == path ? "/" : path);
  if (slash != NULL) *slash = '/';
  if (folder == NULL) return;
  int fd = dirfd(folder);
  for (const struct dirent *entry; fd >= 0 && (entry = readdir(folder)) != NULL;) {
    const char *at = entry->d_name;
    if (strncmp(at, name, len) != 0 || at[len] != '.' || !isdigit((unsigned char)at[len + 1]))
      continue;
    if (runs(at + len + 1, &end) || strncmp(end, ".0x", 3) != 0) continue;
    end += 3 + strspn(end + 3, "0123456789abcdef");
    if (strcmp(end, ".new") == 0) unlinkat(fd, at, 0);
  }
  closedir(folder);
}

/* sys.write_private(path, bytes) -> true | nil, message, "file"
** The file appears whole or not at all, and nobody else can read it at any
** moment: a new file beside it (0600, exclusive), fsync, rename, fsync. */
static int sys_write_private(lua_State *L) {
  size_t len;
  const char *path = luaL_checkstring(L, 1), *data = luaL_checklstring(L, 2, &len);
  handle *h = new_handle(L, LOCK, strlen(path) + 1);
  char *copy = memcpy(h->bytes, path, strlen(path) + 1);
  const char *temp = lua_pushfstring(L, "%s.%d.%p.new", path, (int)getpid(), (void *)h);
  struct stat st;
  if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) /* a device, say: it is not ours to replace */
    return bmwi_fail_plain(L, "file", "%s: not a plain file", path);
  int error = make_folders(copy);
  if (error != 0) return file_failure(L, "making the folder", path, error);
  sweep(copy);
  h->fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (h->fd < 0) return file_failure(L, "writing", path, errno);
  if (fchmod(h->fd, 0600) != 0) error = errno; /* whatever the umask took away */
  if (error == 0) error = write_all(h->fd, data, len);
  if (error == 0 && fsync(h->fd) != 0) error = errno;
  if (error == 0 && rename(temp, path) != 0) error = errno;
  if (error != 0) {
    unlink(temp);
    return file_failure(L, "writing", path, error);
  }
  sync_folder(copy);
  lua_pushboolean(L, 1);
  return 1;
}

/* sys.read_private(path) -> bytes, stamp | nil, message, "missing"|"insecure"|"file"
** The stamp is a text that differs when the file was changed. */
static int sys_read_private(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct stat st;
  handle *probe = new_handle(L, LOCK, 0);
  probe->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (probe->fd < 0 && errno == ENOENT)
    return bmwi_fail_plain(L, "missing", "%s: there is no such file", path);
  if (probe->fd < 0 || fstat(probe->fd, &st) != 0) return file_failure(L, "reading", path, errno);
  if (!S_ISREG(st.st_mode)) return bmwi_fail_plain(L, "file", "%s: not a plain file", path);
  if ((st.st_mode & 077) != 0)
    return bmwi_fail_plain(L, "insecure", "%s: others can read or write it; run: chmod 600 %s", path,
                           path);
  if (st.st_uid != geteuid() && st.st_uid != 0)
    return bmwi_fail_plain(L, "insecure", "%s: it belongs to somebody else", path);
  if (st.st_size > MAX_FILE) return bmwi_fail_plain(L, "file", "%s: larger than 1 MiB", path);
  handle *h = new_handle(L, LOCK, (size_t)st.st_size + 1);
  size_t got = 0;
  while (got < (size_t)st.st_size) {
    ssize_t n = read(probe->fd, h->bytes + got, (size_t)st.st_size - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_failure(L, "reading", path, errno);
    if (n == 0) break;
    got += (size_t)n;
  }
  char stamp[64];
  snprintf(stamp, sizeof stamp, "%lld.%09ld", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
  lua_pushlstring(L, h->bytes, got);
  bmwi_wipe(h->bytes, h->len);
  lua_pushstring(L, stamp);
  return 2;
}

/* sys.try_lock(path) -> lock | nil, message, "locked"|"file"
** An advisory lock (flock) on path..".lock"; lock:unlock() or collection ends it. */
static int sys_try_lock(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  size_t size = strlen(path) + 1;
  handle *h = new_handle(L, LOCK, size);
  const char *name = lua_pushfstring(L, "%s.lock", path);
  int error = make_folders(memcpy(h->bytes, path, size));
  if (error != 0) return file_failure(L, "making the folder", path, error);
  h->fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (h->fd < 0) return file_failure(L, "locking", path, errno);
  if (flock(h->fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return bmwi_fail_plain(L, "locked", "%s: another process holds the lock", path);
    return file_failure(L, "locking", path, errno);
  }
  lua_settop(L, lua_gettop(L) - 1);
  return 1;
}


/* The length of a UTF-8 text without its last character. */
static size_t without_last(const char *text, size_t len) {
  while (len > 0 && ((unsigned char)text[len - 1] & 0xC0) == 0x80) len--;
  return len > 0 ? len - 1 : 0;
}

/* sys.read_secret(prompt) -> text | nil, message, "cancelled"|"file"
** Asks on the terminal without echo. ISIG is off meanwhile, so that Ctrl-C
** comes as a character and the terminal is always put right again. */
static int sys_read_secret(lua_State *L) {
  size_t prompt_len;
  const char *prompt = luaL_checklstring(L, 1, &prompt_len);
  struct termios before, quiet;
  handle *h = new_handle(L, LOCK, MAX_SECRET);
  h->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (h->fd < 0 || tcgetattr(h->fd, &before) != 0)
    return bmwi_fail_plain(L, "file", "there is no terminal to ask on");
  quiet = before;
  quiet.c_lflag &= (tcflag_t) ~(ECHO | ISIG | ICANON);
  quiet.c_cc[VMIN] = 1;
  quiet.c_cc[VTIME] = 0;
  write_all(h->fd, prompt, prompt_len);
  tcsetattr(h->fd, TCSAFLUSH, &quiet);
  size_t len = 0;
  bool ended = false;
  while (!ended) {
    char c;
    if (read(h->fd, &c, 1) != 1 || c == 3 || c == 4) break;
    if (c == '\n' || c == '\r') ended = true;
    else if (c == 127 || c == 8) len = without_last(h->bytes, len);
    else if (len + 1 < h->len) h->bytes[len++] = c;
  }
  tcsetattr(h->fd, TCSAFLUSH, &before);
  write_all(h->fd, "\n", 1);
  if (!ended) return bmwi_fail_plain(L, "cancelled", "the question was not answered");
  lua_pushlstring(L, h->bytes, len);
  bmwi_wipe(h->bytes, h->len);
  return 1;
}

/* sys.no_core(): no core files of this process, which would hold its secrets */
static int sys_no_core(lua_State *L) {
  struct rlimit none = {0, 0};
  (void)L;
  setrlimit(RLIMIT_CORE, &none);
#if defined(__linux__)
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
  return 0;
}

static const luaL_Reg functions[] = {
  {"monotonic", sys_monotonic},         {"isatty", sys_isatty},
  {"write_private", sys_write_private}, {"read_private", sys_read_private},
  {"try_lock", sys_try_lock},           {"read_secret", sys_read_secret},
  {"no_core", sys_no_core},             {NULL, NULL},
};

void bmwi_sys_open(lua_State *L) {
  luaL_newmetatable(L, LOCK);
  lua_pushcfunction(L, handle_close);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, handle_close);
  lua_setfield(L, -2, "__close");
  lua_newtable(L);
  lua_pushcfunction(L, handle_close);
  lua_setfield(L, -2, "unlock");
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_newtable(L);
  luaL_setfuncs(L, functions, 0);
}
