/* Matrices of rows in files that are no HDF5: one after the other, with nothing between them that must be looked up. So a
 * rank reads its rows, and no others, as plain bytes.
 *
 * A format is one row of the table in matrix.c: how a file of it is known, and where its rows are. It is told by its first
 * bytes where it has a mark (.npy, IDX, also in gzip), by the end of its name where it has none (.fvecs, .fbin, ...). */
#ifndef TRM_STORE_MATRIX_H
#define TRM_STORE_MATRIX_H

#include "store/element.h"
#include "store/sources.h"

#include <stdbool.h>
#include <stdint.h>

enum { TRM_MATRIX_NAME = 16, TRM_MATRIX_HEAD = 512 };

/* Where the rows are; travels as bytes. */
typedef struct trm_matrix {
    char
        name[TRM_MATRIX_NAME]; /* of its format: "npy", "fvecs", "idx"; empty: none of them, it may be HDF5 */
    trm_element element;
    char type[TRM_ELEMENT_NAME]; /* "float32", as of HDF5 */
    int dimensions; /* of the array: 1, such as labels are, or more; a row's are one behind the other */
    int64_t rows, width;
    int64_t offset, stride; /* of the first row's values in the file; from a row to the next */
    bool counted; /* before each row's values is their number, which must be width: 4 bytes, little-endian */
    bool packed;  /* by gzip: offset and stride are those of the bytes that come out of it */
} trm_matrix;

/* Looks at a file, on one rank. What is none of the formats has no name, whatever it is; also what can't be opened. Errors:
 * IO; DATA: a damaged header, values that are no numbers (also pickles, which are never loaded), Fortran order, a file
 * that is longer or shorter than its header says, no whole number of rows. */
trm_status trm_matrix_look(const trm_named_file *about, trm_matrix *matrix, trm_error *err) TRM_MUST_CHECK;

/* ---- reading ---- */

/* A file of gzip that is being unpacked; see gzip.h. */
typedef struct trm_gzip trm_gzip;

/* Bytes of room that trm_matrix_read needs for so many rows. */
int64_t trm_matrix_room(const trm_matrix *matrix, int64_t rows);
/* Rows [row, row + count) as they are stored, one behind the other. file: open for reading; where the matrix is packed,
 * *unpacked keeps what has been unpacked between calls. Not collective. Errors: IO; MEMORY; DATA: a row of another width, a
 * file that was changed or is damaged. */
trm_status trm_matrix_read(const trm_named_file *about, const trm_matrix *matrix, int file,
                           trm_gzip **unpacked, int64_t row, int64_t count, void *data,
                           trm_error *err) TRM_MUST_CHECK;

/* ---- for the formats ---- */

/* The file that is looked at. */
typedef struct trm_matrix_file {
    const trm_named_file *about;
    int file;
    int64_t bytes;
    unsigned char *head; /* its first bytes; of gzip, those that come out of it */
    int64_t have;
} trm_matrix_file;

/* An element of a number: class, bytes a value and their order; and its name. */
void trm_matrix_set_type(trm_matrix *matrix, trm_element_class class, int size, bool big_endian);

bool trm_matrix_is_npy(const trm_matrix_file *in);
trm_status trm_matrix_look_npy(const trm_matrix_file *in, trm_matrix *matrix, trm_error *err) TRM_MUST_CHECK;
bool trm_matrix_is_idx(const trm_matrix_file *in);
/* Bytes that an IDX has by its header; 0: more than any file. */
int64_t trm_matrix_idx_bytes(const trm_matrix_file *in);
trm_status trm_matrix_look_idx(const trm_matrix_file *in, trm_matrix *matrix, trm_error *err) TRM_MUST_CHECK;
bool trm_matrix_is_vectors(const trm_matrix_file *in);
trm_status trm_matrix_look_vectors(const trm_matrix_file *in, trm_matrix *matrix,
                                   trm_error *err) TRM_MUST_CHECK;

#endif
