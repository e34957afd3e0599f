/*
** Guard: see guard.h.
*/
#include "core/guard.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void only(sigset_t *set, int number) {
  sigemptyset(set);
  sigaddset(set, number);
}

void bmwi_guard_enter(bmwi_guard *guard, int number) {
  sigset_t set;
  only(&set, number);
  guard->number = number;
  guard->blocked = pthread_sigmask(SIG_BLOCK, &set, &guard->before) != 0 ||
                   sigismember(&guard->before, number) == 1;
}

/* A signal that is pending now arrived meanwhile: an earlier one would have been delivered. */
void bmwi_guard_leave(const bmwi_guard *guard) {
  sigset_t set;
  if (guard->blocked) return;
  only(&set, guard->number);
#if defined(__APPLE__)
  sigset_t pending;
  int taken;
  if (sigpending(&pending) == 0 && sigismember(&pending, guard->number) == 1) sigwait(&set, &taken);
#else
  static const struct timespec at_once = {0, 0};
  sigtimedwait(&set, NULL, &at_once);
#endif
  pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
}

/* The inode of a local socket that child programs would inherit, else 0. */
static ino_t inherited_pair(int fd) {
  struct stat st;
  struct sockaddr_storage name;
  socklen_t size = sizeof name;
  int flags = fcntl(fd, F_GETFD);
  if (flags < 0 || (flags & FD_CLOEXEC) != 0 || fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode))
    return 0;
  if (getsockname(fd, (struct sockaddr *)&name, &size) != 0 || name.ss_family != AF_UNIX) return 0;
  return st.st_ino;
}

void bmwi_guard_socket(int fd) {
  ino_t number = inherited_pair(fd);
  for (int other = fd - BMWI_PAIR_NEAR; number != 0 && other <= fd + BMWI_PAIR_NEAR; other++)
    if (inherited_pair(other) == number + 1) fcntl(other, F_SETFD, FD_CLOEXEC); /* made after it */
  fcntl(fd, F_SETFD, FD_CLOEXEC);
}

int bmwi_pair_lowest(void) {
  int fd = dup(STDERR_FILENO);
  if (fd >= 0) close(fd);
  return fd;
}

/* The number of bytes that can be read from a local socket, here or at its other end. */
static int waiting(int fd) {
  int in = 0, out = 0;
  ioctl(fd, FIONREAD, &in);
#if defined(TIOCOUTQ)
  ioctl(fd, TIOCOUTQ, &out);
#endif
  return in + out;
}

void bmwi_pair_look(bmwi_pair *pair, int lowest) {
  pair->lowest = lowest;
  for (int i = 0; i < BMWI_PAIR_NEAR; i++)
    pair->before[i] = lowest >= 0 && inherited_pair(lowest + i) != 0 ? waiting(lowest + i) : -1;
}

/* Leaves alone sockets that another thread has opened meanwhile: nothing has changed in them. */
void bmwi_pair_guard(const bmwi_pair *pair) {
  for (int i = 0; i < BMWI_PAIR_NEAR; i++)
    if (pair->before[i] >= 0 && waiting(pair->lowest + i) != pair->before[i])
      fcntl(pair->lowest + i, F_SETFD, FD_CLOEXEC);
}

#if defined(MADV_WIPEONFORK)
char *bmwi_guard_mark(void) {
  size_t size = (size_t)sysconf(_SC_PAGESIZE);
  char *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return NULL;
  *page = 1;
  if (madvise(page, size, MADV_WIPEONFORK) == 0) return page;
  munmap(page, size);
  return NULL;
}

void bmwi_guard_unmark(char *mark) {
  if (mark != NULL) munmap(mark, (size_t)sysconf(_SC_PAGESIZE));
}
#else
char *bmwi_guard_mark(void) { return NULL; }
void bmwi_guard_unmark(char *mark) { (void)mark; }
#endif
