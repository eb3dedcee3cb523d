/* What a dataset is, for people and for who reads it: its element type and shape in words, and which of its
 * dimensions count. */
#ifndef TRM_STORE_DESCRIBE_H
#define TRM_STORE_DESCRIBE_H

#include "store/h5.h"

enum { TRM_TYPE_TEXT = 160, TRM_SHAPE_TEXT = 96 };

/* "float32", "strings of 5 bytes", "compound values (r, i)", ...: any type that HDF5 knows, as the dataset
 * that holds it. Not collective. */
const char *trm_type_text(hid_t type, char text[TRM_TYPE_TEXT]);

/* "60 x 8"; cut where there are very many dimensions. */
const char *trm_shape_text(int rank, const hsize_t *size, char text[TRM_SHAPE_TEXT]);
/* The same of a dataspace, with what is none: "a single value", "nothing (a null dataspace)". */
const char *trm_space_text(hid_t space, char text[TRM_SHAPE_TEXT]);

/* Which dimensions of a dataspace are its rank (1 to 3) real ones: others must be 1, and are left out from
 * the last one on. (N,1), (1,N) are N; (N,D,1,1), (N,1,D), (1,N,D) are N x D; a dataspace with just so many
 * dimensions is what it is. False where that leaves too many or too few. Not collective. */
bool trm_h5_squeeze(hid_t space, int rank, int axis[3], hsize_t size[3]);

#endif
