/*
** Base64: see base64.h. Two tables and two loops.
*/
#include "core/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void bmwi_base64_encode(char *out, const void *data, size_t len) {
  const unsigned char *in = data;
  size_t i = 0;
  for (; len - i >= 3; i += 3) {
    uint32_t v = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
    *out++ = alphabet[v >> 18];
    *out++ = alphabet[v >> 12 & 63];
    *out++ = alphabet[v >> 6 & 63];
    *out++ = alphabet[v & 63];
  }
  if (len - i == 0) return;
  bool two = len - i == 2;
  uint32_t v = (uint32_t)in[i] << 16 | (two ? (uint32_t)in[i + 1] << 8 : 0);
  *out++ = alphabet[v >> 18];
  *out++ = alphabet[v >> 12 & 63];
  *out++ = two ? alphabet[v >> 6 & 63] : '=';
  *out = '=';
}

size_t bmwi_base64url_encode(char *out, const void *data, size_t len) {
  size_t size = BMWI_BASE64_ENCODED(len);
  bmwi_base64_encode(out, data, len);
  while (size > 0 && out[size - 1] == '=') size--;
  for (size_t i = 0; i < size; i++) {
    if (out[i] == '+') out[i] = '-';
    if (out[i] == '/') out[i] = '_';
  }
  return size;
}

/* 64 + the value of each character in the alphabet, 0 for all others. */
static const unsigned char values[256] = {
  ['A'] = 64,  ['B'] = 65,  ['C'] = 66,  ['D'] = 67,  ['E'] = 68,  ['F'] = 69,  ['G'] = 70,
  ['H'] = 71,  ['I'] = 72,  ['J'] = 73,  ['K'] = 74,  ['L'] = 75,  ['M'] = 76,  ['N'] = 77,
  ['O'] = 78,  ['P'] = 79,  ['Q'] = 80,  ['R'] = 81,  ['S'] = 82,  ['T'] = 83,  ['U'] = 84,
  ['V'] = 85,  ['W'] = 86,  ['X'] = 87,  ['Y'] = 88,  ['Z'] = 89,  ['a'] = 90,  ['b'] = 91,
  ['c'] = 92,  ['d'] = 93,  ['e'] = 94,  ['f'] = 95,  ['g'] = 96,  ['h'] = 97,  ['i'] = 98,
  ['j'] = 99,  ['k'] = 100, ['l'] = 101, ['m'] = 102, ['n'] = 103, ['o'] = 104, ['p'] = 105,
  ['q'] = 106, ['r'] = 107, ['s'] = 108, ['t'] = 109, ['u'] = 110, ['v'] = 111, ['w'] = 112,
  ['x'] = 113, ['y'] = 114, ['z'] = 115, ['0'] = 116, ['1'] = 117, ['2'] = 118, ['3'] = 119,
  ['4'] = 120, ['5'] = 121, ['6'] = 122, ['7'] = 123, ['8'] = 124, ['9'] = 125, ['+'] = 126,
  ['/'] = 127,
};

/* The 24 bits of four characters. False if one is not in the alphabet. */
static bool four(uint32_t *bits, const unsigned char *in) {
  unsigned a = values[in[0]], b = values[in[1]], c = values[in[2]], d = values[in[3]];
  *bits = (uint32_t)((a & 63) << 18 | (b & 63) << 12 | (c & 63) << 6 | (d & 63));
  return (a & b & c & d & 64) != 0;
}

bool bmwi_base64_decode(unsigned char *out, size_t *written, const char *text, size_t len) {
  const unsigned char *in = (const unsigned char *)text, *end = in + len;
  unsigned char *start = out;
  uint32_t bits;
  *written = 0;
  if (len % 4 != 0) return false;
  int padding = 0;
  if (len > 0 && end[-1] == '=') padding = end[-2] == '=' ? 2 : 1;
  if (padding > 0) end -= 4;
  for (; in < end; in += 4) {
    if (!four(&bits, in)) return false;
    *out++ = (unsigned char)(bits >> 16);
    *out++ = (unsigned char)(bits >> 8);
    *out++ = (unsigned char)bits;
  }
  if (padding > 0) { /* treated as zeros; all bits that are cut off must be zero */
    const unsigned char last[4] = {in[0], in[1], padding == 2 ? 'A' : in[2], 'A'};
    if (!four(&bits, last) || (bits & (padding == 2 ? 0xffffU : 0xffU)) != 0) return false;
    *out++ = (unsigned char)(bits >> 16);
    if (padding == 1) *out++ = (unsigned char)(bits >> 8);
  }
  *written = (size_t)(out - start);
  return true;
}
