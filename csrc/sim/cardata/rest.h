/* The REST service's endpoints for a car, which is the request's subject. */
#ifndef BMWI_SIM_CARDATA_REST_H
#define BMWI_SIM_CARDATA_REST_H

#include "../http.h"

void rest_mappings(struct request *request, struct reply *reply);
void rest_basic_data(struct request *request, struct reply *reply);
void rest_telematic_data(struct request *request, struct reply *reply);
void rest_charging_history(struct request *request, struct reply *reply);
void rest_charging_settings(struct request *request, struct reply *reply);
void rest_tyres(struct request *request, struct reply *reply);
void rest_image(struct request *request, struct reply *reply);

#endif
