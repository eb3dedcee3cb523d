/* What a job tells of its triplets beside the loss: their statistics, and the loss at several margins.
 *
 * It stands between who makes triplets and who takes them, and passes on what it sees. Where nobody takes them,
 * it keeps the 16 bytes a triplet that quartiles need, unless there is no room for them. */
#ifndef TRM_LOSS_SURVEY_H
#define TRM_LOSS_SURVEY_H

#include "loss/margins.h"
#include "mine/statistics.h"
#include "trimine/mine.h"

/* Equal on all ranks. All zero: statistics without histograms, no margins. */
typedef struct trm_survey_options {
    int64_t bins; /* of histograms; 0: none */
    int margins;
    double margin[TRM_MARGINS_MOST];
} trm_survey_options;

/* Who takes the triplets, and shows them again. On all ranks, or, all zero, on none. */
typedef struct trm_survey_taker {
    trm_triplet_fn take;
    trm_walk_fn walk;
    void *context; /* of both */
} trm_survey_taker;

typedef struct trm_survey {
    trm_survey_options options;
    trm_survey_taker taker;
    bool keeps; /* what quartiles need; else nobody takes, and there are none */
    trm_statistics *statistics;
    trm_margins *margins;
    /* in the end */
    trm_statistics_summary found;
    trm_margin margin[TRM_MARGINS_MOST];
} trm_survey;

/* Bytes that it needs on this rank beside mining, for so many triplets of all ranks; but for those that it keeps:
 * a rank's triplets x TRM_KEPT_BYTES_A_TRIPLET. swept: sweeps have given back their memory in the end. Not collective. */
int64_t trm_survey_bytes(const trm_survey_options *options, const trm_run *run, const trm_rows *rows,
                         bool swept, int64_t triplets);

/* keeps: where taker is all zero. taker's context is borrowed. Begin with all zero. Collective. Errors: MEMORY. */
trm_status trm_survey_begin(trm_survey *survey, MPI_Comm comm, int threads, const trm_survey_options *options,
                            trm_survey_taker taker, bool keeps, trm_error *err) TRM_MUST_CHECK;
/* A trm_triplet_fn: context is the trm_survey. Errors: as trm_statistics_add and trm_statistics_keep, and what
 * the taker returns. */
trm_status trm_survey_take(void *survey, trm_triplet **triplets, int64_t count,
                           trm_error *err) TRM_MUST_CHECK;
/* Fills in found and margin. Before the taker finishes. Collective. Errors: as trm_statistics_finish and
 * trm_margins_total. */
trm_status trm_survey_finish(trm_survey *survey, trm_error *err) TRM_MUST_CHECK;
/* Frees; all zero. Not collective. */
void trm_survey_end(trm_survey *survey);

#endif
