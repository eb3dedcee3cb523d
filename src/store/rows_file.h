/* A result that has something for every row: datasets with a row for each row id, written piece by piece, in any order,
 * so that nobody holds all of it. */
#ifndef TRM_STORE_ROWS_FILE_H
#define TRM_STORE_ROWS_FILE_H

#include "store/result.h"

/* A dataset: rows x width values. */
typedef struct trm_rows_column {
    const char *name; /* its path; borrowed until the file is destroyed */
    int64_t width;    /* 0: of rank 1, one value a row */
    trm_array_type type;
} trm_rows_column;

enum { TRM_ROWS_COLUMNS = 5 };

typedef struct trm_rows_file trm_rows_file;

/* Begins the draft, after a look at free space. Collective; equal on all ranks. The caller owns *file; claim is
 * borrowed until it is destroyed. Errors: IO, CREATE, PERMISSION, MEMORY. */
trm_status trm_rows_file_create(MPI_Comm comm, trm_claim *claim, int64_t rows, int columns,
                                const trm_rows_column *column, trm_rows_file **file,
                                trm_error *err) TRM_MUST_CHECK;
/* Bytes that taking rows needs on a rank beside the rows themselves, of which ranks bring so many at once, at most. Not
 * collective. */
int64_t trm_rows_file_bytes(int columns, const trm_rows_column *column, int64_t rows, int64_t at_once,
                            int ranks);
/* Writes count rows: row id[k] gets data[c] + k x width of column c. They go to the ranks that share out the row ids
 * first, so that each writes stretches of the file. In all calls together each row id comes once, from one rank.
 * Collective; count may differ. Errors: MEMORY, IO. */
trm_status trm_rows_file_add(trm_rows_file *file, int64_t count, const int64_t *id, const void *const *data,
                             trm_error *err) TRM_MUST_CHECK;
/* Writes the arrays (0, NULL: none), names (NULL: none; rank 0's count) and attributes, then "complete" = 1 last, and renames.
 * Collective. Errors: IO, CREATE; INTERNAL where a row never came. */
trm_status trm_rows_file_finish(trm_rows_file *file, int arrays, const trm_output_array *array,
                                const trm_names *names, int attributes, const trm_attribute *attribute,
                                trm_error *err) TRM_MUST_CHECK;
/* Frees; removes the draft where it was not finished. Sets to NULL; NULL is fine. Collective. */
void trm_rows_file_destroy(trm_rows_file **file);

#endif
