/* The positives policies: which of its class an anchor is paired with. */
#ifndef TRM_MINE_POSITIVES_H
#define TRM_MINE_POSITIVES_H

#include "sweep/query.h"
#include "trimine/mine.h"

/* A positives policy, with what it was asked for. */
typedef struct trm_positives_choice {
    trm_query query; /* its settings are this object, which must stay where it is */
    double sign;     /* of the key: candidates are the smallest sign * d */
    bool by_place;   /* a slot for every place of the class, the anchor's own stays empty */
    int64_t most;    /* pairs of an anchor */
} trm_positives_choice;

/* longest: the largest number of pairs that any anchor could have (which a list need not exceed). */
void trm_positives_choose(trm_positives_choice *choice, const trm_mine_options *options, int64_t longest);

/* Pairs that an anchor in a class of that size ends up with. */
int64_t trm_positives_pairs(const trm_mine_options *options, int64_t class_size);

#endif
