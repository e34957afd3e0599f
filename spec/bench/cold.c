/*
** Starts a program again and again, its output thrown away, and waits for each.
** The file that REMOVE names is removed before each start.
** usage: cold PROGRAM ARGUMENT...
*/
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker.h"

static char **command;

static void run(long n) {
  const char *remains = getenv("REMOVE");
  for (long i = 0; i < n; i++) {
    int status;
    if (remains != NULL) unlink(remains);
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
      int null = open("/dev/null", O_RDWR);
      dup2(null, 0);
      dup2(null, 1);
      execvp(command[0], command);
      _exit(127);
    }
    check(waitpid(child, &status, 0) == child, "waitpid");
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, command[0]);
  }
}

int main(int argc, char **argv) {
  check(argc > 1, "usage: cold PROGRAM ARGUMENT...");
  command = argv + 1;
  work(RUSAGE_CHILDREN, run, NULL);
  return 0;
}
