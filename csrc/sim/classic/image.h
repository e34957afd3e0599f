/* A picture of the car: the same for every view and size. */
#ifndef BMWI_SIM_CLASSIC_IMAGE_H
#define BMWI_SIM_CLASSIC_IMAGE_H

#include "../http.h"

void image_answer(struct request *request, struct reply *reply);

#endif
