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
    trm_other *other; /* view->rows: the positives in front, the negatives behind, each sorted by (d, id) */
    int64_t positives, negatives;
    float *positive_x; /* of each positive, where the rule needs them; owned */
    int64_t room, held;
} trm_anchor;

/* Some anchors, which one look at all rows is for. */
typedef struct trm_group {
    const trm_view *view; /* borrowed */
    int64_t count;
    trm_anchor *anchor;
    trm_other *other;
    float *anchor_x, *x;
    int64_t *label;
} trm_group;

/* Anchors that a group has at most, so that its memory stays small. */
int64_t trm_group_most(const trm_view *view);
/* Finds what all rows are to these anchors: of a result of mine positives and negatives, of another all rows that a question is
 * among, as negatives. Not collective. The caller frees, also after a failure. Errors: MEMORY, as trm_store_read. */
trm_status trm_group_look(const trm_view *view, int64_t count, const int64_t *anchor, trm_group *group,
                          trm_error *err) TRM_MUST_CHECK;
void trm_group_free(trm_group *group);
/* The negatives of an anchor of the group. */
trm_other *trm_anchor_negatives(const trm_group *group, const trm_anchor *anchor);

/* For qsort: ascending (d, id); (key, id); id. */
int trm_other_by_distance(const void *a, const void *b);
int trm_other_by_key(const void *a, const void *b);
int trm_other_by_id(const void *a, const void *b);
void trm_other_sort(trm_other *other, int64_t count, int (*order)(const void *, const void *));

#endif
