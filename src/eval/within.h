/* The queries of pairs within a radius: the first counts, the second lists what was counted. Plain C. */
#ifndef TRM_EVAL_WITHIN_H
#define TRM_EVAL_WITHIN_H

#include "base/hash_sum.h"
#include "sweep/query.h"
#include "trimine/radius.h"

/* Settings of both. */
typedef struct trm_within {
    double radius;
    bool one_set; /* a pair is listed, and tallied, at its lower row id */
    int64_t bins;
    double edges[TRM_RADIUS_BINS_MOST + 1], scale; /* of the histogram (base/bins.h) */
} trm_within;

/* Slots of shape 0 of the first: each of an anchor's pairs is in one of them. */
typedef enum trm_within_side {
    TRM_WITHIN_OWN,    /* of two sets, or where the other row has the higher id: the anchor lists it */
    TRM_WITHIN_OTHERS, /* the other row does */
    TRM_WITHIN_SIDES
} trm_within_side;

/* What the first tallies: the hash of the pairs (trm_within_hash), then the bins. */
enum { TRM_WITHIN_HASH_WORDS = 4 };
trm_hash_sum trm_within_hash(const int64_t *tally);
static inline const int64_t *trm_within_bins(const int64_t *tally)
{
    return tally + TRM_WITHIN_HASH_WORDS;
}

const trm_query_type *trm_within_counting(trm_among among);
/* A slot of shape 0, which the caller gives, for each pair that the anchor lists; ascending ids once settled. */
const trm_query_type *trm_within_listing(trm_among among);

/* A row's counts of trm_within_side, or NULL: it does not ask; and its pairs. */
const int64_t *trm_within_counted(const trm_state *state, int64_t row);
const trm_candidate *trm_within_listed(const trm_state *state, int64_t row, int64_t *count);

#endif
