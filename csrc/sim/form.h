/* The fields of a form or a query. */
#ifndef BMWI_SIM_FORM_H
#define BMWI_SIM_FORM_H

#include <stdbool.h>
#include <stddef.h>

struct field {
  char *name;
  char *value;
  size_t length;
};

struct fields {
  struct field *list;
  size_t count;
  size_t room;
};

/* Appends a field and takes ownership of both strings. */
void fields_add(struct fields *fields, char *name, char *value, size_t length);
void fields_decode(struct fields *out, const char *text, size_t length);
const struct field *field_find(const struct fields *fields, const char *name);
const char *field_value(const struct fields *fields, const char *name);
bool field_repeated(const struct fields *fields);
void fields_free(struct fields *fields);

#endif
