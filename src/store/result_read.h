/* Reading a result of trimine back, piece by piece: what it says of itself, and its datasets, in whatever order who
 * tells of it, checks it or hands it on needs them.
 *
 * Each rank has the file open by itself, so that pieces are read without the others. Only what trimine writes is read:
 * float64, float32, int64 and uint8 values, as they are. */
#ifndef TRM_STORE_RESULT_READ_H
#define TRM_STORE_RESULT_READ_H

#include "store/result.h"

typedef struct trm_result trm_result;

/* Opens a finished file with attributes "format" (one that begins with "trimine-") and "format_version" 1. Collective. The
 * caller owns *result; NULL after a failure. Errors: NO_INPUT, PERMISSION, IO; DATA: no HDF5 file, damaged, not complete,
 * no result, of a later version. */
trm_status trm_result_open(MPI_Comm comm, const char *path, trm_result **result,
                           trm_error *err) TRM_MUST_CHECK;
/* Closes and sets to NULL; NULL is fine. Not collective. */
void trm_result_close(trm_result **result);

/* Not collective, all that follow; what they return is borrowed until the result is closed. */

const char *trm_result_path(const trm_result *result);
/* A root attribute; NULL, or false, where there is none of that type. A text is "format" or "options", say. */
const char *trm_result_text(const trm_result *result, const char *name);
bool trm_result_whole(const trm_result *result, const char *name, int64_t *value);
bool trm_result_real(const trm_result *result, const char *name, double *value);

/* A dataset. */
typedef struct trm_result_array {
    const char *name; /* its path, borrowed from the caller */
    trm_array_type type;
    int rank; /* 1 to 3 */
    int64_t size[3];
    int64_t width; /* values a row: size[1] x size[2], those that there are */
} trm_result_array;

/* Looks a dataset up: *there is false where the file has none of that name. Errors: DATA: another type or shape, or data
 * that can't be reached; MEMORY. */
trm_status trm_result_find(trm_result *result, const char *name, trm_result_array *array, bool *there,
                           trm_error *err) TRM_MUST_CHECK;
/* One that must be there, with values of that type, so many dimensions and rows (-1: any number). Errors: DATA. */
trm_status trm_result_need(trm_result *result, const char *name, trm_array_type type, int rank, int64_t rows,
                           trm_result_array *array, trm_error *err) TRM_MUST_CHECK;
/* Bytes of a value. */
int64_t trm_result_value_bytes(trm_array_type type);
/* Rows [first, first + count), in the dataset's type, to into: count x width values. Errors: IO, DATA. */
trm_status trm_result_read(trm_result *result, const trm_result_array *array, int64_t first, int64_t count,
                           void *into, trm_error *err) TRM_MUST_CHECK;
/* The names that labels stand for, in the order of their numbers: none where the file has no /label_names. The caller
 * owns *names. Errors: DATA, MEMORY. */
trm_status trm_result_names(trm_result *result, trm_names *names, trm_error *err) TRM_MUST_CHECK;
/* Was the file, or one that it leads to, changed since it was opened? Errors: DATA. */
trm_status trm_result_check_unchanged(const trm_result *result, trm_error *err) TRM_MUST_CHECK;

#endif
