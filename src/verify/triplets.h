/* The triplets of an anchor by the rules as they are written. */
#ifndef TRM_VERIFY_TRIPLETS_H
#define TRM_VERIFY_TRIPLETS_H

#include "trimine/mine.h"
#include "verify/anew.h"

/* Takes triplets one by one. */
typedef struct trm_taker {
    void *context;
    trm_status (*take)(void *context, const trm_triplet *triplet, trm_error *err);
} trm_taker;

/* Why a rule can't be decided anew here, or NULL. Not collective. */
const char *trm_triplets_undecided(const trm_rule *rule);
/* Hands out the triplets of an anchor of the group, by ascending positive, and of each positive by ascending negative, or by_rank
 * in the order of their ranks. Not collective. Errors: MEMORY, IO, what the taker returns. */
trm_status trm_triplets_of(const trm_group *group, const trm_anchor *anchor, bool by_rank,
                           const trm_taker *to, trm_error *err) TRM_MUST_CHECK;

#endif
