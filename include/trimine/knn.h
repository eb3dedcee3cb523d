/* Neighbours: for every row of a store, or every query, the K nearest rows of the store, exactly.
 *
 * Every distance is the canonical float64 one, ties go to the lower row id, and a row is left out of its own list by its
 * row id, so that copies of it stay. The result is the same on any number of ranks and threads.
 *
 * Needs abi.h, ask.h, metric.h and status.h; of runs and rows (run.h, mine.h) only their names, and so no mpi.h. */
#ifndef TRIMINE_KNN_H
#define TRIMINE_KNN_H

#include "trimine/abi.h"
#include "trimine/ask.h"
#include "trimine/metric.h"
#include "trimine/status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct trm_run trm_run;
typedef struct trm_rows trm_rows;

/* Equal on all ranks, but for what is reserved. */
typedef struct trm_knn_options {
    size_t size; /* set by trm_knn_options_init */
    trm_metric metric;
    int64_t k; /* >= 1; where there are fewer rows, lists come short */
    trm_among among;
    int64_t reserve; /* bytes of a rank's limit that the caller needs meanwhile, for the memory plan */
    /* Two sets: these rows, made by trm_rows_create_queries, look for neighbours in the store: none is a row's own. NULL: one
     * set. On all ranks or none; borrowed. */
    const trm_rows *queries;
} trm_knn_options;

/* Takes the lists of count rows: that of row id[i] is neighbour[i k .. (i + 1) k), by ascending distance[...]; -1 and
 * infinity where it comes short. Rows come in any order, each to one rank, once; those that were ignored do not. Called on
 * every rank the same number of times (count may be 0), so it may be collective. All is borrowed for the call. */
typedef trm_status (*trm_knn_fn)(void *context, int64_t count, const int64_t *id, const int64_t *neighbour,
                                 const double *distance, trm_error *err);

enum { TRM_KNN_HUBS = 10 };

/* A row that is in the lists of many. */
typedef struct trm_knn_hub {
    int64_t id, count;
} trm_knn_hub;

/* Everything counted, equal on all ranks but for what is said in trm_ask_summary. */
typedef struct trm_knn_summary {
    trm_ask_summary ask;
    int64_t neighbours; /* in all lists */
    int64_t short_rows; /* with fewer than k */
    int64_t same_label; /* neighbours with the label of the row whose list they are in */
    /* How often a row of the store is somebody's neighbour, which is called its k-occurrence. */
    struct {
        double mean, std, skewness; /* over the store's rows that take part; skewness 0 where std is */
        int64_t most;               /* of any row */
        int64_t never;              /* rows that are nobody's (antihubs) */
        int hubs;                   /* the rows with most, at most TRM_KNN_HUBS, by (count, lowest row id) */
        trm_knn_hub hub[TRM_KNN_HUBS];
    } occurrence;
    char result_hash[33]; /* order-independent sum of XXH3-128 over (row, neighbour, distance, rank), hex */
} trm_knn_summary;

/* Fills in: sql2, k 10, any, nothing reserved, one set. Not collective. */
TRM_API void trm_knn_options_init_sized(trm_knn_options *options, size_t size);
static inline void trm_knn_options_init(trm_knn_options *options)
{
    trm_knn_options_init_sized(options, sizeof *options);
}

/* What trm_knn would need: fills in summary->ask.memory_bytes and panels. Collective. Errors: as trm_knn, from the
 * arguments and the plan. */
TRM_API trm_status trm_knn_plan(trm_run *run, const trm_rows *rows, const trm_knn_options *options,
                                trm_knn_summary *summary, trm_error *err) TRM_MUST_CHECK;

/* Finds the neighbours of all rows, or queries. rows: of trm_rows_create; labels are all 0 where there are none.
 * Collective; options equal on all ranks. take may be NULL (count only), on some ranks or all. Errors: USAGE (a value
 * that is none, options that differ), DATA (cosine and a row of norm 0: the lowest such row id is named), MEMORY (with the
 * smallest limit that would do), STOPPED (as the run wished), and whatever take returns. */
TRM_API trm_status trm_knn(trm_run *run, const trm_rows *rows, const trm_knn_options *options,
                           trm_knn_fn take, void *context, trm_knn_summary *summary,
                           trm_error *err) TRM_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
