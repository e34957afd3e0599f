/* Containers: lists of descriptors, which belong to the account, not to a car. */
#ifndef BMWI_SIM_CARDATA_CONTAINER_H
#define BMWI_SIM_CARDATA_CONTAINER_H

#include "../http.h"

void container_list(struct request *request, struct reply *reply);
void container_create(struct request *request, struct reply *reply);
void container_show(struct request *request, struct reply *reply);
void container_delete(struct request *request, struct reply *reply);

/* The container's descriptors; NULL: there is none, or it is deleted, and the reply says so. */
const json_t *container_descriptors(const char *id, struct reply *reply);
json_t *container_report(void);
void container_reset(void);

#endif
