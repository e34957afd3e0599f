/* A recording of what a service sent (`bmwi --record`), played in place of what the simulator would
   say. Its clock begins with the first message that somebody can get, or, where it has no messages,
   with the first answer. */
#ifndef BMWI_SIM_REPLAY_H
#define BMWI_SIM_REPLAY_H

#include "http.h"

const char *replay_set_file(const char *file);
bool replay_start(void); /* false: has reported the problem */
void replay_rewind(void);
void replay_end(void);

/* The lines of the recording; NULL: there is none, or it belongs to another service. */
const json_t *replay_lines(const char *service);

/* The newest response to such a request so far, or the first; false: none was recorded. */
bool replay_answer(const struct request *request, struct reply *reply);

void replay_begin(void); /* from now on a client receives the messages */
/* The next message if it is due, else NULL; `due`: when it will be. */
const json_t *replay_message(double now, double *due);
json_t *replay_report(void); /* NULL: there is no recording */

#endif
