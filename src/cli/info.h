/* What trimine info looks at: the rows of a set, what labels or pairs say of queries and a store, and all of it as JSON. */
#ifndef TRM_CLI_INFO_H
#define TRM_CLI_INFO_H

#include "cli/tables.h"

#include "base/exact_sum.h"
#include "trimine/store.h"

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct trm_info_class {
    int64_t label, rows;
} trm_info_class;

/* A set of rows: of the store, or the queries, which follow it. */
typedef struct trm_info_set {
    int64_t first, total; /* rows [first, first + total) of the files */
    double norm_min, norm_max, norm_mean;
    trm_exact_sum norm_sum; /* the same mean on any number of ranks */
    int64_t finite, non_finite, first_non_finite, zero_norm, first_zero; /* first ones: rows of the files */
    trm_info_class *classes;                                             /* rank 0: by label; owned */
    int64_t class_count;
} trm_info_set;

/* Looks at rows [first, first + total) of the store, and at their labels where labelled. Collective. The caller owns
 * set->classes, also after a failure. Errors: as trm_store_read, but for values that are not finite; MEMORY. */
trm_status trm_info_look(MPI_Comm comm, trm_store *store, bool labelled, int64_t first, int64_t total,
                         trm_info_set *set, trm_error *err) TRM_MUST_CHECK;

/* What is a positive of the queries. */
typedef struct trm_info_positives {
    int64_t with, without, all; /* queries with a positive; without; to which every row of the store is one */
    /* by pairs */
    int64_t pairs, repeated, most, rows; /* most of a query; different rows of the store */
} trm_info_positives;

/* By label, from what rank 0 knows. Not collective. */
trm_info_positives trm_info_by_label(const trm_info_set *store, const trm_info_set *queries);
/* By a file of pairs, on all ranks. Collective. Errors: as trm_pairs_read. */
trm_status trm_info_by_pairs(MPI_Comm comm, const char *path, const trm_info_set *store,
                             const trm_info_set *queries, trm_info_positives *found,
                             trm_error *err) TRM_MUST_CHECK;

/* All of it. */
typedef struct trm_info {
    MPI_Comm comm;
    int rank;
    bool verbose;
    trm_voice voice;
    const trm_settings *settings;
    trm_store *store;
    bool labelled, lacks_labels;     /* lacks: there are none, and none were asked for */
    char left_aside[TRM_ERROR_TEXT]; /* why labels are not looked at; empty: they are */
    trm_info_set base, queries;      /* classes of base: the largest first when all is told */
    trm_info_positives positives;    /* of queries */
    int64_t singletons;
} trm_info;

enum { TRM_INFO_CLASSES_SHOWN = 10 };

/* Files [begin, end) are those of the set. */
void trm_info_files(const trm_info *in, const trm_info_set *set, int *begin, int *end);
/* What rank 0 knows, as one object (new reference). */
json_t *trm_info_json(const trm_info *in);

#endif
