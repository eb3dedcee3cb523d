/* A candidate: the best row seen so far for one question of one anchor. Merges of candidates: merge.h.
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

/* For qsort: ascending (key, id). */
int trm_candidate_compare(const void *a, const void *b);

/* Puts one candidate into an ascending list: whether it was new and small enough. */
bool trm_candidate_insert(trm_candidate *list, int64_t length, trm_candidate candidate);

/* How many of a list that has what exists first. */
int64_t trm_candidates_count(const trm_candidate *list, int64_t length);

/* Sorts by (key, id) what is in ascending order of ids already, TRM_NO_CANDIDATE anywhere among finite keys.
 * scratch: count. */
void trm_candidates_sort(trm_candidate *list, int64_t count, trm_candidate *scratch);

#endif
