/* Element types of input datasets and their conversion to what trimine computes with.
 *
 * Converting here, not inside HDF5, serves rows that are read as plain bytes, and can name the value that
 * does not fit. Bytes are first turned to this machine's order in place, then one loop a type does the rest.
 * What is not of the usual layouts (float128, float8, integers of 24 bits) HDF5 turns into float64 or 64-bit
 * integers once it has arrived.
 */
#ifndef TRM_STORE_ELEMENT_H
#define TRM_STORE_ELEMENT_H

#include "store/h5.h"

#include <stdbool.h>
#include <stdint.h>

enum { TRM_ELEMENT_NAME = 32 };

typedef enum trm_element_class {
    TRM_ELEMENT_FLOAT,
    TRM_ELEMENT_BFLOAT, /* the upper half of a float32 */
    TRM_ELEMENT_SIGNED,
    TRM_ELEMENT_UNSIGNED,
    TRM_ELEMENT_TEXT,    /* of one length */
    TRM_ELEMENT_VARIABLE /* text of any length: a char * in memory */
} trm_element_class;

typedef struct trm_element {
    trm_element_class class;
    int size;     /* bytes in memory */
    int stored;   /* bytes in the file; not of variable texts */
    int ending;   /* of a TEXT, an H5T_str_t: what is behind it */
    bool swapped; /* the other byte order than this machine's */
    bool foreign; /* trm_element_adopt first */
    bool named;   /* an enum of integers */
    bool opaque;  /* nothing but its length says what it is */
} trm_element;

/* What a dataset is wanted for. */
typedef enum trm_want {
    TRM_WANT_FLOATS,   /* anything that converts to float32: no enum, no text */
    TRM_WANT_INTEGERS, /* integers */
    TRM_WANT_LABELS,   /* integers, floats, texts, enums */
    TRM_WANT_IDS       /* integers, texts */
} trm_want;

/* Recognises an HDF5 type: floats and integers of any layout of up to 8 bytes (and what HDF5 can turn into
 * float64), texts, enums. Two opaque bytes are a bfloat16: so numpy and h5py write the one of ml_dtypes. name
 * gets "float32", "int64-be", ... False where the type is none of these. Not collective. */
bool trm_element_recognize(hid_t type, trm_element *element, char name[TRM_ELEMENT_NAME]);
/* Is it of use for that? */
bool trm_element_serves(const trm_element *element, trm_want want);
/* Do its values stand for names? */
bool trm_element_names(const trm_element *element);
bool trm_element_equal(const trm_element *a, const trm_element *b);

/* Bytes that an element takes in a buffer that it is read into. */
int trm_element_room(const trm_element *element);

/* Foreign elements only: turns count elements of the type into those of size bytes, in place. False where
 * HDF5 can't. */
bool trm_element_adopt(const trm_element *element, hid_t type, void *data, int64_t count);

/* Turns count elements to this machine's byte order, in place. */
void trm_element_order(const trm_element *element, void *data, int64_t count);

/* After trm_element_order, no texts: converts; a float64 beyond float32 becomes an infinity. */
void trm_element_to_float(const trm_element *element, const void *data, int64_t count, float *out);

/* After trm_element_order, no texts: one element as float64; for floats exact. */
double trm_element_value(const trm_element *element, const void *data, int64_t index);

/* After trm_element_order, integers only: converts. A uint64 over INT64_MAX becomes the negative number with
 * the same bits; gives the index of the first such, or -1. */
int64_t trm_element_to_int64(const trm_element *element, const void *data, int64_t count, int64_t *out);

/* A text (ordered or not: it has no order), and its length without what only fills it up. */
const char *trm_element_text(const trm_element *element, const void *data, int64_t index, int64_t *length);

#endif
