/* Pairs within a radius: all pairs of rows of a store, or of queries and rows of the store, whose distance is at most R,
 * counted exactly before any is listed; and the groups that they connect.
 *
 * Every distance is the canonical float64 one and compared as such, so no pair changes sides by rounding. Of one set each pair is
 * there once, the lower row id first. The result is the same on any number of ranks and threads.
 *
 * Needs abi.h, ask.h, metric.h and status.h; of runs and rows (run.h, mine.h) only their names, and so no mpi.h. */
#ifndef TRIMINE_RADIUS_H
#define TRIMINE_RADIUS_H

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

enum { TRM_RADIUS_BINS_MOST = 64 };

/* Equal on all ranks, but for what is reserved. */
typedef struct trm_radius_options {
    size_t size; /* set by trm_radius_options_init */
    trm_metric metric;
    double radius; /* finite; 0 or more, unless dot. Not set by ..._init: NAN is refused */
    trm_among among;
    int64_t bins; /* of the histogram, 1 to TRM_RADIUS_BINS_MOST */
    bool list;    /* hand out the pairs, if there are no more than max_pairs; else they are counted only */
    int64_t max_pairs; /* >= 0 */
    bool groups;       /* of one set: which rows pairs connect */
    int64_t reserve;   /* bytes of a rank's limit that the caller needs meanwhile, for the memory plan */
    /* Two sets: these rows, made by trm_rows_create_queries, are paired with rows of the store. NULL: one set. On all ranks or
     * none; borrowed. */
    const trm_rows *queries;
} trm_radius_options;

/* Some pairs: of pair i the rows a[i] and b[i] (of one set a < b; of two a query and a row of the store), their distance, and
 * place[i], which the pair has among all when they are ordered by (a, b). */
typedef struct trm_radius_pairs {
    int64_t count;
    const int64_t *place, *a, *b;
    const double *distance;
} trm_radius_pairs;

/* Takes pairs. All pairs come once, those of one row a to one rank, by ascending b. Called on every rank the same number of
 * times (count may be 0), so it may be collective. All is borrowed for the call. */
typedef trm_status (*trm_radius_fn)(void *context, const trm_radius_pairs *pairs, trm_error *err);

enum { TRM_RADIUS_LARGEST = 10 };

/* A group, or a row and how many are near it. */
typedef struct trm_radius_size {
    int64_t id, count;
} trm_radius_size;

/* Everything counted, equal on all ranks but for what is said in trm_ask_summary. */
typedef struct trm_radius_summary {
    trm_ask_summary ask;
    int64_t pairs;
    int64_t list_bytes; /* of a list of them in a file: 24 a pair */
    int64_t isolated;   /* rows that asked and are in no pair */
    trm_radius_size
        most; /* the row that asked and is in most pairs, the lowest of these; id -1: there are no pairs */
    /* Bin i has the distances from edges[i] up to edges[i + 1], which only the last bin has too: equal bins from the least
     * distance that there could be (0; dot: by the largest norms) to the radius, or to the largest that there could be where that
     * is less. */
    int64_t bins, bin[TRM_RADIUS_BINS_MOST];
    double edges[TRM_RADIUS_BINS_MOST + 1];
    struct {
        int64_t count; /* groups of two rows or more */
        int64_t rows;  /* in these */
        int largest;   /* how many of the largest are named, by (size, lowest id) */
        trm_radius_size size[TRM_RADIUS_LARGEST];
        int rounds; /* that putting them together took; depends on the ranks */
    } groups;
    char result_hash
        [33]; /* order-independent sum of XXH3-128 over (a, b, distance), hex; also where they are counted only */
} trm_radius_summary;

/* What was found for rows, those that this rank has of the row ids: row first + i is in near[i] pairs (-1: it was ignored) and in
 * the group that its lowest row id names (a row alone its own; -1: ignored; NULL: not asked for). Of two sets rows are
 * queries. Called once on every rank, in the end; borrowed for the call. */
typedef struct trm_radius_rows {
    int64_t first, count;
    const int64_t *near, *group;
} trm_radius_rows;
typedef trm_status (*trm_radius_rows_fn)(void *context, const trm_radius_rows *rows, trm_error *err);

/* Fills in: sql2, any, 20 bins, counts only, at most 100 million pairs, no groups, one set. Not collective. */
TRM_API void trm_radius_options_init_sized(trm_radius_options *options, size_t size);
static inline void trm_radius_options_init(trm_radius_options *options)
{
    trm_radius_options_init_sized(options, sizeof *options);
}

/* What trm_radius would need to count: fills in summary->ask.memory_bytes and panels. What listing needs shows when pairs were
 * counted. Collective. Errors: as trm_radius, from the arguments and the plan. */
TRM_API trm_status trm_radius_plan(trm_run *run, const trm_rows *rows, const trm_radius_options *options,
                                   trm_radius_summary *summary, trm_error *err) TRM_MUST_CHECK;

/* Counts, then lists and groups what was asked for. rows: of trm_rows_create; labels are all 0 where there are none.
 * Collective; options equal on all ranks. take and take_rows may be NULL, on some ranks or all. Errors: USAGE (a value that is
 * none, options that differ, groups of two sets), DATA (cosine and a row of norm 0: the lowest such row id is named; more pairs
 * than max_pairs), MEMORY (with the smallest limit that would do), STOPPED (as the run wished), and what they return. */
TRM_API trm_status trm_radius(trm_run *run, const trm_rows *rows, const trm_radius_options *options,
                              trm_radius_fn take, trm_radius_rows_fn take_rows, void *context,
                              trm_radius_summary *summary, trm_error *err) TRM_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
