/*
** CarData's values: see cardata_values.h.
*/
#include "service/cardata_values.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define WHOLE 9007199254740992.0 /* a double represents all whole numbers up to here exactly */

/* ---- why there is no value ------------------------------------------------------------------- */

static const struct {
  const char *word, *sentence;
} reasons[BMWI_REASONS] = {
  [BMWI_REASON_NONE] = {"", ""},
  [BMWI_REASON_ABSENT] = {"absent", "BMW sent nothing for this car; not every car has it, and it "
                                    "must be selected in the portal or be in the request"},
  [BMWI_REASON_REFUSED] = {"refused", "BMW does not let this account request it (CU-402)"},
  [BMWI_REASON_LEFT_OUT] = {"left_out", "not in the request, since too many containers exist"},
  [BMWI_REASON_NULL] = {"null", "BMW knows it for this car but sent no value"},
  [BMWI_REASON_NOT_AVAILABLE] = {"not_available", "the car said \"not available\""},
  [BMWI_REASON_INVALID] = {"invalid", "the car said \"invalid\": no sensor, or no value now"},
  [BMWI_REASON_UNKNOWN] = {"unknown", "the car said \"unknown\""},
  [BMWI_REASON_UNREADABLE] = {"unreadable", "BMW sent an unknown value (see raw)"},
  [BMWI_REASON_UNIT] = {"unit", "BMW sent it in an unexpected unit"},
  [BMWI_REASON_ZERO] = {"zero", "a zero, which cars without it send too"},
  [BMWI_REASON_NOT_FITTED] = {"not_fitted", "a car with this drive train does not have it"},
  [BMWI_REASON_COMBINED] = {"combined", "BMW sends only the total range (fuel and electric)"},
  [BMWI_REASON_UNPAIRED] = {"unpaired", "latitude and longitude are from different times"},
};

const char *bmwi_reason_word(bmwi_reason reason) { return reasons[reason].word; }
const char *bmwi_reason_sentence(bmwi_reason reason) { return reasons[reason].sentence; }

bmwi_reason bmwi_reason_named(const char *word) {
  for (int i = 0; i < BMWI_REASONS; i++)
    if (strcmp(reasons[i].word, word) == 0) return (bmwi_reason)i;
  return BMWI_REASON_NONE;
}

/* ---- words ----------------------------------------------------------------------------------- */

static unsigned char folded(char c) {
  if (c >= 'a' && c <= 'z') return (unsigned char)(c - 'a' + 'A');
  return c == '-' ? '_' : (unsigned char)c;
}

bool bmwi_same_word(const char *word, const char *text, size_t len) {
  size_t i = 0;
  for (; i < len && word[i] != '\0'; i++)
    if (folded(word[i]) != folded(text[i])) return false;
  return i == len && word[i] == '\0';
}

static const struct {
  const char *word;
  bmwi_reason reason;
} empty_words[] = {
  {"-NA-", BMWI_REASON_NOT_AVAILABLE},  {"", BMWI_REASON_NOT_AVAILABLE},
  {"INVALID", BMWI_REASON_INVALID},     {"SIGNAL_INVALID", BMWI_REASON_INVALID},
  {"UNKNOWN", BMWI_REASON_UNKNOWN},     {"ASN_isUnknown", BMWI_REASON_UNKNOWN},
  {"ASN_unknown", BMWI_REASON_UNKNOWN}, {"NULL", BMWI_REASON_NULL},
};

static const struct {
  const char *word;
  bool value;
  bool opening; /* a boolean is accepted only for descriptors that ask whether something is open */
} boolean_words[] = {
  {"true", true, false},         {"false", false, false}, {"ASN_isTrue", true, false},
  {"ASN_isFalse", false, false}, {"OPEN", true, true},    {"CLOSED", false, true},
};

