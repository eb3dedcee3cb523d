/* Retrieval evaluation: how well the rows nearest to each row, or query, are those that are relevant to it.
 *
 * Each row of a store asks about all others, or each query about the rows of a store. Relevant to it are the rows with its
 * label, or those that a list of pairs names. Where each relevant row stands among all rows by (distance, row id) is found
 * by counting, so no list of neighbours limits it; distances are the canonical float64 ones. The result is the same on any
 * number of ranks and threads, to the last bit. docs/evaluation.md has the formulas.
 *
 * Needs abi.h, ask.h, metric.h and status.h; of runs, rows and pairs (run.h, mine.h) only their names, and so no mpi.h. */
#ifndef TRIMINE_EVAL_H
#define TRIMINE_EVAL_H

#include "trimine/abi.h"
#include "trimine/ask.h"
#include "trimine/metric.h"
#include "trimine/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct trm_run trm_run;
typedef struct trm_rows trm_rows;
typedef struct trm_pair_list trm_pair_list;

enum { TRM_EVAL_AT = 16 }; /* the most values of k */

/* Equal on all ranks, but for what is reserved, and the pairs that each has. */
typedef struct trm_eval_options {
    size_t size; /* set by trm_eval_options_init */
    trm_metric metric;
    const char *at; /* values of k, ascending: "1,5,10,100" */
    const char *
        metrics; /* which: "all", or some of precision_at_1,r_precision,map_at_r,mrr,hit_rate,recall,precision,ndcg. With
                          * fewer of them less must be known: of the first, mrr and hit_rate only the nearest relevant row of
                          * each query; with neither r_precision nor map_at_r only as many as the largest k */
    bool all_ranks;  /* find the ranks of all relevant rows, also those that decide none of the metrics */
    bool per_class;  /* hand out the means of each class, too; not with pairs */
    int64_t reserve; /* bytes of a rank's limit that the caller needs meanwhile, for the memory plan */
    /* Two sets: these rows, made by trm_rows_create_queries, ask, and the store's rows are looked through. NULL: one
     * set, in which no row looks at itself. On all ranks or none; borrowed. */
    const trm_rows *queries;
    /* With queries, which are then made of a store arranged by id: relevant rows are those listed, whatever labels say. */
    const trm_pair_list *pairs;
} trm_eval_options;

/* All from 0 to 1; NAN: not asked for. Of those at k place i is for the i-th k. */
typedef struct trm_eval_values {
    double precision_at_1, r_precision, map_at_r, mrr;
    double hit_rate_at[TRM_EVAL_AT], recall_at[TRM_EVAL_AT], precision_at[TRM_EVAL_AT], ndcg_at[TRM_EVAL_AT];
} trm_eval_values;

/* A value with ties of exactly equal distance broken by row id; against the relevant rows; and for them. */
typedef struct trm_eval_means {
    trm_eval_values value, low, high;
} trm_eval_means;

/* Where a relevant row stands among all rows, from 1; low and high: with ties broken against relevant rows, and for them. */
typedef struct trm_eval_rank {
    int64_t row; /* its row id */
    double distance;
    int64_t rank, low, high;
} trm_eval_rank;

/* What is known of a query. */
typedef struct trm_eval_query {
    int64_t id;       /* its row id */
    int64_t relevant; /* rows */
    int64_t
        count; /* of these, how many were ranked: all of them with all_ranks; else the first, and those whose rank could
                       * decide a metric */
    const trm_eval_rank *rank; /* count, by ascending rank */
} trm_eval_query;

/* The means of the queries of a class that have a relevant row. */
typedef struct trm_eval_class {
    int64_t label, queries;
    trm_eval_values value;
} trm_eval_class;

/* Both may be NULL, on some ranks or all. They are called on every rank the same number of times (count may be 0), so they may
 * be collective. All is borrowed for the call. */
typedef struct trm_eval_takers {
    void *context;
    /* Takes some queries, in any order; each comes to one rank, once. Those that were ignored do not. */
    trm_status (*queries)(void *context, int64_t count, const trm_eval_query *query, trm_error *err);
    /* With per_class: takes some classes, in any order; each comes to one rank, once. */
    trm_status (*classes)(void *context, int64_t count, const trm_eval_class *of, trm_error *err);
} trm_eval_takers;

/* Equal on all ranks but for what is said in trm_ask_summary. */
typedef struct trm_eval_summary {
    trm_ask_summary ask;
    int64_t queries;     /* that have a relevant row: means are over these */
    int64_t no_relevant; /* that have none */
    int64_t tied;        /* of queries, those with a metric that depends on how ties are broken */
    int64_t relevant;    /* rows, of all queries */
    int64_t classes;     /* of queries with a relevant row; 0 with pairs, where there is no macro mean */
    int at_count;
    int64_t at[TRM_EVAL_AT];
    trm_eval_means micro; /* means over queries; NAN where there are none */
    trm_eval_means macro; /* means over classes of the means over their queries */
    char result_hash[33]; /* order-independent sum of XXH3-128 over the ranks that were found, hex */
} trm_eval_summary;

/* Fills in: sql2, k 1, 5, 10 and 100, all metrics, nothing more, one set. Not collective. */
TRM_API void trm_eval_options_init_sized(trm_eval_options *options, size_t size);
static inline void trm_eval_options_init(trm_eval_options *options)
{
    trm_eval_options_init_sized(options, sizeof *options);
}

/* What trm_eval would need: fills in summary->ask.memory_bytes and panels. Collective. Errors: as trm_eval, from the
 * arguments and the plan. */
TRM_API trm_status trm_eval_plan(trm_run *run, const trm_rows *rows, const trm_eval_options *options,
                                 trm_eval_summary *summary, trm_error *err) TRM_MUST_CHECK;

/* Evaluates. rows: of trm_rows_create; or, with pairs, of trm_rows_create_by_id. takers: NULL for none. Collective; options
 * equal on all ranks. Errors: USAGE (a value that is none, options that differ, sets that don't go together), DATA (cosine and
 * a row of norm 0: the lowest such row id is named; a pair out of range), MEMORY (with the smallest limit that would do),
 * STOPPED (as the run wished), and whatever a taker returns. */
TRM_API trm_status trm_eval(trm_run *run, const trm_rows *rows, const trm_eval_options *options,
                            const trm_eval_takers *takers, trm_eval_summary *summary,
                            trm_error *err) TRM_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
