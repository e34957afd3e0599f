/* Checks a charging profile that was sent. */
#ifndef BMWI_SIM_CLASSIC_PROFILE_H
#define BMWI_SIM_CLASSIC_PROFILE_H

#include "../form.h"

#include <jansson.h>

json_t *profile_read(const struct field *data); /* NULL: invalid */

#endif
