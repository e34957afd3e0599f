/*
** CarData's status fields: for each member of a status its sources, unit and words, and which cars
** have it. Plain C.
*/
#ifndef BMWI_CARDATA_FIELDS_H
#define BMWI_CARDATA_FIELDS_H

#include "service/cardata_values.h"

#pragma GCC visibility push(hidden)

#define BMWI_SOURCES 5 /* maximum number of descriptors of a field, including the terminator */

typedef enum bmwi_measure {
  BMWI_MEASURE_DISTANCE, /* in the unit of the message, which may be missing */
  BMWI_MEASURE_VOLUME,   /* likewise */
  BMWI_MEASURE_PERCENT,
  BMWI_MEASURE_MINUTES,
  BMWI_MEASURE_WATT,
  BMWI_MEASURE_KWH,
  BMWI_MEASURE_BOOLEAN,
  BMWI_MEASURE_WORD,
  BMWI_MEASURE_POSITION,
  BMWI_MEASURE_SERVICES, /* a string that contains a JSON array */
  BMWI_MEASURE_MESSAGES
} bmwi_measure;

typedef enum bmwi_device {
  BMWI_DEVICE_ANY,
  BMWI_DEVICE_PLUG,
  BMWI_DEVICE_FUEL,
  BMWI_DEVICE_FUEL_ALONE /* fuel and no plug */
} bmwi_device;

/* Flags of a field. */
#define BMWI_GROWS 1      /* a distance that never becomes smaller */
#define BMWI_AS_OTHERS 2  /* without a unit it is in km if all of the car's other distances are */
#define BMWI_NEVER_ZERO 4 /* a zero is never a value */
/* Flags of a link. */
#define BMWI_PREDICTED 1  /* computed by the car, not measured */
#define BMWI_ON_REQUEST 2 /* its timestamp may be the time of our request */

typedef struct bmwi_word {
  const char *from, *to; /* `to` NULL: implies nothing about the member */
} bmwi_word;

typedef struct bmwi_source {
  const char *descriptor;
  const bmwi_word *words; /* BMW's words and ours; NULL: passed on as they are */
  unsigned char marks;
} bmwi_source;

typedef struct bmwi_field {
  const char *member;
  bmwi_measure measure;
  bmwi_device device;
  unsigned char marks;
  bmwi_source links[BMWI_SOURCES]; /* the first usable one wins */
} bmwi_field;

extern const bmwi_field bmwi_status_fields[]; /* ends with a member NULL */

#define BMWI_LOCATION "vehicle.cabin.infotainment.navigation.currentLocation."
#define BMWI_LATITUDE BMWI_LOCATION "latitude"
#define BMWI_LONGITUDE BMWI_LOCATION "longitude"
#define BMWI_HEADING BMWI_LOCATION "heading"

/* The field that a descriptor belongs to; NULL if there is none. */
const bmwi_field *bmwi_field_of(const char *descriptor);

/* Whether a car with this drive train (NULL: unknown) has this field. Returns the reason why not,
** or BMWI_REASON_NONE; `*sure` is false if the drive train does not determine it. */
bmwi_reason bmwi_field_fitted(const bmwi_field *field, const char *drive_train, bool *sure);

/* Converts BMW's value to the member's words and unit. `*unit` is BMW's unit (NULL if none was
** sent) and becomes the member's; it stays NULL if it is unknown. Returns a reason if there is no
** value. `sure`: from bmwi_field_fitted. */
bmwi_reason bmwi_field_convert(const bmwi_field *field, const bmwi_source *link, bool sure,
                               bmwi_value *value, const char **unit);

/* Whether there is a value, and one that its field (if it has any) can be read from: where that is
** a number, only a number in one of the field's units, or without a unit. Unknown words count as
** values: they say that the last known word no longer holds. */
bool bmwi_field_readable(const char *descriptor, const bmwi_value *value, const char *unit);

/* ---- a distance or a volume without a unit --------------------------------------------------- */

/* What was known about the field before. Times are NAN if unknown. */
typedef struct bmwi_past {
  bool known;   /* there is a value whose unit is certain */
  double value; /* in km or l */
  double time;
  const char *unit; /* the last one from the same source, or NULL */
} bmwi_past;

typedef enum bmwi_settled {
  BMWI_SETTLED,   /* the past values prove the unit */
  BMWI_UNSETTLED, /* the unit is unknown */
  BMWI_REFUSED    /* the value does not fit the past values in any unit */
} bmwi_settled;

/* Whether the field's unit is only in the message. */
bool bmwi_field_needs_unit(const bmwi_field *field);
bmwi_settled bmwi_field_settle(const bmwi_field *field, double value, double time,
                               const bmwi_past *past, const char **unit);
/* Converts the value to the field's base unit (km or l); false if the unit is not one of the
** field's. */
bool bmwi_field_base(const bmwi_field *field, double *value, const char *unit);

#pragma GCC visibility pop

#endif
