/* Headers of NumPy's .npy files, versions 1 to 3 ("NumPy format", NEP 1 and numpy.lib.format): what the array is and
 * where its values are. Not collective. */
#ifndef TRM_STORE_NPY_H
#define TRM_STORE_NPY_H

#include "store/sources.h"

#include <stdbool.h>
#include <stdint.h>

enum { TRM_NPY_MAGIC = 6, TRM_NPY_TYPE = 16, TRM_NPY_DIMENSIONS = 32 };

typedef struct trm_npy {
    char type[TRM_NPY_TYPE]; /* as the file says it: "<i8" */
    char kind;               /* its letter: 'i', 'u', 'f', 'b' (bool), 'V', ... */
    int64_t size;            /* bytes a value, at least 1 */
    bool big_endian;         /* where a value has several bytes */
    bool fortran;            /* the first index is the one that changes fastest */
    int dimensions;          /* 0: one value */
    int64_t dimension[TRM_NPY_DIMENSIONS];
    int64_t bytes;  /* of all values */
    int64_t offset; /* where they begin in the file */
} trm_npy;

/* Is it one, by its first bytes? */
bool trm_npy_recognize(const char *head, int64_t bytes);

/* Reads the text of a header, the dictionary behind the magic, version and length; fills in all but offset. Returns NULL,
 * or what is wrong with it, borrowed for ever. */
const char *trm_npy_parse(const char *text, int64_t length, trm_npy *array);

/* Reads the header of an open file that was recognized and has so many bytes. Errors: IO; DATA: a header that is none, an array of objects
 * or of structures, another version, a file that is shorter or longer than its array. */
trm_status trm_npy_look(const trm_named_file *about, int file, int64_t bytes, trm_npy *array,
                        trm_error *err) TRM_MUST_CHECK;

#endif
