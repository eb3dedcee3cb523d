/* Filters and rank windows: which negatives of an anchor may be chosen at all (SEMANTICS: docs/MINING.md, "Filters").
 *
 * Every filter of d(a,n) removes what is nearer, or what is farther, than a bound; so those that pass are an interval
 * of distances, and the counters need no look at what is beyond it: what is farther than --max-distance is all that was
 * not seen. What is near a positive is known before the sweep (near.h). All tests are made on float64 distances as they are
 * written here, rounding included. */
#ifndef TRM_MINE_FILTER_H
#define TRM_MINE_FILTER_H

#include "trimine/mine.h"

/* What a sweep's tally counts: the candidates that each filter removed, and those that pass; and of those near a positive
 * the ones that another filter removed before. */
enum { TRM_FILTERS_PASSED = TRM_FILTERS, TRM_FILTERS_NEAR_BEFORE, TRM_FILTERS_WORDS };

typedef struct trm_filters {
    trm_metric metric;
    double bound[TRM_FILTERS]; /* NAN: not given */
    bool any;
    bool by_positive;    /* one that is given needs d_pos */
    int64_t first, last; /* ranks; 1 and INT64_MAX: all of them */
    bool after;          /* ranks count what the filters left */
    bool shortlisted;    /* only the first rows are candidates, so many: */
    int64_t shortlist;
} trm_filters;

/* Errors: USAGE: ranks that are none, a bound that means nothing, an order of no ranks; or any of them where the
 * policy, of that name, takes none; takers: those that do. */
trm_status trm_filters_check(const trm_mine_options *options, bool taken, const char *policy,
                             const char *takers, trm_error *err) TRM_MUST_CHECK;
/* Sets ranks and filters to none. */
void trm_filters_drop(trm_mine_options *options);
/* Of a shortlist: sets its length, and the last of the ranks where they have no end, once it is known how many negatives a pair
 * gets at most, and how many positives any anchor has. */
void trm_filters_set_shortlist(trm_filters *filters, int64_t chosen, int64_t positives);
/* options have been checked. */
void trm_filters_choose(trm_filters *filters, const trm_mine_options *options);

/* The first filter that removes a distance, or TRM_FILTERS_PASSED. Whether a positive is near is not asked here: it takes
 * more than the distance, and comes last. d_pos: of the anchor's farthest selected positive; looked at by_positive only. */
int trm_filters_remove(const trm_filters *filters, double d_pos, double d);
/* What counters need to see: every distance that a filter of distances removes lies at or below this, but for those that
 * are farther than the maximum; and, where there is one, every distance that passes. -INFINITY: none. */
double trm_filters_end(const trm_filters *filters, double d_pos);
/* Adds what a whole job's sweeps counted, of so many candidates, to removed. */
void trm_filters_total(const trm_filters *filters, const int64_t *tally, int64_t candidates,
                       int64_t removed[TRM_FILTERS]);

static inline bool trm_filters_has(const trm_filters *filters, trm_filter filter)
{
    return filters->bound[filter] == filters->bound[filter];
}

#endif
