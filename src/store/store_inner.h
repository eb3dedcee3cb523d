/* The store folder's inside: what opening and reading share, for stores and for triplets.
 *
 * Every input is read alike. Rank 0 looks into the file alone (trm_inspect_...), tells the others what it
 * found, and then all read their rows together (trm_reader_...), in pieces, in the file's own type. */
#ifndef TRM_STORE_STORE_INNER_H
#define TRM_STORE_STORE_INNER_H

#include "store/element.h"
#include "store/label_text.h"
#include "store/labels.h"
#include "store/matrix.h"
#include "store/sources.h"
#include "trimine/store.h"

enum { TRM_MAX_DIM = 65536 };

/* What may be in a file of its own, beside the rows. */
typedef enum trm_side_kind { TRM_SIDE_LABELS, TRM_SIDE_IDS } trm_side_kind;
enum { TRM_SIDES = 2 };

/* One file: what the caller sees, and how its elements are stored. */
typedef struct trm_store_entry {
    trm_store_file seen;
    trm_element embeddings, labels, ids;
    int64_t dim;
    uint64_t device, inode; /* both 0: not known */
    bool lacks_labels;      /* and nothing else gives them; known where labels may lack */
    trm_matrix matrix;      /* of a file that is no HDF5: its rows */
    int side
        [TRM_SIDES]; /* where its labels and ids are, in trm_store.side; -1: in the file itself, or nowhere */
    /* Where the strings start in trm_store.names, so that an entry can travel to other ranks. ids_at,
     * ids_reason_at < 0: none. */
    int64_t path_at, embeddings_at, labels_at, ids_at, ids_reason_at;
} trm_store_entry;

/* A file that labels or ids are read from in place of files of rows: one for each row of these, which follow each other. */
typedef struct trm_side_file {
    trm_side_kind kind;
    int64_t path_at, column_at,
        name_at; /* in trm_store.names, as of an entry; column_at < 0: none is named */
    const char *path;
    int64_t first, rows; /* row ids of the store */
    trm_matrix matrix;   /* either, */
    trm_label_text text; /* or */
    trm_element element;
    char type[TRM_ELEMENT_NAME];
} trm_side_file;

enum { TRM_SETS = 2 }; /* the store, queries */

struct trm_store {
    MPI_Comm comm;
    int64_t rows, base_rows; /* base_rows: before those of queries */
    int dim, files;
    trm_store_entry *entry;
    char *names;
    trm_sources sources; /* rank 0's: every file that is read */
    trm_ids_kind ids[TRM_SETS];
    bool settled; /* what follows is known */
    trm_labels labels;
    trm_side_file *side;
    int sides;
    /* How far the last gzip of labels, of ids, and of rows is unpacked; NULL: not begun. */
    trm_gzip *unpacked[TRM_SIDES + 1];
};

/* ---- looking at a file: this rank alone, HDF5 silenced by the caller ---- */

/* What to say of an input that can't be opened, from errno; names where a link leads to nothing. */
trm_status trm_inspect_unopened(const trm_named_file *about, int error_number, trm_error *err) TRM_MUST_CHECK;
/* Opens a file that is there and regular, without ever waiting: *file is a descriptor, *bytes the size.
 * Errors: NO_INPUT, PERMISSION, IO. */
trm_status trm_inspect_regular(const trm_named_file *about, int *file, int64_t *bytes,
                               trm_error *err) TRM_MUST_CHECK;

/* Opens a file as HDF5, after looking at it as above; close with H5Fclose. Errors: those, and DATA: not HDF5
 * (and what it seems to be), open for writing, not finished, truncated, of a newer HDF5, damaged. */
trm_status trm_inspect_open(const trm_named_file *about, hid_t *file, trm_error *err) TRM_MUST_CHECK;

/* "/a (60 x 8), /b/c (60)": the first datasets under a group, or in a file, for messages. path: the group's,
 * "" for a file. */
enum { TRM_LISTED_BYTES = 512 };
void trm_inspect_list(hid_t group, const char *path, char text[TRM_LISTED_BYTES]);

/* Type and shape of an open dataset, which must have rank dimensions (size gets them; others must be 1) and
 * elements that serve what is wanted. Errors: DATA. */
trm_status trm_inspect_dataset(const trm_named_file *about, hid_t dataset, const char *name, int rank,
                               trm_want want, trm_element *element, char type_name[TRM_ELEMENT_NAME],
                               hsize_t *size, trm_error *err) TRM_MUST_CHECK;

/* The same for the dataset of that name; one that is missing is an error that lists what is there. */
trm_status trm_inspect_named(const trm_named_file *about, trm_sources *sources, hid_t file, const char *name,
                             int rank, trm_want want, trm_element *element, hsize_t *size,
                             trm_error *err) TRM_MUST_CHECK;

/* ---- reading: collective ---- */

