/*
** bmwi._sys: POSIX functions that Lua lacks, for the token store and the command line: private
** files, a lock, a prompt without echo. No network I/O.
*/
#if defined(__linux__)
#define _GNU_SOURCE
#include <sys/prctl.h>
#endif

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "binding/bmwi.h"
#include "binding/options.h"
#include "core/clock.h"
#include "core/guard.h"

#if !defined(__linux__)
extern char **environ; /* POSIX has it in no header */
#endif

#define LOCK "bmwi.lock"
#define MAX_FILE (1024 * 1024)
#define MAX_SECRET 1024
#define MAX_LINKS 16
#if !defined(PATH_MAX)
#define PATH_MAX 4096
#endif

/* An open descriptor that the collector closes, and a buffer to wipe with it. */
typedef struct handle {
  int fd;
  size_t len;
  char bytes[];
} handle;

static handle *new_handle(lua_State *L, size_t bytes) {
  handle *h = lua_newuserdata(L, sizeof *h + bytes);
  memset(h, 0, sizeof *h + bytes);
  h->fd = -1;
  h->len = bytes;
  luaL_setmetatable(L, LOCK);
  return h;
}

/* Call before every return: descriptors left to the collector could exhaust the limit. */
static void end(handle *h) {
  if (h->fd >= 0) close(h->fd);
  h->fd = -1;
  bmwi_wipe(h->bytes, h->len);
}

static int handle_close(lua_State *L) {
  end(luaL_checkudata(L, 1, LOCK));
  return 0;
}

static int file_failure(lua_State *L, const char *what, const char *path, int error) {
  return bmwi_fail_plain(L, "file", "%s: %s failed: %s", path, what, strerror(error));
}

/* sys.monotonic() -> seconds on a clock that never goes backwards */
static int sys_monotonic(lua_State *L) {
  lua_pushnumber(L, bmwi_now());
  return 1;
}

