/* A job in batches on its way to its checkpoint (par/checkpoint.h), and back.
 *
 * A unit of work is a round of batches. What is done is a set of batches, by their numbers, which do not depend on
 * the ranks; so a job goes on on any number of them. Triplets wait in memory until there are many or the state is
 * saved: then they are set aside, a piece at a time, each of which has the batches that were mined since the piece
 * before, in ascending order. A rank that goes on finds those of its batches again in a stretch of each piece, and
 * hands them out between those that it mines itself, so that the order is that of the batches in any case. */
#ifndef TRM_MINE_BATCH_CHECKPOINT_H
#define TRM_MINE_BATCH_CHECKPOINT_H

#include "mine/checkpoint.h"
#include "trimine/batches.h"

/* Counting first is what a set needs that is to be listed; it sets nothing aside. */
typedef enum trm_batch_pass { TRM_BATCHES_COUNT, TRM_BATCHES_MINE } trm_batch_pass;

/* Where the triplets of a batch are that an earlier run mined. */
typedef struct trm_batch_kept {
    bool finished; /* by an earlier run; else the rest says nothing */
    int64_t piece, first, count;
    int64_t at; /* of those that are loaded for the present round */
} trm_batch_kept;

typedef struct trm_batch_checkpoint {
    const trm_run *run;
    const trm_batches *batches;
    int64_t first, total; /* number of this rank's first batch; batches of all ranks */
    trm_totals totals;
    trm_batch_pass pass;
    bool keeps;           /* there is a place for a state */
    trm_batch_kept *kept; /* of each of this rank's batches; NULL: there was no earlier run */
    int64_t *earlier, earlier_words,
        pieces;          /* ranges of batches that earlier runs finished; pieces set aside */
    trm_triplet *loaded; /* of the present round's finished batches */
    /* mined since the last piece: numbers of batches, each with how many triplets it has; and these */
    int64_t *mined, mined_words, mined_room;
    trm_triplet *triplets;
    int64_t count, room;
} trm_batch_checkpoint;

/* Sets up for a pass; batches and the run are borrowed. The first call of a job that goes on takes up what an earlier
 * run has done, and its totals, on rank 0; checkpoint->pass then is the pass that it was in. Collective. Errors: DATA
 * (of other batches), IO, MEMORY. */
trm_status trm_batch_checkpoint_init(trm_batch_checkpoint *checkpoint, const trm_run *run,
                                     const trm_batches *batches, trm_batch_pass pass, trm_totals totals,
                                     trm_error *err) TRM_MUST_CHECK;
/* The next pass begins, of which nothing is done. Not collective. */
void trm_batch_checkpoint_next(trm_batch_checkpoint *checkpoint, trm_batch_pass pass);
void trm_batch_checkpoint_free(trm_batch_checkpoint *checkpoint);

/* Has an earlier run finished batch b of this rank? */
bool trm_batch_checkpoint_has(const trm_batch_checkpoint *checkpoint, int64_t batch);
/* Brings the triplets of the batches [from, to) that are finished; then they are those of a batch. Collective. Errors:
 * DATA, IO, MEMORY. */
trm_status trm_batch_checkpoint_load(trm_batch_checkpoint *checkpoint, int64_t from, int64_t to,
                                     trm_error *err) TRM_MUST_CHECK;
const trm_triplet *trm_batch_checkpoint_triplets(const trm_batch_checkpoint *checkpoint, int64_t batch,
                                                 int64_t *count);

/* Appends a copy of count triplets to a list that has room for so many; it grows. Not collective. Errors: MEMORY. */
trm_status trm_triplets_append(trm_triplet **list, int64_t *used, int64_t *room, const trm_triplet *triplets,
                               int64_t count, trm_error *err) TRM_MUST_CHECK;

/* Takes a copy of the triplets of a batch that was mined. Not collective. Errors: MEMORY. */
trm_status trm_batch_checkpoint_add(trm_batch_checkpoint *checkpoint, int64_t batch,
                                    const trm_triplet *triplets, int64_t count,
                                    trm_error *err) TRM_MUST_CHECK;
/* After a round, at the end of which this rank has done its batches up to reached: sets aside where there is much,
 * saves or stops where any rank wishes so. Collective. Errors: STOPPED, those of the place that keeps. */
trm_status trm_batch_checkpoint_pause(trm_batch_checkpoint *checkpoint, int64_t reached,
                                      trm_error *err) TRM_MUST_CHECK;

/* After the last round: saves where the end is kept. Collective. Errors: those of the place that keeps. */
trm_status trm_batch_checkpoint_end(trm_batch_checkpoint *checkpoint, trm_error *err) TRM_MUST_CHECK;

/* Bytes that this takes where there is a place for a state, with so many batches, and triplets in all and in a round
 * at most. Not collective. */
int64_t trm_batch_checkpoint_bytes(int64_t batches, int64_t triplets, int64_t round);

#endif
