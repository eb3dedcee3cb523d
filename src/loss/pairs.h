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

/* Answers count pairs (0 <= i, j < total), in place and in order. Each is sent to the owner of i, measured
 * there as row j passes by in a walk, and sent back; some millions at a time. Collective; count may differ by
 * rank. Errors: MEMORY. */
trm_status trm_pairs_measure(const trm_given *given, trm_metric metric, int64_t count, trm_pair *pairs,
                             trm_error *err) TRM_MUST_CHECK;

#endif