static bool asks_open(const char *descriptor) {
  const char *last = strrchr(descriptor, '.');
  return last != NULL && strcmp(last, ".isOpen") == 0;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static bool digit(char c) { return c >= '0' && c <= '9'; }

static size_t digits(const char *text, size_t at, size_t len) {
  while (at < len && digit(text[at])) at++;
  return at;
}

/* For example -12.5e+3; needs a digit before the point and in the exponent. */
static bool decimal(const char *text, size_t len) {
  size_t at = len > 0 && (text[0] == '-' || text[0] == '+');
  size_t end = digits(text, at, len);
  if (end == at) return false;
  if (end < len && text[end] == '.') end = digits(text, end + 1, len);
  if (end < len && (text[end] == 'e' || text[end] == 'E')) {
    at = end + 1;
    if (at < len && (text[at] == '-' || text[at] == '+')) at++;
    end = digits(text, at, len);
    if (end == at) return false;
  }
  return end == len;
}

/* A decimal number, independent of the locale; no hexadecimal, no "inf". */
static bool read_number(double *number, const char *text, size_t len) {
  char copy[80], point[8];
  if (len >= sizeof copy - sizeof point || !decimal(text, len)) return false;
  /* strtod expects the locale's decimal point, which may be a comma. */
  int size = snprintf(point, sizeof point, "%.1f", 0.5);
  if (size < 3 || size >= (int)sizeof point) return false;
  size_t used = 0;
  for (size_t i = 0; i < len; i++) {
    if (text[i] != '.') {
      copy[used++] = text[i];
    } else {
      memcpy(copy + used, point + 1, (size_t)size - 2);
      used += (size_t)size - 2;
    }
  }
  copy[used] = '\0';
  *number = strtod(copy, NULL);
  return isfinite(*number);
}

/* A whole number with leading zeros, or with more digits than a double holds, is an identifier
** ("007") and remains a string. */
static bool is_name(const char *text, size_t len, double number) {
  size_t at = text[0] == '-' || text[0] == '+';
  return (len - at > 1 && text[at] == '0' && digit(text[at + 1])) || fabs(number) > WHOLE;
}

void bmwi_value_number(bmwi_value *value, double number) {
  *value = (bmwi_value){.kind = BMWI_VALUE_NUMBER, .number = number};
  if (!isfinite(number))
    *value = (bmwi_value){.kind = BMWI_VALUE_NONE, .reason = BMWI_REASON_UNREADABLE};
}

void bmwi_value_read(bmwi_value *value, const char *descriptor, const char *text, size_t len) {
  while (len > 0 && (text[0] == ' ' || text[0] == '\t')) text++, len--;
  while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t')) len--;
  *value = (bmwi_value){.kind = BMWI_VALUE_TEXT, .text = text, .len = len};
  for (size_t i = 0; i < COUNT(empty_words); i++)
    if (bmwi_same_word(empty_words[i].word, text, len)) {
      *value = (bmwi_value){.kind = BMWI_VALUE_NONE, .reason = empty_words[i].reason};
      return;
    }
  for (size_t i = 0; i < COUNT(boolean_words); i++)
    if (bmwi_same_word(boolean_words[i].word, text, len) &&
        (!boolean_words[i].opening || asks_open(descriptor))) {
      *value = (bmwi_value){.kind = BMWI_VALUE_BOOLEAN, .boolean = boolean_words[i].value};
      return;
    }
  double number;
  if (read_number(&number, text, len) && !is_name(text, len, number))
    *value = (bmwi_value){.kind = BMWI_VALUE_NUMBER, .number = number};
}

/* ---- units ----------------------------------------------------------------------------------- */

/* Some responses contain UTF-8 that was encoded twice. */
#define DEGREE "\xc2\xb0"
#define DEGREE_TWICE "\xc3\x82\xc2\xb0"
#define DEGREE_LATIN "\xb0"

/* Formatted by hand. */
/* clang-format off */
static const struct {
  const char *unit, *spelling;
} units[] = {
  {"%", "%"}, {"%", "percent"}, {"%", "percentage"},
  {"km", "km"}, {"km", "kilometer"}, {"km", "kilometers"}, {"km", "kilometre"},
  {"km", "kilometres"}, {"km", "MileageUnits.KM"},
  {"mi", "mi"}, {"mi", "mile"}, {"mi", "miles"}, {"mi", "MileageUnits.MI"},
  {"l", "l"}, {"l", "liter"}, {"l", "liters"}, {"l", "litre"}, {"l", "litres"},
  {"gal", "gal"}, {"gal", "gallon"}, {"gal", "gallons"},
  {"kWh", "kWh"}, {"Wh", "Wh"}, {"W", "W"}, {"W", "watt"}, {"kW", "kW"},
  {"V", "V"}, {"V", "volt"}, {"A", "A"}, {"A", "ampere"}, {"Ah", "Ah"},
  {"min", "min"}, {"min", "mins"}, {"min", "minute"}, {"min", "minutes"},
  {"s", "s"}, {"s", "sec"}, {"s", "second"}, {"s", "seconds"},
  {"h", "h"}, {"h", "hour"}, {"h", "hours"},
  {"days", "day"}, {"days", "days"}, {"weeks", "week"}, {"weeks", "weeks"},
  {"months", "month"}, {"months", "months"},
  {DEGREE "C", DEGREE "C"}, {DEGREE "C", DEGREE_TWICE "C"}, {DEGREE "C", DEGREE_LATIN "C"},
  {DEGREE "C", "celsius"}, {DEGREE "C", "degC"},
  {DEGREE "F", DEGREE "F"}, {DEGREE "F", DEGREE_TWICE "F"}, {DEGREE "F", DEGREE_LATIN "F"},
  {DEGREE "F", "fahrenheit"},
  {DEGREE, DEGREE}, {DEGREE, DEGREE_TWICE}, {DEGREE, DEGREE_LATIN}, {DEGREE, "degree"},
  {DEGREE, "degrees"}, {"kPa", "kPa"}, {"bar", "bar"}, {"m", "m"}, {"m", "meter"},
  {"ft", "ft"}, {"km/h", "km/h"}, {"km/h", "kmh"}, {"mph", "mph"}, {"kg", "kg"},
};
/* clang-format on */

const char *bmwi_unit(const char *text, size_t len) {
  while (len > 0 && text[0] == ' ') text++, len--;
  while (len > 0 && text[len - 1] == ' ') len--;
  for (size_t i = 0; i < COUNT(units); i++)
    if (bmwi_same_word(units[i].spelling, text, len)) return units[i].unit;
  return NULL;
}

/* ---- time ------------------------------------------------------------------------------------ */

#define DAY 86400
#define LAST_SECOND 253402300799.0 /* of the year 9999 */

/* Days from 1970 to a Gregorian date, calculated from March. */
static int64_t days_of(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  int64_t era = year / 400, of_era = year - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_in(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return days[month - 1] + (month == 2 && leap);
}

/* In `pattern`, '0' matches any digit, and everything else matches itself. Writes the number from
** each run of digits to `out`. */
static bool matches(const char *pattern, const char *text, size_t len, int *out) {
  size_t size = strlen(pattern);
  if (len < size) return false;
  int *at = out;
  for (size_t i = 0; i < size; i++) {
    if (pattern[i] != '0') {
      if (text[i] != pattern[i] && !(pattern[i] == 'T' && text[i] == ' ')) return false;
      continue;
    }
    if (!digit(text[i])) return false;
    bool first = i == 0 || pattern[i - 1] != '0';
    if (first && i > 0) at++;
    *at = (first ? 0 : *at * 10) + text[i] - '0';
  }
  return true;
}

/* A zone's offset east of UTC in seconds. */
static bool zone(int64_t *offset, const char *text, size_t len) {
  int clock[2] = {0, 0};
  *offset = 0;
  if (len == 0 || (len == 1 && (*text == 'Z' || *text == 'z'))) return true;
  if (*text != '+' && *text != '-') return false;
  bool minus = *text == '-';
  text++, len--;
  char digits4[5] = "";
  if (len == 5 && text[2] == ':') {
    memcpy(digits4, text, 2);
    memcpy(digits4 + 2, text + 3, 2);
  } else if (len == 4 || len == 2) {
    memcpy(digits4, text, len);
    if (len == 2) memcpy(digits4 + 2, "00", 2);
  } else {
    return false;
  }
  if (!matches("00", digits4, 2, clock) || !matches("00", digits4 + 2, 2, clock + 1)) return false;
  if (clock[0] > 23 || clock[1] > 59) return false;
  *offset = (clock[0] * 60 + clock[1]) * 60;
  if (minus) *offset = -*offset;
  return true;
}

static bool seconds_in_range(double *epoch, double seconds) {
  *epoch = seconds;
  return seconds > 0 && seconds <= LAST_SECOND;
}

bool bmwi_time_number(double *epoch, double number) {
  if (number > 1e11) number /= 1000; /* milliseconds */
  return seconds_in_range(epoch, number);
}

bool bmwi_time(double *epoch, const char *text, size_t len) {
  static const char form[] = "0000-00-00T00:00:00";
  int n[6] = {0};
  double number, fraction = 0;
  int64_t offset;
  if (!matches(form, text, len, n))
    return read_number(&number, text, len) && bmwi_time_number(epoch, number);
  size_t at = sizeof form - 1;
  if (at < len && (text[at] == '.' || text[at] == ',')) {
    double part = 0, of = 1;
    size_t end = digits(text, at + 1, len);
    if (end == at + 1) return false;
    while (++at < end)
      if (of < 1e9) part = part * 10 + (text[at] - '0'), of *= 10;
    fraction = part / of;
  }
  if (!zone(&offset, text + at, len - at)) return false;
  if (n[0] < 1970 || n[1] < 1 || n[1] > 12 || n[2] < 1 || n[2] > days_in(n[0], n[1]) || n[3] > 23 ||
      n[4] > 59 || n[5] > 60)
    return false;
  int64_t seconds = days_of(n[0], n[1], n[2]) * DAY + n[3] * 3600 + n[4] * 60 + n[5] - offset;
  return seconds_in_range(epoch, (double)seconds + fraction);
}

bool bmwi_time_text(char out[BMWI_TIME_SIZE], double epoch) {
  if (!(epoch >= 0 && epoch <= LAST_SECOND)) return false;
  int64_t seconds = (int64_t)epoch, days = seconds / DAY, rest = seconds % DAY;
  int year = 1970 + (int)(days / 366), month = 1;
  while (days >= days_of(year + 1, 1, 1)) year++;
  while (month < 12 && days >= days_of(year, month + 1, 1)) month++;
  int day = (int)(days - days_of(year, month, 1)) + 1;
  return snprintf(out, BMWI_TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d+0000", year, month, day,
                  (int)(rest / 3600), (int)(rest / 60 % 60),
                  (int)(rest % 60)) == BMWI_TIME_SIZE - 1;
}
