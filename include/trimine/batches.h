/* Batches: lists of rows inside which triplets are mined, as a training step sees them.
 *
 * The usual sampler of metric learning takes P classes and K rows of each (Hermans et al. 2017; the "batch
 * construction" of the guides). Here it is exact and repeatable: batch b has the P classes with the smallest
 * keys of (seed, b, label), and of each the K rows with the smallest keys of (seed, b, row id), so a batch
 * does not depend on ranks, on the order of the work, or on how many batches are drawn. Needs mine.h. */
#ifndef TRIMINE_BATCHES_H
#define TRIMINE_BATCHES_H

#include "trimine/abi.h"
#include "trimine/mine.h"
#include "trimine/status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A rank's part of a list of batches; rank r's batches follow rank r-1's. Row ids ascend in each batch. */
typedef struct trm_batches {
    int64_t count;     /* batches of this rank; may be 0 */
    int64_t *start;    /* count + 1: batch b has row[start[b]] to row[start[b + 1] - 1]; start[0] is 0 */
    int64_t *row;      /* start[count] row ids of the store */
    int64_t *triplets; /* count + 1, filled in by trm_evaluate: the triplets of batch b are number triplets[b]
                        * to triplets[b + 1] - 1 of those that this rank was given; NULL: not wanted */
    int64_t most;      /* no batch has more rows of one class, for the memory plan; 0: that is not known */
} trm_batches;

/* Equal on all ranks. */
typedef struct trm_draw_options {
    size_t size;     /* set by trm_draw_options_init */
    int64_t batches; /* >= 1 */
    int64_t classes; /* P >= 1 a batch, no more than there are */
    int64_t rows;    /* K >= 1 of each; a class that has fewer gives all it has */
    uint64_t seed;
} trm_draw_options;

/* Fills in: one batch of 32 classes with 4 rows each, seed 0. Not collective. */
TRM_API void trm_draw_options_init_sized(trm_draw_options *options, size_t size);
static inline void trm_draw_options_init(trm_draw_options *options)
{
    trm_draw_options_init_sized(options, sizeof *options);
}

/* Draws batches from the rows that take part; any class of these may be drawn, also one of a single row. The
 * batches are shared out evenly over the ranks. The caller owns what is in *batches (trm_batches_free), which
 * is empty after a failure. Collective. Errors: USAGE (a value out of range, more classes than there are,
 * options that differ), MEMORY. */
TRM_API trm_status trm_batches_draw(trm_run *run, const trm_rows *rows, const trm_draw_options *options,
                                    trm_batches *batches, trm_error *err) TRM_MUST_CHECK;

/* Frees and empties. Not collective. */
TRM_API void trm_batches_free(trm_batches *batches);

#ifdef __cplusplus
}
#endif
#endif
