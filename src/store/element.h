/* Element types of input datasets and their conversion to what trimine computes with.
 *
 * Converting here, not inside HDF5, serves rows that are read as plain bytes, and can name the value that
 * does not fit. Bytes are first turned to this machine's order in place, then one loop a type does the rest.
 */
#ifndef TRM_STORE_ELEMENT_H
#define TRM_STORE_ELEMENT_H

#include "store/h5.h"

#include <stdbool.h>
#include <stdint.h>

enum { TRM_ELEMENT_NAME = 32 };

typedef enum trm_element_class {
    TRM_ELEMENT_FLOAT,
    TRM_ELEMENT_SIGNED,
    TRM_ELEMENT_UNSIGNED
} trm_element_class;

typedef struct trm_element {
    trm_element_class class;
    int size;     /* bytes */
    bool swapped; /* the other byte order than this machine's */
} trm_element;

/* Recognises an HDF5 type: IEEE floats of 2, 4, 8 bytes and integers of 1 to 8, either byte order. name gets
 * "float32", "int64-be", ... False where the type is none of these. Not collective. */
bool trm_element_recognize(hid_t type, trm_element *element, char name[TRM_ELEMENT_NAME]);

/* Turns count elements to this machine's byte order, in place. */
void trm_element_order(const trm_element *element, void *data, int64_t count);

/* After trm_element_order: converts; a float64 beyond float32 becomes an infinity. */
void trm_element_to_float(const trm_element *element, const void *data, int64_t count, float *out);

/* After trm_element_order: one element as float64, for messages. */
double trm_element_value(const trm_element *element, const void *data, int64_t index);

/* After trm_element_order, integers only: converts; the index of the first value beyond int64, or -1. */
int64_t trm_element_to_int64(const trm_element *element, const void *data, int64_t count, int64_t *out);

#endif
