/* The store folder's inside: what opening and reading share, for stores and for triplets.
 *
 * Every input is read alike. Rank 0 looks into the file alone (trm_inspect_...), tells the others what it
 * found, and then all read their rows together (trm_reader_...), in pieces, in the file's own type. */
#ifndef TRM_STORE_STORE_INNER_H
#define TRM_STORE_STORE_INNER_H

#include "store/element.h"
#include "trimine/store.h"

enum { TRM_MAX_DIM = 65536 };

/* One file: what the caller sees, and how its elements are stored. */
typedef struct trm_store_entry {
    trm_store_file seen;
    trm_element embeddings, labels, ids;
    int64_t dim;
    int64_t bytes, modified; /* the file's size and last change, in ns, when it was looked at */
    /* Where the strings start in trm_store.names, so that an entry can travel to other ranks. ids_at < 0:
     * none. */
    int64_t path_at, embeddings_at, labels_at, ids_at;
} trm_store_entry;

struct trm_store {
    MPI_Comm comm;
    int64_t rows;
    int dim, files;
    trm_store_entry *entry;
    char *names;
};

/* A file's size and last change; 0, 0 where they can't be told. */
void trm_store_stamp(const char *path, int64_t *bytes, int64_t *modified);

/* ---- looking at a file: this rank alone, HDF5 silenced by the caller ---- */

/* A file as messages name it: KIND 'PATH'. Both borrowed. */
typedef struct trm_named_file {
    const char *kind; /* "store", "triplets", ... */
    const char *path;
} trm_named_file;

/* Opens; close with H5Fclose. Errors: NO_INPUT, PERMISSION, IO, DATA (not HDF5, damaged). */
trm_status trm_inspect_open(const trm_named_file *about, hid_t *file, trm_error *err) TRM_MUST_CHECK;

/* "a, b, c": the first names at the root of a file, for messages. */
void trm_inspect_root(hid_t file, char *text, size_t size);

/* Type and shape of an open dataset, which must have rank dimensions (size gets them) and elements that we
 * convert; integer: only integers. Errors: DATA. */
trm_status trm_inspect_dataset(const trm_named_file *about, hid_t dataset, const char *name, int rank,
                               bool integer, trm_element *element, char type_name[TRM_ELEMENT_NAME],
                               hsize_t *size, trm_error *err) TRM_MUST_CHECK;

/* The same for the dataset of that name; one that is missing is an error that lists what is there. */
trm_status trm_inspect_named(const trm_named_file *about, hid_t file, const char *name, int rank,
                             bool integer, trm_element *element, hsize_t *size,
                             trm_error *err) TRM_MUST_CHECK;

/* ---- reading: collective ---- */

/* One dataset, and where its converted rows go. */
typedef struct trm_column {
    const char *name;
    const trm_element *element;
    int64_t items;         /* in a row; 1 but for three dimensions */
    const char *item_name; /* what messages call an item; NULL: rows are all there is */
    int width;             /* values in an item */
    float *floats;         /* either, */
    double *norms;         /* with the norms of the items before they were normalised, or NULL, */
    int64_t *integers;     /* or */
} trm_column;

/* What a read of one or more files holds. begin and end fill in the rest. */
typedef struct trm_reader {
    MPI_Comm comm;
    const char *kind; /* as in trm_named_file */
    const trm_read_options *options;
    trm_error *err;
    const char *path;
    hid_t file;
    int bytes; /* the same file */
    void *bounce;
} trm_reader;

/* Bytes that begin needs to know of: the largest piece of a column when this rank reads count rows. */
int64_t trm_column_bytes(const trm_column *column, int64_t count);

/* Takes bytes for pieces. Collective. Errors: MEMORY. end follows in any case. */
trm_status trm_reader_begin(trm_reader *in, int64_t bytes) TRM_MUST_CHECK;
/* Reads rows [row, row + count) of the columns of a file. Collective. Errors: IO, DATA as trm_store_read. */
trm_status trm_reader_read(trm_reader *in, const char *path, int columns, const trm_column *column,
                           int64_t row, int64_t count) TRM_MUST_CHECK;
void trm_reader_end(trm_reader *in);

#endif
