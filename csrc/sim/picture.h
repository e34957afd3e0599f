/* Two small pictures. */
#ifndef BMWI_SIM_PICTURE_H
#define BMWI_SIM_PICTURE_H

#include <stddef.h>

extern const unsigned char picture_png[];
extern const size_t picture_png_length;
extern const unsigned char picture_jpeg[];
extern const size_t picture_jpeg_length;

#endif
