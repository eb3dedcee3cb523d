/* A policy of negatives on candidates at hand: an anchor that comes with its positive and a few negatives of its own,
 * as packed triplets do. The policies are those of a store; what a sweep would show their queries, candidate by
 * candidate, is offered here at once. */
#ifndef TRM_MINE_OWN_H
#define TRM_MINE_OWN_H

#include "mine/negatives.h"

/* For one anchor after another, each with as many candidates; a thread has one of its own. */
typedef struct trm_own {
    const trm_negatives *negatives; /* borrowed */
    int64_t candidates, most;       /* most: that an anchor gets */
    double *d, *norm2;          /* of the candidates: distances, squared norms; the caller fills them in */
    trm_answer *answer;         /* most: what was chosen, in the order of ranks; ids are places in d */
    int64_t *id;                /* 0, 1, ... */
    int64_t anchor, label;      /* of the one row of state and listing */
    trm_row row;                /* the anchor's */
    const float *x;             /* the candidates */
    trm_state *state, *listing; /* listing: of a set, else NULL */
} trm_own;

/* The policy of options, for anchors with so many candidates of so many dimensions. Words are those of
 * trm_own_negatives_words. */
void trm_own_policy(trm_negatives *negatives, const trm_mine_options *options, int64_t candidates, int dim);
/* The most negatives that an anchor gets. */
int64_t trm_own_most(const trm_negatives *negatives, int64_t candidates);

/* Begin with all zero; trm_own_end ends it, whatever came of it. Not collective. Errors: MEMORY. */
trm_status trm_own_begin(trm_own *own, const trm_negatives *negatives, int64_t candidates,
                         trm_error *err) TRM_MUST_CHECK;
/* Chooses among the candidates, rows of x one after the other, for the pair of the anchor and a positive at d_ap.
 * anchor: what is drawn goes by this number and a candidate's place. Returns how many. */
int64_t trm_own_choose(trm_own *own, int64_t anchor, trm_row row, double d_ap, const float *x);
void trm_own_end(trm_own *own);

#endif
