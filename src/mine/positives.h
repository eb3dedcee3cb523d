/* The positives policies: which of its class an anchor is paired with. */
#ifndef TRM_MINE_POSITIVES_H
#define TRM_MINE_POSITIVES_H

#include "sweep/sink.h"
#include "trimine/mine.h"

/* A row of the policy table. */
typedef struct trm_positives_policy {
    const char *name;
    trm_sink sink;
    double sign; /* of the key: candidates are the smallest sign * d */
} trm_positives_policy;

/* longest: the largest number of pairs that any anchor has (which a list need not exceed). */
trm_positives_policy trm_positives_policy_of(const trm_mine_options *options, int64_t longest);

/* Slots that an anchor in a class of that size needs while positives are collected; pairs that it ends up
 * with. */
int64_t trm_positives_slots(const trm_positives_policy *policy, int64_t class_size);
int64_t trm_positives_pairs(const trm_mine_options *options, int64_t class_size);

#endif