/* What is to be found out of labels before any can be read as numbers: see labels.h. */
typedef struct trm_label_scan {
    trm_names names;
    int64_t first_large, first_negative; /* the lowest row ids of a uint64 over INT64_MAX, of a number < 0;
                                          * INT64_MAX: none */
    int64_t file_first;                  /* row id of the first row of the file at hand */
} trm_label_scan;

/* A name of an enum. */
typedef struct trm_member {
    int64_t value, number; /* number: among the store's names, -1 for none */
    char *name;            /* HDF5's memory */
    bool used;
} trm_member;

/* How labels become numbers. */
typedef struct trm_label_column {
    const trm_names *names; /* what names stand for; NULL: labels are numbers */
    trm_label_scan *scan;   /* or: nothing is read, but this found out */
    trm_member *member;     /* the enum at hand, by value */
    int64_t members;
} trm_label_column;

/* Where rows are that are in no dataset of the HDF5 file at hand. */
typedef struct trm_outside {
    const char *kind, *path;
    const trm_matrix *matrix;   /* either, */
    const trm_label_text *text; /* or labels */
    int64_t first;              /* its row where the file at hand has row 0 */
    trm_gzip **unpacked;
} trm_outside;

/* One dataset, and where its converted rows go. */
typedef struct trm_column {
    const char *name;    /* NULL: what follows has none */
    trm_outside outside; /* with a path: not of the HDF5 file */
    const trm_element *element;
    int rank;              /* of its dimensions that count */
    int64_t items;         /* in a row; 1 but for three dimensions */
    const char *item_name; /* what messages call an item; NULL: rows are all there is */
    int width;             /* values in an item */
    float *floats;         /* either, */
    double *norms;         /* with the norms of the items before they were normalised, or NULL, */
    trm_names *texts;      /* or: they are appended, or */
    int64_t *integers;
    bool wraps;               /* of integers: one over INT64_MAX becomes negative; else it is refused */
    trm_label_column *labels; /* with these: numbers of any type, or names; else integers alone */
} trm_column;

/* A piece of a column in the bounce buffer: items [item, item + count) of the dataset, going to place done.
 */
typedef struct trm_arrival {
    int64_t item, count, done;
} trm_arrival;

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

/* Where a column's rows are, as messages go on behind a file: "dataset '/x' ", or "" of what has no datasets. */
enum { TRM_COLUMN_TEXT = 600 };
const char *trm_column_text(const trm_column *column, char text[TRM_COLUMN_TEXT]);

/* Bytes that begin needs to know of: the largest piece of a column when this rank reads count rows. */
int64_t trm_column_bytes(const trm_column *column, int64_t count);

/* Takes bytes for pieces. Collective. Errors: MEMORY. end follows in any case. */
trm_status trm_reader_begin(trm_reader *in, int64_t bytes) TRM_MUST_CHECK;
/* Reads rows [row, row + count) of the columns of a file. Collective. Errors: IO, DATA as trm_store_read. */
trm_status trm_reader_read(trm_reader *in, const char *path, int columns, const trm_column *column,
                           int64_t row, int64_t count) TRM_MUST_CHECK;
void trm_reader_end(trm_reader *in);

/* The caller's options, over the defaults; NULL: only these. Not collective. Errors: USAGE, as trm_sized_take. */
trm_status trm_store_options_take(trm_store_options *own, const trm_store_options *given,
                                  trm_error *err) TRM_MUST_CHECK;
trm_status trm_read_options_take(trm_read_options *own, const trm_read_options *given,
                                 trm_error *err) TRM_MUST_CHECK;

/* ---- labels ---- */

/* Learns the names of an enum from its dataset, for the pieces that follow; end: adds what a scan has seen of
 * them, and frees. Not collective. Errors: MEMORY, DATA. */
trm_status trm_labels_begin(const trm_reader *in, const trm_column *column, hid_t dataset) TRM_MUST_CHECK;
trm_status trm_labels_end(const trm_reader *in, const trm_column *column, trm_status status) TRM_MUST_CHECK;
/* Takes a piece that has arrived in the buffer. Not collective. Errors: DATA, MEMORY. */
trm_status trm_labels_accept(const trm_reader *in, const trm_column *column,
                             const trm_arrival *piece) TRM_MUST_CHECK;
/* Finds out what labels stand for, unless that is known. Collective. Errors: IO, DATA, MEMORY. */
trm_status trm_labels_settle(trm_store *store, trm_error *err) TRM_MUST_CHECK;
/* The column of a file's labels, wherever they are; labels is borrowed. Where they go is the caller's to set. */
trm_column trm_store_label_column(trm_store *store, const trm_store_entry *entry, trm_label_column *labels);
/* Rows of a file among rows [first, first + count) of the store: *from, a row id, and how many. */
int64_t trm_store_overlap(const trm_store_file *file, int64_t first, int64_t count, int64_t *from);

#endif
