/* The embedding store: N rows of D float32 with one int64 label each, in one or more HDF5 files.
 *
 * Opening inspects the files once on rank 0 and shares what was found. Then every rank reads its own rows in
 * pieces, in the file's own type, which is converted here: a contiguous dataset as plain bytes of the file,
 * any other by HDF5. Not by MPI-IO: Open MPI 4.1's collective reads report success where a read has failed.
 *
 * Needs status.h and mpi.h: a store is opened on a communicator. */
#ifndef TRIMINE_STORE_H
#define TRIMINE_STORE_H

#include "trimine/abi.h"
#include "trimine/status.h"

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct trm_store trm_store;

/* Texts that are given in place of one: one for each path of a set, in their order. Borrowed. */
typedef struct trm_store_texts {
    const char *const *text;
    int count; /* 0: none; 1: it is for all paths of the set */
} trm_store_texts;

/* Dataset paths inside HDF5 files; NULL means: try the alias list. Labels and ids may also be files: .npy, IDX, text with one
 * a line, a column of CSV ("y.csv:COLUMN", by its name or its number from 1 on), or a field of lines of JSON ("y.jsonl:FIELD"), a
 * label for each row of all files of the set. So it is taken where a file of that name is there, or the name ends in .npy, .txt,
 * .csv, .jsonl, .csv:COLUMN or .jsonl:FIELD. */
typedef struct trm_store_options {
    size_t size; /* set by trm_store_options_init */
    const char *embeddings;
    const char *labels;
    const char *ids;
    bool unlabelled; /* labels are not looked at: there may be none, and none can be read */
    int queries; /* two sets in one: the last so many paths are files of queries, whose rows follow the others */
    /* Where a file has no labels under a usual name, and none are asked for by name, all is as with unlabelled. */
    bool labels_may_lack;
    bool without_pairs;       /* there can be no list of pairs, so messages know of none */
    const char *query_labels; /* as labels, of queries; NULL: as labels, unless that is a file */
    const char *query_ids;    /* likewise */
    /* In place of labels, query_labels, ids and query_ids, where their count is not 0. */
    trm_store_texts each_labels, each_query_labels, each_ids, each_query_ids;
} trm_store_options;

/* What is done to rows, and what is refused, while they are read. */
typedef struct trm_read_options {
    size_t size;            /* set by trm_read_options_init */
    bool normalize;         /* rows become x / |x|, computed in float64, rounded once to float32 */
    bool refuse_zero_norm;  /* a row of norm 0 is an error (always so with normalize) */
    bool accept_non_finite; /* for looking at a store: nan and inf are given as they are */
    double *norms;          /* with normalize: count, |x| of each row before it; NULL: not wanted */
    int threads;            /* OpenMP threads that convert and check; 0: the caller's own */
} trm_read_options;

/* The defaults: the alias lists. Rows as they are, and finite. Not collective. */
TRM_API void trm_store_options_init_sized(trm_store_options *options, size_t size);
static inline void trm_store_options_init(trm_store_options *options)
{
    trm_store_options_init_sized(options, sizeof *options);
}
TRM_API void trm_read_options_init_sized(trm_read_options *options, size_t size);
static inline void trm_read_options_init(trm_read_options *options)
{
    trm_read_options_init_sized(options, sizeof *options);
}

/* What was recognised in one file. */
typedef struct trm_store_file {
    char *path;
    char *embeddings; /* dataset path ("/embeddings"); of what is no HDF5 the format ("npy", "fvecs") */
    char *labels;     /* likewise ("npy", "text", "column 2"); NULL where they were not looked at */
    char *ids;        /* NULL where there is none */
    char embeddings_type[32]; /* e.g. "float32", "uint8", "float64-be", "bfloat16" */
    char labels_type[32];     /* also "strings", "strings of 5 bytes", "enum of int8" */
    char ids_type[32];        /* empty where there is none */
    char *ids_left_aside;     /* why the ids are of no use; NULL: they are, or there are none */
    int64_t rows;
    int64_t first;   /* row id of the file's first row */
    int64_t same_as; /* an earlier file, by index, that is this one (also through links); -1: none, no rows */
    bool queries;    /* one of the files of queries */
    char *labels_file; /* the file that labels are read from; NULL: this one */
    char *ids_file;    /* likewise */
} trm_store_file;

