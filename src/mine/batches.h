/* Mining inside batches: each batch is a small store of its own, mined by the rank that has it. */
#ifndef TRM_MINE_BATCHES_H
#define TRM_MINE_BATCHES_H

#include "rows/given.h"
#include "rows/rows.h"
#include "trimine/batches.h"

/* What a draw goes by: the smallest keys win, and of equal ones the lower label or row id. */
uint64_t trm_batches_class_key(uint64_t seed, int64_t batch, int64_t label);
uint64_t trm_batches_row_key(uint64_t seed, int64_t batch, int64_t row);
/* The seed of what is drawn inside a batch, so that a pair of rows has another key in each. */
uint64_t trm_batches_seed(uint64_t seed, int64_t batch);

/* Mines inside each batch as trm_mine does in a store, and adds everything up: an anchor counts as often as it
 * is in a batch, classes are those of the whole store, and result_hash is the sum of XXH3-128 over (number of
 * the batch, triplet). emit gets this rank's triplets in the order of the batches, and inside a batch by
 * (anchor, positive, negative). given has the embeddings of all rows; rows says which take part, and need not
 * have been filled. A set that is to be listed is counted in all batches first. Collective. Errors: as trm_mine; DATA (a batch without rows, a row id out of range or
 * order, twice, or of a row that takes no part), each with the batch; DATA (a set to be listed of more than max_triplets
 * in all); MEMORY; STOPPED by the run's checkpoint, between two rounds of batches. */
trm_status trm_batches_mine(const trm_run *run, const trm_rows *rows, const trm_given *given,
                            trm_batches *batches, const trm_mine_options *options, trm_triplet_fn emit,
                            void *context, trm_mine_summary *summary, trm_mine_part *part,
                            trm_error *err) TRM_MUST_CHECK;

/* Checks a list as trm_batches_mine does, and finds out its most, by the labels alone: given needs no rows. Collective.
 * Errors: DATA, MEMORY. */
trm_status trm_batches_look(const trm_run *run, const trm_rows *rows, const trm_given *given,
                            trm_batches *batches, trm_error *err) TRM_MUST_CHECK;

/* Bytes of a rank that this takes, without triplets that the caller keeps; into summary->memory_bytes, the largest of
 * any rank. Collective. Errors: as trm_mine_plan. */
trm_status trm_batches_plan(const trm_run *run, const trm_rows *rows, const trm_batches *batches,
                            const trm_mine_options *options, trm_mine_summary *summary,
                            trm_error *err) TRM_MUST_CHECK;

/* The most rows of one class that a batch can have, as far as that is known; the number of rows in all batches of
 * this rank. Not collective. */
int64_t trm_batches_most(const trm_batches *batches);
int64_t trm_batches_rows(const trm_batches *batches);
/* The most triplets that the batches of this rank can have; of a set, 0 where it is not listed. Not collective. */
int64_t trm_batches_triplets(const trm_batches *batches, const trm_mine_options *options);

#endif
