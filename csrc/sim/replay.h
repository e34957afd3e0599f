/* Plays a recording of a service (made by `bmwi --record`) instead of the simulator's own answers.
   Its clock starts with the first subscription or, if it has no messages, with the first answer. */
#ifndef BMWI_SIM_REPLAY_H
#define BMWI_SIM_REPLAY_H

#include "http.h"

const char *replay_set_file(const char *file);
bool replay_start(void); /* false: it has printed why */
void replay_rewind(void);
void replay_end(void);

/* The lines of the recording, whose `body` and `payload` have become strings of their bytes. NULL:
   there is none, or it belongs to another service. */
const json_t *replay_lines(const char *service);

/* Answers with the newest response recorded up to now, or the first one; false: there is none. */
bool replay_answer(const struct request *request, struct reply *reply);

void replay_begin(void); /* starts the recording's clock, once */
/* The next message if it is due, else NULL, with the time when it will be in `due`. */
const json_t *replay_message(double now, double *due);
json_t *replay_report(void); /* NULL: there is no recording */

#endif