/* What the labels that are read stand for. */
typedef enum trm_label_kind {
    TRM_LABELS_SIGNED,   /* themselves */
    TRM_LABELS_UNSIGNED, /* their bits are those of a uint64 */
    TRM_LABELS_NAMED     /* names, numbered from 0 in the order of their bytes */
} trm_label_kind;

/* Opens files (HDF5; .npy; .fvecs, .bvecs, .fbin, .u8bin and their kin; IDX, also in gzip; or, for a folder, its *.h5 and
 * *.hdf5 files, numbers in names by their value) as one store.
 * Collective on comm (dup'ed); paths and options (NULL: the defaults) equal on all ranks. *store is owned by the caller.
 * Embeddings are floats (also bfloat16) or integers; labels whole numbers of any type, texts or an enum, the
 * same sort in all files; dimensions of size 1 count for nothing. Ids are integers or texts; what is neither, or not one a row,
 * is left aside, but for ids in files of their own, which are refused. Files that these lead to (external links, external storage, sources of virtual datasets) are looked
 * at first, too; a file without rows is fine where another of its set has some. Errors: NO_INPUT, PERMISSION, DATA (not
 * HDF5, not finished, open for writing, truncated, a link to nothing, a missing source, a missing or ambiguous
 * dataset, wrong type or shape, lengths or dims that differ, no rows), each naming file, dataset and rule. */
TRM_API trm_status trm_store_open(MPI_Comm comm, int count, const char *const *paths,
                                  const trm_store_options *options, trm_store **store,
                                  trm_error *err) TRM_MUST_CHECK;

/* Not collective. */
TRM_API int64_t trm_store_rows(const trm_store *store);
/* Rows before those of queries; without queries all. */
TRM_API int64_t trm_store_base_rows(const trm_store *store);
TRM_API int trm_store_dim(const trm_store *store);
TRM_API int trm_store_file_count(const trm_store *store);
/* 0 <= index < trm_store_file_count. Borrowed until the store is closed. Not collective. */
TRM_API const trm_store_file *trm_store_file_at(const trm_store *store, int index);

/* Bytes that reading count rows takes for a while, beside the arrays they go to. Not collective. */
TRM_API int64_t trm_store_read_bytes(const trm_store *store, int64_t count);

/* Reads rows [first, first + count), count >= 0 and different on every rank if need be.
 * Collective. options: NULL for the defaults. embeddings: count x dim, float32, row-major; labels: count; ids: count (row ids where the set
 * has none, left them aside, or has texts; a uint64 beyond int64 keeps its bits where no file of the set has ids with a sign,
 * else it is refused); NULL, on all ranks, for what is not wanted. All owned by the caller. Names of labels are found by a look at all labels of the store, when
 * labels are asked for first. Errors: IO; MEMORY; DATA naming file, dataset, row and rule for a non-finite
 * value, a value outside float32, a zero-norm row, a label that is no whole number or beyond 2^53 as a float,
 * and for a uint64 label over INT64_MAX beside a negative one. */
TRM_API trm_status trm_store_read(trm_store *store, int64_t first, int64_t count,
                                  const trm_read_options *options, float *embeddings, int64_t *labels,
                                  int64_t *ids, trm_error *err) TRM_MUST_CHECK;

/* What the labels that were read are; SIGNED before. The number of names (0 where they are numbers); the name
 * of one, borrowed until the store is closed, with a NUL behind its length bytes (length may be NULL). Not
 * collective. */
TRM_API trm_label_kind trm_store_label_kind(const trm_store *store);
TRM_API int64_t trm_store_label_names(const trm_store *store);
TRM_API const char *trm_store_label_name(const trm_store *store, int64_t label, int64_t *length);

/* Closes and sets *store to NULL; NULL is fine. Collective. */
TRM_API void trm_store_close(trm_store **store);

#ifdef __cplusplus
}
#endif
#endif
