/* The received requests, for tests. Limited in entries and in bytes. */
#ifndef BMWI_SIM_LOG_H
#define BMWI_SIM_LOG_H

#include "http.h"

long log_add(const struct request *request, unsigned connection);
void log_status(long number, int status);
void log_fault(long number, const char *fault);
void log_clear(long until);     /* LONG_MAX: all */
json_t *log_report(long after); /* 0: all */

#endif
