/* What losses read and write beside the store: index triplets, packed triplets, gradients.
 *
 * Inputs are looked into by rank 0 alone and read by all, in consecutive shares, as a store is; what breaks a
 * rule is named with file, dataset, row and rule. A gradient is written whole or not at all (result.h). */
#ifndef TRM_STORE_LOSS_FILES_H
#define TRM_STORE_LOSS_FILES_H

#include "store/result.h"
#include "trimine/loss.h"
#include "trimine/packed.h"
#include "trimine/store.h"

/* What a file of index triplets says of the store that they were mined from, and of how, to compare with the job at
 * hand. */
typedef struct trm_triplets_origin {
    int64_t store_rows, store_dim; /* -1 where the file does not say */
    char store_fingerprint[64];    /* empty where the file does not say */
    int64_t queries_rows;          /* -1: one set */
    int64_t pairs;                 /* that said who is positive; -1: labels did */
    char queries_fingerprint[64];  /* empty as well */
    bool by_known;                 /* does it say by which distances? By: */
    trm_metric metric;
    double margin;
    bool normalize;
} trm_triplets_origin;

/* Reads /triplets/anchor, /triplets/positive and /triplets/negative (any integer type, one length), as `mine`
 * writes them; or its lists, /lists/anchor, /lists/positive and /lists/negative (lines x K), each line of
 * which is K triplets, less those whose negative is -1. Each rank gets its trm_share of the lines, new memory;
 * first: index of its first triplet. origin: may be NULL. Row ids are not checked against anything. Collective.
 * Errors: NO_INPUT, PERMISSION, MEMORY, IO; DATA (not HDF5, a missing dataset, wrong type or shape, lengths
 * that differ, both forms without a "format", no triplets where the file is not one of mine, which may find
 * none, a value outside int64, an attribute "complete" that is not 1 or a "format" of another kind). */
trm_status trm_triplets_read(MPI_Comm comm, const char *path, trm_given_triplets *given, int64_t *first,
                             int64_t *total, trm_triplets_origin *origin, trm_error *err) TRM_MUST_CHECK;

/* Frees what trm_triplets_read gave and empties it. Not collective. */
void trm_triplets_free(trm_given_triplets *given);

/* How a file holds packed triplets: datasets /anchor, /positive and /negative, or /negatives; or some of
 * these names, but not all that it takes. */
typedef enum trm_packed_form {
    TRM_PACKED_NOT,
    TRM_PACKED_NEGATIVE,
    TRM_PACKED_NEGATIVES,
    TRM_PACKED_PARTLY
} trm_packed_form;

/* A file that is missing or unreadable holds none: opening it as a store says what is wrong. Where it holds
 * some, reading it as packed triplets says what is missing. Collective. */
trm_packed_form trm_packed_recognize(MPI_Comm comm, const char *path);

/* Reads /anchor (B,D), /positive (B,D) and /negative (B,D) or /negatives (B,K,D), element types as for
 * embeddings. Each rank gets its trm_share of the B anchors, new memory; first: its first anchor. options: as
 * trm_store_read, NULL for none; with normalize the norms of packed are new memory too, options->norms is not
 * used. Collective. Errors: as trm_triplets_read; DATA also for shapes that do not fit each other, both
 * /negative and /negatives, and rows as trm_store_read refuses them. */
trm_status trm_packed_read(MPI_Comm comm, const char *path, const trm_read_options *options,
                           trm_packed *packed, int64_t *first, int64_t *total, trm_error *err) TRM_MUST_CHECK;

/* Frees what trm_packed_read gave and empties it. Not collective. */
void trm_packed_free(trm_packed *packed);

/* A result file with arrays, and with names of labels where there are any, only. Collective. Errors: CREATE,
 * IO, MEMORY; INTERNAL (parts that do not cover an array). */
trm_status trm_gradient_write(MPI_Comm comm, trm_claim *claim, int arrays, const trm_output_array *array,
                              const trm_names *names, int attributes, const trm_attribute *attribute,
                              trm_error *err) TRM_MUST_CHECK;

#endif
