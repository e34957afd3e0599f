/*
** A plain libcurl loop: fetches one URL again and again, and with `decode`
** gives each body to cjson.decode in an embedded Lua.
** usage: fetch URL CA-FILE fetch|decode
*/
#include "decode.h"

static CURL *easy;
static body answer;

static void run(long n) {
  for (long i = 0; i < n; i++) {
    answer.len = 0;
    check_answer(easy, curl_easy_perform(easy));
    decode(&answer);
  }
}

int main(int argc, char **argv) {
  check(argc == 4, "usage: fetch URL CA-FILE fetch|decode");
  curl_global_init(CURL_GLOBAL_DEFAULT);
  easy = make(argv[1], argv[2], &answer);
  if (strcmp(argv[3], "decode") == 0) open_lua();
  work(RUSAGE_SELF, run, tidy);
  return 0;
}
