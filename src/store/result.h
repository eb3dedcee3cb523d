/* Result files: written whole or not at all.
 *
 * A job claims the path before it begins (claim.h); everything then goes to a draft beside the target,
 * contiguous datasets; it is brought to the disk, checked and given its name by rank 0. Free space is checked
 * before; output.h says how a write that fails all the same is survived. */
#ifndef TRM_STORE_RESULT_H
#define TRM_STORE_RESULT_H

#include "base/word.h"
#include "base/error.h"
#include "base/names.h"
#include "trimine/mine.h"
#include "trimine/store.h"

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

/* The HDF5 library that this process works with, "1.10.8"; borrowed, for one thread. Not collective. */
const char *trm_store_library(void);

/* A root attribute. */
typedef struct trm_attribute {
    const char *name;
    enum { TRM_ATTRIBUTE_TEXT, TRM_ATTRIBUTE_INT, TRM_ATTRIBUTE_FLOAT } type;
    const char *text;
    int64_t integer;
    double number;
} trm_attribute;

typedef enum trm_array_type {
    TRM_ARRAY_FLOAT32,
    TRM_ARRAY_FLOAT64,
    TRM_ARRAY_INT64,
    TRM_ARRAY_UINT8
} trm_array_type;

/* Array data beside or without triplets: this rank has rows [first, first + count), along the first
 * dimension, of a dataset of rank 1 to 3. name: its path; "/gradient/anchor" makes the group too. Parts may be
 * ragged and empty; together they cover the dataset once. name, rank, size and type equal on all ranks.
 * Borrowed. */
typedef struct trm_output_array {
    const char *name;
    int rank;
    int64_t size[3];
    int64_t first, count;
    const void *data; /* count x size[1] x size[2], row-major */
    trm_array_type type;
    const trm_attribute *about; /* an attribute of the dataset; NULL: none */
} trm_output_array;

/* A job's right to write a path: taken before any work, so that no two jobs write one file. */
typedef struct trm_claim trm_claim;

/* Claims path; kind ("output", "checkpoint"; borrowed) is what messages call it. A symbolic link is followed:
 * its target is what is written. What killed jobs left beside it is removed. Collective; the same arguments
 * on all ranks. The caller owns *claim. Errors: CREATE (held by a running job, which is named; exists without
 * overwrite; folder missing; not a regular file), PERMISSION, IO, USAGE (one of the inputs, also through a
 * link; "-"). */
trm_status trm_claim_take(MPI_Comm comm, const char *kind, const char *path, bool overwrite, int inputs,
                          const char *const *input, trm_claim **claim, trm_error *err) TRM_MUST_CHECK;
/* The same, and the same refusals, but nothing is made, locked or removed: for jobs that say what they would do, which nothing keeps
 * from finding another job there later. */
trm_status trm_claim_look(MPI_Comm comm, const char *kind, const char *path, bool overwrite, int inputs,
                          const char *const *input, trm_claim **claim, trm_error *err) TRM_MUST_CHECK;
/* Refuses a claim on a file that an open store leads to by links or as a virtual dataset. Collective. Errors:
 * USAGE. */
trm_status trm_claim_check_store(const trm_claim *claim, const trm_store *store,
                                 trm_error *err) TRM_MUST_CHECK;
/* Claims a further file of the same job, path and suffix (".piece-0"): it is covered by the lock of the
 * whole, which must live longer. Collective. Errors: as above. */
trm_status trm_claim_part(const trm_claim *whole, const char *suffix, trm_claim **part,
                          trm_error *err) TRM_MUST_CHECK;
/* Where it leads, links followed; borrowed. */
const char *trm_claim_target(const trm_claim *claim);
/* On rank 0: did a killed job with this claim leave anything? Was another job's result replaced without
 * overwrite, where locks don't work? Not collective. */
bool trm_claim_after_kill(const trm_claim *claim);
bool trm_claim_replaced(const trm_claim *claim);
/* Did writing the file fail on this rank? And, on rank 0: could the target not be replaced, so that the new file is whole under
 * another name, which the error tells? Not collective. */
bool trm_claim_unwritten(const trm_claim *claim);
bool trm_claim_kept_elsewhere(const trm_claim *claim);
/* What is free in its folder, in bytes; INFINITY where it can't be told. Rank 0's. Not collective. */
double trm_claim_free_bytes(const trm_claim *claim);
/* Gives it up and frees; sets to NULL. NULL is fine. Not collective. */
void trm_claim_release(trm_claim **claim);

/* Is there a complete result at path, of the same version, options and store (as its attributes say)? Not
 * collective. */
bool trm_output_holds(const char *path, const char *version, const char *options, const char *fingerprint);
/* Do two paths name one file, or would they, once written to? Not collective. */
bool trm_output_is_same(const char *path, const char *other);

