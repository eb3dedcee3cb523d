/* Anchors decided anew: their distances to all rows, sorted, and the rules as they are written. */
#ifndef TRM_VERIFY_ANEW_H
#define TRM_VERIFY_ANEW_H

#include "verify/view.h"

/* A row that is a positive or a negative of an anchor. */
typedef struct trm_other {
    double d, key; /* key: what a choice goes by */
    int64_t id;
    int64_t place; /* of a positive: of its values in positive_x; of a negative that was chosen: its rank */
} trm_other;

typedef struct trm_anchor {
    int64_t id, label;
    bool ignored;
    const float *x; /* borrowed from the group */
    double norm2;
    trm_other *other; /* a place for each candidate: positives in front, negatives behind, each by (d, id) */
    int64_t positives, negatives;
    float *positive_x; /* of each positive, where the rule needs them; owned */
    int64_t room, held;
} trm_anchor;

/* The rows that anchors choose from. */
typedef struct trm_candidates {
    int64_t count;
    const int64_t *id; /* ascending, borrowed; NULL: all rows of the store */
    uint64_t seed;     /* of what is drawn among them */
    int64_t shortlist; /* of these rows so many may be chosen, the nearest; INT64_MAX: all */
    int64_t rank_last; /* the last rank that may be chosen */
} trm_candidates;

/* Some anchors, which one look at all their candidates is for. */
typedef struct trm_group {
    const trm_view *view; /* borrowed */
    trm_candidates of;
    int64_t count;
    trm_anchor *anchor;
    trm_other *other;
    float *anchor_x, *x;
    int64_t *label;
} trm_group;

/* All rows of the store, by the rule's own seed and ranks, and how many positives an anchor has at most, for the shortlist. */
trm_candidates trm_candidates_all(const trm_view *view, int64_t most_positives);
/* The same of some rows only. */
trm_candidates trm_candidates_some(const trm_view *view, int64_t count, const int64_t *id, uint64_t seed,
                                   int64_t most_positives);
/* Anchors that a group has at most, so that its memory stays small. */
int64_t trm_group_most(const trm_candidates *of);
/* Finds what the candidates are to these anchors: of triplets and of eval positives and negatives, of another question all
 * rows that it is among, as negatives. Not collective. The caller frees, also after a failure. Errors: MEMORY, as
 * trm_store_read. */
trm_status trm_group_look(const trm_view *view, const trm_candidates *of, int64_t count,
                          const int64_t *anchor, trm_group *group, trm_error *err) TRM_MUST_CHECK;
void trm_group_free(trm_group *group);
/* The negatives of an anchor of the group. */
trm_other *trm_anchor_negatives(const trm_group *group, const trm_anchor *anchor);

/* For qsort: ascending (d, id); (key, id); id. */
int trm_other_by_distance(const void *a, const void *b);
int trm_other_by_key(const void *a, const void *b);
int trm_other_by_id(const void *a, const void *b);
void trm_other_sort(trm_other *other, int64_t count, int (*order)(const void *, const void *));

#endif
