/* Semihard negatives: the questions asked of the negatives sweep, and the answers read from its state. */
#ifndef TRM_MINE_SEMIHARD_H
#define TRM_MINE_SEMIHARD_H

#include "sweep/query.h"
#include "trimine/mine.h"

/* One question about the negatives of an anchor with thresholds t_1 <= ... <= t_K. */
typedef enum trm_question {
    TRM_ASK_NOTHING,
    TRM_ASK_NEAREST_BEYOND,  /* per pair: the smallest d > t_i */
    TRM_ASK_FARTHEST_UP_TO,  /* per pair: the largest d <= t_i */
    TRM_ASK_FARTHEST_WITHIN, /* per pair: the largest d whose d - t_i is inside the window */
    TRM_ASK_NEAREST,         /* once: the smallest d */
    TRM_ASK_FARTHEST         /* once: the largest d */
} trm_question;

enum { TRM_QUESTIONS = 2 }; /* what is picked, and the fallback */

typedef struct trm_semihard {
    trm_query query;
    trm_mine_options options;
    trm_question question[TRM_QUESTIONS];
} trm_semihard;

/* The query of a negatives sweep; its settings are *semihard, which must stay where it is. */
void trm_semihard_init(trm_semihard *semihard, const trm_mine_options *options);

/* After the sweep was settled: the negative of pair i of row, by pick, window and fallback: false where the pair
 * is skipped. */
bool trm_semihard_answer(const trm_semihard *semihard, const trm_state *state, int64_t row, int64_t i,
                         double d_ap, int64_t *negative, double *d_an, trm_kind *kind);

#endif