/* sys.isatty(fd) -> whether 0, 1 or 2 is a terminal */
static int sys_isatty(lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

/* sys.columns() -> width and height of the terminal on standard output; nil if it is not a terminal
** or the size is unknown */
static int sys_columns(lua_State *L) {
  struct winsize size;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 0;
  lua_pushinteger(L, size.ws_col);
  lua_pushinteger(L, size.ws_row);
  return 2;
}

/* Whether a file or link belongs to this user or to root. */
static bool is_ours(const struct stat *st) { return st->st_uid == geteuid() || st->st_uid == 0; }

/* Follows the links at `path` to the file to write, which need not exist, so that the target is
** replaced instead of the link. Returns NULL, or why that is impossible. */
static const char *follow(const char *path, char out[PATH_MAX]) {
  struct stat st;
  char target[PATH_MAX];
  size_t len = strlen(path);
  if (len >= PATH_MAX) return "the name is too long";
  memcpy(out, path, len + 1);
  for (int links = 0; lstat(out, &st) == 0; links++) {
    if (!S_ISLNK(st.st_mode)) {
      bool private = is_ours(&st) && (st.st_mode & 077) == 0;
      if (links == 0 || private || !S_ISREG(st.st_mode)) return NULL;
      return "it is a link to a file that other users can read or write";
    }
    if (!is_ours(&st)) return "it is a link that another user made";
    if (links == MAX_LINKS) return "too many links";
    ssize_t n = readlink(out, target, sizeof target - 1);
    if (n < 0) return strerror(errno);
    target[n] = '\0';
    const char *slash = target[0] == '/' ? NULL : strrchr(out, '/');
    size_t folder = slash != NULL ? (size_t)(slash + 1 - out) : 0;
    if (folder + (size_t)n >= PATH_MAX) return "the name is too long";
    memcpy(out + folder, target, (size_t)n + 1);
  }
  return NULL;
}

/* Creates the missing parent folders of the path, private to the user. */
static int make_folders(char *path) {
  if (*path == '\0') return ENOENT;
  for (char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
    *p = '\0';
    int failed = 0;
    if (mkdir(path, 0700) == 0) failed = chmod(path, 0700) != 0 ? errno : 0; /* despite the umask */
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

/* The same, on disk. A file that would exceed the limit of this process is a failure (EFBIG). */
static int write_synced(int fd, const char *data, size_t len) {
  bmwi_guard guard;
  bmwi_guard_enter(&guard, SIGXFSZ);
  int error = write_all(fd, data, len);
  bmwi_guard_leave(&guard);
  return error == 0 && fsync(fd) != 0 ? errno : error;
}

/* Makes a rename in the folder of `path` survive a power failure. */
static void sync_folder(char *path) {
  char *slash = strrchr(path, '/');
  if (slash != NULL) *slash = '\0';
  int fd = open(slash == NULL ? "." : slash == path ? "/" : path, O_RDONLY | O_CLOEXEC);
  if (slash != NULL) *slash = '/';
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

/* Whether a process with this PID is running. */
static bool runs(const char *number, char **end) {
  long pid = strtol(number, end, 10);
  return pid <= 0 || kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

/* Removes new files of sys_write_private ("NAME.PID.ADDRESS.new") left behind by processes that
** were killed while writing. */
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

/* Writes a new file with this mode beside `place` and renames it to `place`. */
static int replace(lua_State *L, handle *h, const char *path, char *place, mode_t mode) {
  size_t len;
  const char *data = luaL_checklstring(L, 2, &len);
  struct stat st;
  int error = 0;
  if (stat(place, &st) == 0 && !S_ISREG(st.st_mode)) /* a device, for example: do not replace it */
    return bmwi_fail_plain(L, "file", "%s: not a regular file", path);
  sweep(place);
  const char *temp = lua_pushfstring(L, "%s.%d.%p.new", place, (int)getpid(), (void *)h);
  h->fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (h->fd < 0) return file_failure(L, "writing", path, errno);
  if (fchmod(h->fd, mode) != 0) error = errno; /* despite the umask */
  if (error == 0) error = write_synced(h->fd, data, len);
  if (error == 0 && rename(temp, place) != 0) error = errno;
  if (error != 0) {
    unlink(temp);
    return file_failure(L, "writing", path, error);
  }
  sync_folder(place);
  lua_pushboolean(L, 1);
  return 1;
}

static int write_private(lua_State *L, handle *h, const char *path) {
  char place[PATH_MAX];
  const char *fault = follow(path, place);
  if (fault != NULL) return bmwi_fail_plain(L, "file", "%s: %s", path, fault);
  int error = lua_toboolean(L, 3) ? 0 : make_folders(place);
  if (error != 0) return file_failure(L, "creating the folder", path, error);
  return replace(L, h, path, place, 0600);
}

static int publish_file(lua_State *L, handle *h, const char *path) {
  char place[PATH_MAX];
  size_t len = strlen(path);
  if (len >= PATH_MAX) return bmwi_fail_plain(L, "file", "%s: the name is too long", path);
  memcpy(place, path, len + 1);
  return replace(L, h, path, place, 0644);
}

static int write_with(lua_State *L, int (*write)(lua_State *, handle *, const char *)) {
  const char *path = luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  lua_settop(L, 3);
  handle *h = new_handle(L, 0);
  int results = write(L, h, path);
  end(h);
  return results;
}

/* sys.write_private(path, bytes[, no_folders]) -> true | nil, message, "file"
** Replaces the file atomically, and it is never readable by others: a new file beside it (0600,
** exclusive), fsync, rename, fsync. A link is kept, and its target replaced. Makes the folders that
** are missing, unless `no_folders`. */
static int sys_write_private(lua_State *L) { return write_with(L, write_private); }

/* sys.publish_file(path, bytes) -> true | nil, message, "file"
** The same for a file that everybody may read, in an existing folder. */
static int sys_publish_file(lua_State *L) { return write_with(L, publish_file); }

/* sys.remove_private(path) -> true | nil, message, "file"
** Removes a link's target, not the link. A missing file is not an error. */
static int sys_remove_private(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  char place[PATH_MAX];
  struct stat st;
  const char *fault = follow(path, place);
  if (fault != NULL) return bmwi_fail_plain(L, "file", "%s: %s", path, fault);
  bool there = lstat(place, &st) == 0;
  if (there && !S_ISREG(st.st_mode))
    return bmwi_fail_plain(L, "file", "%s: not a regular file", path);
  if (unlink(place) != 0 && errno != ENOENT) return file_failure(L, "removing", path, errno);
  lua_pushboolean(L, 1);
  return 1;
}

#define MAKE_YOURS "it must be yours; run: sudo chown \"$(id -un)\" %s"

/* Completes a failure with `info`, which holds the hint. */
static int add_hint(lua_State *L, const char *format, const char *path) {
  lua_createtable(L, 0, 2);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "retryable");
  lua_pushfstring(L, format, path);
  lua_setfield(L, -2, "hint");
  return 4;
}

static int read_private(lua_State *L, handle *probe, const char *path) {
  struct stat st;
  probe->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (probe->fd < 0 && errno == ENOENT)
    return bmwi_fail_plain(L, "missing", "%s: there is no such file", path);
  if (probe->fd < 0 && errno == EACCES) {
    file_failure(L, "reading", path, errno);
    return add_hint(L, MAKE_YOURS, path);
  }
  if (probe->fd < 0 || fstat(probe->fd, &st) != 0) return file_failure(L, "reading", path, errno);
  if (!S_ISREG(st.st_mode)) return bmwi_fail_plain(L, "file", "%s: not a regular file", path);
  if ((st.st_mode & 077) != 0) {
    bmwi_fail_plain(L, "insecure", "%s: other users can read or write it", path);
    return add_hint(L, "run: chmod 600 %s", path);
  }
  if (!is_ours(&st)) {
    bmwi_fail_plain(L, "insecure", "%s: it belongs to another user", path);
    return add_hint(L, MAKE_YOURS, path);
  }
  if (st.st_size > MAX_FILE) return bmwi_fail_plain(L, "file", "%s: larger than 1 MiB", path);
  handle *h = new_handle(L, (size_t)st.st_size + 1);
  size_t got = 0;
  while (got < (size_t)st.st_size) {
    ssize_t n = read(probe->fd, h->bytes + got, (size_t)st.st_size - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_failure(L, "reading", path, errno);
    if (n == 0) break;
    got += (size_t)n;
  }
  lua_pushlstring(L, h->bytes, got);
  end(h);
  return 1;
}

/* sys.read_private(path) -> bytes | nil, message, "missing"|"insecure"|"file"[, info] */
static int sys_read_private(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  handle *probe = new_handle(L, 0);
  int results = read_private(L, probe, path);
  end(probe);
  return results;
}

static int try_lock(lua_State *L, handle *h, const char *path, const char *kind) {
  char place[PATH_MAX];
  const char *fault = follow(path, place);
  if (fault != NULL) return bmwi_fail_plain(L, "file", "%s: %s", path, fault);
  int error = make_folders(place);
  if (error != 0) return file_failure(L, "creating the folder", path, error);
  const char *name = lua_pushfstring(L, "%s.%s", place, kind);
  h->fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (h->fd < 0) return file_failure(L, "locking", path, errno);
  if (flock(h->fd, LOCK_EX | LOCK_NB) == 0) return 1;
  if (errno == EWOULDBLOCK)
    return bmwi_fail_plain(L, "locked", "%s: another process holds the lock", path);
  return file_failure(L, "locking", path, errno);
}

/* sys.try_lock(path[, kind]) -> lock | nil, message, "locked"|"file"
** An advisory lock (flock) on path.."."..kind, released by lock:unlock() or collection. A link has
** the same lock as its target. */
static int sys_try_lock(lua_State *L) {
  const char *path = luaL_checkstring(L, 1), *kind = luaL_optstring(L, 2, "lock");
  handle *h = new_handle(L, 0);
  int self = lua_gettop(L), results = try_lock(L, h, path, kind);
  if (results == 1) lua_settop(L, self);
  else end(h);
  return results;
}

/* sys.pause(seconds): blocks this process and all its tasks; one second at most */
static int sys_pause(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0 && seconds <= 1, 1, "0 to 1 expected");
  struct timespec wait = {.tv_sec = (time_t)seconds};
  wait.tv_nsec = (long)((seconds - (double)wait.tv_sec) * 1e9);
  nanosleep(&wait, NULL);
  return 0;
}

/* ---- termination by a signal ------------------------------------------------------ */

/* The signal received, until it is raised; whether it must wait. */
static volatile sig_atomic_t caught, held;

/* A signal between two waits interrupts nothing, so it is repeated after a second. Where it must
** wait, another one ends the process. */
static void on_signal(int number) {
  if (number != SIGALRM && held && caught != 0) {
    signal(number, SIG_DFL);
    raise(number);
  }
  if (number != SIGALRM) caught = number;
  alarm(1);
}

void bmwi_sys_check(lua_State *L) {
  int number = caught;
  if (number == 0 || held) return;
  caught = 0;
  alarm(0);
  luaL_error(L, number == SIGINT ? "interrupted!" : "terminated!");
}

/* sys.catch_signals(): from now on Ctrl-C makes waiting calls raise "interrupted!", and SIGTERM
** "terminated!". The interpreter raises the first from any line of Lua, where it may be taken for
** another failure, and dies of the second. Affects the whole process, so it is for the command line
** only. */
static int sys_catch_signals(lua_State *L) {
  (void)L;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGALRM, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  return 0;
}

/* sys.hold_signals(hold): true: catches signals, and raises none until it is called with false. */
static int sys_hold_signals(lua_State *L) {
  held = lua_toboolean(L, 1);
  return held ? sys_catch_signals(L) : 0;
}

/* The length of a UTF-8 text without its last character. */
static size_t without_last(const char *text, size_t len) {
  while (len > 0 && ((unsigned char)text[len - 1] & 0xC0) == 0x80) len--;
  return len > 0 ? len - 1 : 0;
}

static int read_secret(lua_State *L, handle *h) {
  size_t prompt_len;
  const char *prompt = luaL_checklstring(L, 1, &prompt_len);
  struct termios before, quiet;
  h->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (h->fd < 0 || tcgetattr(h->fd, &before) != 0)
    return bmwi_fail_plain(L, "file", "no terminal to prompt on");
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
  if (!ended) return bmwi_fail_plain(L, "cancelled", "the prompt was cancelled");
  lua_pushlstring(L, h->bytes, len);
  return 1;
}

/* sys.read_secret(prompt) -> text | nil, message, "cancelled"|"file"
** Prompts on the terminal without echo. ISIG is off meanwhile, so that Ctrl-C is read as a
** character and the terminal is always restored. */
static int sys_read_secret(lua_State *L) {
  luaL_checkstring(L, 1);
  handle *h = new_handle(L, MAX_SECRET);
  int results = read_secret(L, h);
  end(h);
  bmwi_sys_check(L); /* a signal has ended the prompt */
  return results;
}

/* sys.no_core(): disables core files of this process, which would contain its secrets */
static int sys_no_core(lua_State *L) {
  struct rlimit none = {0, 0};
  (void)L;
  setrlimit(RLIMIT_CORE, &none);
#if defined(__linux__)
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
  return 0;
}

/* sys.no_size_signal(): from now on a file that would exceed the limit of this process is a failure
** of the write (EFBIG), not a signal that ends the process. For the command line only. */
static int sys_no_size_signal(lua_State *L) {
  (void)L;
  signal(SIGXFSZ, SIG_IGN);
  return 0;
}

/* sys.same_file(path, other) -> whether both exist and are one file, by whatever names */
static int sys_same_file(lua_State *L) {
  struct stat one, other;
  bool both = stat(luaL_checkstring(L, 1), &one) == 0 && stat(luaL_checkstring(L, 2), &other) == 0;
  lua_pushboolean(L, both && one.st_dev == other.st_dev && one.st_ino == other.st_ino);
  return 1;
}

/* sys.options() -> service -> array of {name, type, least, most, standard, secret} */
static int sys_options(lua_State *L) {
  lua_newtable(L);
  for (size_t i = 0; bmwi_services[i] != NULL; i++) {
    bmwi_options_push(L, bmwi_services[i]);
    lua_setfield(L, -2, bmwi_services[i]->name);
  }
  return 1;
}

/* sys.leave(code): ends the process without what others have registered for its end. Freeing what
** OpenSSL holds takes longer than freeing the rest, and libcurl's resolver may still be running. */
static int sys_leave(lua_State *L) {
  int code = (int)luaL_checkinteger(L, 1);
  fflush(NULL);
#ifdef BMWI_INSTRUMENTED
  exit(code); /* reports leaks and coverage */
#else
  _exit(code);
#endif
}

/* sys.variables(prefix) -> the names of the environment's variables that begin with it */
static int sys_variables(lua_State *L) {
  size_t len;
  const char *prefix = luaL_checklstring(L, 1, &len);
  int count = 0;
  lua_newtable(L);
  for (char **p = environ; p != NULL && *p != NULL; p++) {
    if (strncmp(*p, prefix, len) != 0) continue;
    lua_pushlstring(L, *p, strcspn(*p, "="));
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

static const luaL_Reg functions[] = {
  {"monotonic", sys_monotonic},
  {"isatty", sys_isatty},
  {"columns", sys_columns},
  {"write_private", sys_write_private},
  {"read_private", sys_read_private},
  {"try_lock", sys_try_lock},
  {"read_secret", sys_read_secret},
  {"no_core", sys_no_core},
  {"no_size_signal", sys_no_size_signal},
  {"same_file", sys_same_file},
  {"remove_private", sys_remove_private},
  {"json", bmwi_json_print},
  {"pause", sys_pause},
  {"options", sys_options},
  {"leave", sys_leave},
  {"catch_signals", sys_catch_signals},
  {"hold_signals", sys_hold_signals},
  {"publish_file", sys_publish_file},
  {"variables", sys_variables},
  {NULL, NULL},
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
