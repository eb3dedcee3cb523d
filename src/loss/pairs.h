/* Distances between rows that are named by their ids and may be on any two ranks. */
#ifndef TRM_LOSS_PAIRS_H
#define TRM_LOSS_PAIRS_H

#include "rows/given.h"
#include "trimine/metric.h"

/* i and j are asked; the rest is the answer. */
typedef struct trm_pair {
    int64_t i, j;
    double d;
    int64_t label_i, label_j;
} trm_pair;

/* Answers count pairs, in place and in order: i is a row of one set, j of another or of the same, each from 0 to below
 * its set's total; dim is equal. A pair is sent to the owner of i, measured there as row j passes by in a walk, and
 * sent back; some millions at a time. Collective; count may differ by rank. Errors: MEMORY. */
trm_status trm_pairs_measure(const trm_given *of, const trm_given *by, trm_metric metric, int64_t count,
                             trm_pair *pairs, trm_error *err) TRM_MUST_CHECK;

#endif
