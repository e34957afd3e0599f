/*
** Base64: see base64.h. Two tables and two loops.
*/
#include "base64.h"

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

/* 1 + the value of each character of the alphabet, 0 for all others. */
static const unsigned char values[256] = {
  ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,
  ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14,
  ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21,
  ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,
  ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35,
  ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
  ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49,
  ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
  ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63,
  ['/'] = 64,
};

bool bmwi_base64_decode(unsigned char *out, size_t *written, const char *text, size_t len) {
  const unsigned char *in = (const unsigned char *)text;
  *written = 0;
  if (len % 4 != 0) return false;
  size_t padding = 0;
  if (len > 0 && in[len - 1] == '=') padding = in[len - 2] == '=' ? 2 : 1;
  for (size_t i = 0; i < len; i += 4) {
    size_t missing = i + 4 == len ? padding : 0;
    uint32_t v = 0;
    for (size_t k = 0; k < 4; k++) {
      unsigned char value = k < 4 - missing ? values[in[i + k]] : 1;
      if (value == 0) return false;
      v = v << 6 | (uint32_t)(value - 1);
    }
    if (missing > 0 && (v & (missing == 2 ? 0xffffU : 0xffU)) != 0) return false;
    out[(*written)++] = (unsigned char)(v >> 16);
    if (missing < 2) out[(*written)++] = (unsigned char)(v >> 8);
    if (missing < 1) out[(*written)++] = (unsigned char)v;
  }
  return true;
}
