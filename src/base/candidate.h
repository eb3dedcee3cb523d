/* A candidate: the best row seen so far for one question of one anchor, and the order-free merges of
 * candidates.
 *
 * Every question is asked as a minimum over (key, row id): key is the distance, or its negative where the
 * largest distance is wanted. A minimum is associative, commutative and idempotent, so it does not matter
 * which rank or thread saw a candidate, in which order, or how often. */
#ifndef TRM_BASE_CANDIDATE_H
#define TRM_BASE_CANDIDATE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct trm_candidate {
    double key;
    int64_t id;
} trm_candidate;

/* Nothing seen yet: loses against everything. */
#define TRM_NO_CANDIDATE ((trm_candidate){INFINITY, INT64_MAX})

static inline bool trm_candidate_less(trm_candidate a, trm_candidate b)
{
    return a.key < b.key || (a.key == b.key && a.id < b.id);
}

static inline bool trm_candidate_exists(trm_candidate a)
{
    return a.id != INT64_MAX;
}

/* How candidates of two places merge, where it is not as lists of a length: the smaller of each two, or, for
 * counters that use the same storage, the sum of the ids. */
enum { TRM_MERGE_MIN = 0, TRM_MERGE_SUM = -1 };

/* into[i] = min(into[i], from[i]) for count items. */
void trm_candidates_merge_min(trm_candidate *into, const trm_candidate *from, int64_t count);

/* into and from are count / length ascending lists of length candidates each, padded with TRM_NO_CANDIDATE:
 * every list becomes the length smallest of the union; a candidate in both counts once. */
void trm_candidates_merge_lists(trm_candidate *into, const trm_candidate *from, int64_t count,
                                int64_t length);

/* into[i].id += from[i].id. Unlike the minimum, not idempotent: every count may be merged once only. */
void trm_candidates_merge_sums(trm_candidate *into, const trm_candidate *from, int64_t count);

/* Puts one candidate into an ascending list: whether it was new and small enough. */
bool trm_candidate_insert(trm_candidate *list, int64_t length, trm_candidate candidate);

/* Sorts by (key, id) what is in ascending order of ids already, TRM_NO_CANDIDATE anywhere among finite keys.
 * scratch: count. */
void trm_candidates_sort(trm_candidate *list, int64_t count, trm_candidate *scratch);

#endif
