/* The positives policies: which of its class an anchor is paired with. */
#ifndef TRM_MINE_POSITIVES_H
#define TRM_MINE_POSITIVES_H

#include "base/word.h"
#include "sweep/query.h"
#include "trimine/mine.h"

typedef struct trm_positives_policy {
    trm_word word;               /* first, so that a word found is a policy found */
    const trm_query_type *query; /* its first field, of shape 0, ends as pairs: trm_candidate by (d, id) */
    int64_t count;               /* pairs of an anchor where the word has no number; 0: all there are */
    bool from_far;               /* the last ones by (d, id), not the first */
    bool draws;                  /* by the seed */
} trm_positives_policy;

/* The tables' rows, a file each. */
extern const trm_positives_policy trm_positives_all, trm_positives_hardest, trm_positives_easiest,
    trm_positives_nearest, trm_positives_random;
/* The table: their words. */
extern const trm_words trm_positives_words;

/* A policy with what it was asked for: settings of its query. */
typedef struct trm_positives {
    trm_query query; /* whose settings are this object, which must stay where it is */
    const trm_positives_policy *policy;
    int64_t count; /* pairs of an anchor; INT64_MAX: all there are */
    int64_t most;  /* of any anchor in this job; slots that a list needs */
    uint64_t seed;
} trm_positives;

/* options->positives is one of the words. longest: the most pairs that any anchor could have. */
void trm_positives_choose(trm_positives *positives, const trm_mine_options *options, int64_t longest);
/* Pairs that an anchor ends up with for which there are so many positives. */
int64_t trm_positives_pairs(const trm_positives *positives, int64_t there);
/* The slots of row; every row that is asked about has one. */
static inline trm_candidate *trm_positives_slots(const trm_state *state, int64_t row, int64_t *count)
{
    *count = trm_state_count(state, 0, row);
    return (trm_candidate *)state->field[0] + state->offset[0][row];
}

#endif
