/*
** Words: see word.h.
*/
#include "core/word.h"

bool bmwi_vin(char *out, const char *text, size_t len) {
  if (len != BMWI_VIN_LENGTH) return false;
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
    if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'))) return false;
    out[i] = c;
  }
  out[len] = '\0';
  return true;
}

bool bmwi_is_word(const char *text, size_t len) {
  if (len == 0 || len > 64) return false;
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}
