/* What the parts of near.h share: finding (near.c), how much an anchor may be given (near_most.c), giving (near_give.c). */
#ifndef TRM_MINE_NEAR_INNER_H
#define TRM_MINE_NEAR_INNER_H

#include "base/distinct.h"
#include "base/lists.h"
#include "mine/near.h"
#include "par/lookup.h"

struct trm_near {
    const trm_run *run;
    const trm_pool *pool;
    trm_lookup *lookup;
    bool any;                /* is there any list, on any rank? */
    int64_t *most, *largest; /* of each anchor's positives, all of them: negatives near any; rows near one */
    int64_t asked;           /* different positives of this shard's anchors, wherever they are */
    int64_t listed;          /* what is near them, row by row */
    trm_lookup_load load;    /* what all others ask of this rank for theirs */
    int64_t peak_bytes;
    bool looked; /* for the nearest negatives of each row of the shard, too: */
    int64_t *nearest_offset;
    trm_candidate *nearest;
};

/* What was found for the rows of this team's shard of the store: row i's list is id[offset[i]] to id[offset[i + 1] - 1]. */
typedef struct trm_near_lists {
    const int64_t *offset, *id;
} trm_near_lists;

/* ---- near.c ---- */

/* What these take, but for the offsets. */
int64_t trm_near_nearest_bytes(const trm_near *near);

/* ---- near_most.c ---- */

/* Which rows of this team's shard of the store could be a positive of an anchor. Collective. Errors: MEMORY. */
trm_status trm_near_who_asks(const trm_pool *pool, bool *asks, trm_error *err) TRM_MUST_CHECK;
/* Fill in all of near that says how much there is, from the lists; or, where positives are listed, once lists can be asked
 * for: base_bytes, what this rank holds beside them. Collective. Errors: MEMORY, also where the memory limit is too low. */
trm_status trm_near_most_by_label(trm_near *near, trm_near_lists lists, trm_error *err) TRM_MUST_CHECK;
trm_status trm_near_most_by_list(trm_near *near, int64_t base_bytes, trm_error *err) TRM_MUST_CHECK;
/* Bytes that either needs, while lists move. Not collective. */
int64_t trm_near_most_bytes(const trm_pool *pool);

/* ---- near_give.c ---- */

/* A thread's scratch for unions. */
typedef struct trm_joiner {
    trm_list *list;
    uint64_t *bits;
} trm_joiner;

trm_status trm_joiners_create(int threads, int64_t lists, trm_joiner *all, trm_error *err) TRM_MUST_CHECK;
trm_joiner trm_joiner_of_thread(const trm_joiner *all, int64_t lists);
void trm_joiners_free(trm_joiner *all);
int64_t trm_joiners_bytes(int threads, int64_t lists);

/* What came of asking for anchors. */
typedef struct trm_near_asked {
    trm_distinct positives;
    trm_found found; /* of each of them */
    trm_distinct near;
    int64_t *label; /* of each of these, where labels count; else there are none */
    trm_joiner joiners;
} trm_near_asked;

/* The different positives of all anchors. Errors: MEMORY. */
trm_status trm_near_gather(const trm_near_asker *asker, trm_distinct *positives,
                           trm_error *err) TRM_MUST_CHECK;
/* Collective. The caller frees *asked, also after a failure. Errors: MEMORY. */
trm_status trm_near_ask(const trm_near *near, const trm_near_asker *asker, trm_near_asked *asked,
                        trm_error *err) TRM_MUST_CHECK;
void trm_near_asked_free(trm_near_asked *asked);
/* What is near the positives of an anchor, as trm_lists_union has it; by any thread. */
int64_t trm_near_join(const trm_near *near, const trm_near_asker *asker, const trm_near_asked *asked,
                      int64_t anchor, int64_t *into, int64_t room);
/* Bytes that asking takes for so many positives with so much in their lists. */
int64_t trm_near_ask_bytes(const trm_near *near, int64_t positives, int64_t values, trm_lookup_load load,
                           int64_t longest);

#endif