/* How triplets are written. */
typedef enum trm_form {
    TRM_FORM_TRIPLETS, /* one a line, ordered by (anchor, positive, negative) */
    TRM_FORM_LISTS,    /* all negatives of an (anchor, positive) in one line, in the order of their ranks */
    TRM_FORMS
} trm_form;
extern const trm_words trm_form_words;
/* "triplets" or "lists": as --form and the group are called; the root attribute "format" of such a file. Not
 * collective. */
const char *trm_form_name(trm_form form);
const char *trm_form_format(trm_form form);

/* The columns that more than one form has, and those that a form has alone. */
typedef enum trm_form_column {
    TRM_COLUMN_ANCHOR,
    TRM_COLUMN_POSITIVE,
    TRM_COLUMN_NEGATIVE,
    TRM_COLUMN_D_AP,
    TRM_COLUMN_D_AN,
    TRM_COLUMN_KIND,
    TRM_COLUMN_RANK,
    TRM_COLUMNS
} trm_form_column;

/* Path of a column's dataset, or NULL where the form has none. Of lists those of the negatives are lines x K,
 * all others have a value a line. */
const char *trm_form_path(trm_form form, trm_form_column column);

/* Collects triplets, panel by panel, and writes them in a form (forms.h). */
typedef struct trm_triplet_file trm_triplet_file;

/* negatives: the most that an (anchor, positive) has, which is K of the lists. spool: triplets of each panel go to a file of this rank beside the target instead of staying in memory (for
 * results larger than memory). anchors: the number of row ids. budget: bytes this rank may hold in the end,
 * the triplets that stay in memory included; with less than it takes, a bin at a time is written. Collective.
 * The caller owns *file; claim is borrowed until it is destroyed. */
trm_status trm_triplet_file_create(MPI_Comm comm, trm_claim *claim, trm_form form, int64_t negatives,
                                   int64_t anchors, bool spool, int64_t budget, trm_triplet_file **file,
                                   trm_error *err) TRM_MUST_CHECK;
/* The bytes it takes at least beside the triplets themselves, where no anchor has more than that many. Not
 * collective. */
int64_t trm_triplet_file_bytes(trm_form form, int64_t negatives, int64_t anchors, int64_t most);
/* A trm_triplet_fn that takes the array unless it goes to the spool: context is the trm_triplet_file. Not
 * collective (local append). */
trm_status trm_triplet_file_add(void *context, trm_triplet **triplets, int64_t count,
                                trm_error *err) TRM_MUST_CHECK;
/* Shows look all triplets that were added on this rank, some at a time, before the file is finished: a
 * trm_walk_fn (mine/quantiles.h). Not collective. Errors: MEMORY, IO. */
trm_status trm_triplet_file_walk(void *file,
                                 void (*look)(void *looker, const trm_triplet *triplets, int64_t count),
                                 void *looker, trm_error *err) TRM_MUST_CHECK;
/* Exchanges, writes /triplets or /lists, the arrays (0, NULL for none), the names that labels stand for as /label_names
 * (NULL for none; rank 0's count) and the attributes, then "complete" = 1 last, and renames. Collective. */
trm_status trm_triplet_file_finish(trm_triplet_file *file, int arrays, const trm_output_array *array,
                                   const trm_names *names, int attributes, const trm_attribute *attribute,
                                   trm_error *err) TRM_MUST_CHECK;
/* Frees; removes the spool and, where not finished, the draft. Sets *file to NULL. Collective. */
void trm_triplet_file_destroy(trm_triplet_file **file);

/* Writes a store: every rank gives its consecutive rows. fill is called with pieces so that nobody holds all:
 * it fills count rows from row id first on. Collective. */
typedef void (*trm_row_fn)(void *context, int64_t first, int64_t count, float *embeddings, int64_t *labels);
trm_status trm_store_write(MPI_Comm comm, trm_claim *claim, int64_t rows, int dim, trm_row_fn fill,
                           void *context, int attributes, const trm_attribute *attribute,
                           trm_error *err) TRM_MUST_CHECK;

/* How a store is copied. */
typedef struct trm_copy_options {
    double divisor;     /* each value is divided by it, as float32; 1: values stay as they are */
    bool (*stop)(void); /* asked between pieces, on each rank: is it to end, and leave nothing? NULL: never */
} trm_copy_options;
/* Writes an open store as one file: /embeddings in the type of the files where all have one of at most 16 bits and values
 * stay, else as float32; /labels (numbers, or names as strings of one length) and /ids where the store has them. Each rank
 * reads and writes its own rows, a piece at a time. Collective. Errors: as trm_store_read; DATA (a name or an id so long that
 * the store would be mostly filling); CREATE, IO, MEMORY; STOPPED. */
trm_status trm_store_copy(MPI_Comm comm, trm_claim *claim, trm_store *store, const trm_copy_options *options,
                          trm_error *err) TRM_MUST_CHECK;

#endif
