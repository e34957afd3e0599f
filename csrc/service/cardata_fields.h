/*
** CarData's status fields: for each member of a status, where it comes from,
** in which unit and words, and which cars have it. Plain C.
*/
#ifndef BMWI_CARDATA_FIELDS_H
#define BMWI_CARDATA_FIELDS_H

#include "service/cardata_values.h"

#pragma GCC visibility push(hidden)

#define BMWI_SOURCES 5 /* descriptors of one field at most, with the end of the list */

typedef enum bmwi_measure {
  BMWI_MEASURE_DISTANCE, /* in the unit of the message, which may be missing */
  BMWI_MEASURE_VOLUME,   /* as well */
  BMWI_MEASURE_PERCENT,
  BMWI_MEASURE_MINUTES,
  BMWI_MEASURE_WATT,
  BMWI_MEASURE_KWH,
  BMWI_MEASURE_BOOLEAN,
  BMWI_MEASURE_WORD,
  BMWI_MEASURE_POSITION,
  BMWI_MEASURE_SERVICES, /* a text with a JSON array inside */
  BMWI_MEASURE_MESSAGES
} bmwi_measure;

typedef enum bmwi_device {
  BMWI_DEVICE_ANY,
  BMWI_DEVICE_PLUG,
  BMWI_DEVICE_FUEL,
  BMWI_DEVICE_FUEL_ALONE /* fuel and no plug */
} bmwi_device;

/* Marks of a field. */
#define BMWI_GROWS 1      /* a distance that never becomes smaller */
#define BMWI_AS_OTHERS 2  /* without a unit it is km if all other distances of the car are */
#define BMWI_NEVER_ZERO 4 /* a zero is never a value */
/* Marks of a link. */
#define BMWI_PREDICTED 1  /* computed by the car, not measured */
#define BMWI_ON_REQUEST 2 /* its time may be that of our request */

typedef struct bmwi_word {
  const char *from, *to; /* `to` NULL: it says nothing about the member */
} bmwi_word;

typedef struct bmwi_source {
  const char *descriptor;
  const bmwi_word *words; /* BMW's words and ours; NULL: as they are */
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

/* The field that a descriptor belongs to; NULL for one that is of no field. */
const bmwi_field *bmwi_field_of(const char *descriptor);

/* Whether a car of this drive train (NULL: not known) has what the field describes: a reason why
** not, or BMWI_REASON_NONE, with `*sure` false where the drive train does not say. */
bmwi_reason bmwi_field_fitted(const bmwi_field *field, const char *drive_train, bool *sure);

/* Turns BMW's value into the member's: its words, its unit. `*unit` is what BMW said, NULL for
** nothing, and becomes the member's; it stays NULL where only BMW knows. Gives a reason where there
** is no value. `sure`: as from bmwi_field_fitted. */
bmwi_reason bmwi_field_convert(const bmwi_field *field, const bmwi_source *link, bool sure,
                               bmwi_value *value, const char **unit);

/* ---- a distance or a volume without a unit --------------------------------------------------- */

/* What was known of the field before. Times: NAN where not known. */
typedef struct bmwi_past {
  bool known;   /* there is a value whose unit is sure */
  double value; /* in km or l */
  double time;
  const char *unit; /* the last one that the same source said, or NULL */
} bmwi_past;

typedef enum bmwi_settled {
  BMWI_SETTLED,   /* the past proves the unit */
  BMWI_UNSETTLED, /* nobody knows it */
  BMWI_REFUSED    /* in no unit does it fit the past */
} bmwi_settled;

/* Whether the field's unit comes with the message only. */
bool bmwi_field_needs_unit(const bmwi_field *field);
bmwi_settled bmwi_field_settle(const bmwi_field *field, double value, double time,
                               const bmwi_past *past, const char **unit);
/* The value in the field's own unit (km or l); false for a unit that is none of its. */
bool bmwi_field_base(const bmwi_field *field, double *value, const char *unit);

#pragma GCC visibility pop

#endif
