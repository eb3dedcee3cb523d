/* Semihard negatives: the questions asked of the negatives sweep, and the answers read from its state. */
#ifndef TRM_MINE_SEMIHARD_H
#define TRM_MINE_SEMIHARD_H

#include "sweep/sink.h"
#include "trimine/mine.h"

enum { TRM_SEMIHARD_SETS = 2 };

/* One question about the negatives of an anchor with thresholds t_1 <= ... <= t_K. */
typedef enum trm_question {
    TRM_ASK_NEAREST_BEYOND,  /* per pair: the smallest d > t_i */
    TRM_ASK_FARTHEST_UP_TO,  /* per pair: the largest d <= t_i */
    TRM_ASK_FARTHEST_WITHIN, /* per pair: the largest d whose d - t_i is inside the window */
    TRM_ASK_NEAREST,         /* once: the smallest d */
    TRM_ASK_FARTHEST         /* once: the largest d */
} trm_question;

/* The sink of a negatives sweep. sink comes first, so that the sweep's pointer is this object's. */
typedef struct trm_semihard {
    trm_sink sink;
    trm_mine_options options;
    trm_question question[TRM_SEMIHARD_SETS];
} trm_semihard;

void trm_semihard_init(trm_semihard *semihard, const trm_mine_options *options);

/* Turns the slots of the complete state into answers, in place: slot i of a set then answers pair i. */
void trm_semihard_finish(const trm_semihard *semihard, trm_state *state);

/* The negative of pair i of row, by pick, window and fallback: false where the pair is skipped. */
bool trm_semihard_answer(const trm_semihard *semihard, const trm_state *state, int64_t row, int64_t i,
                         int64_t *negative, double *d_an, trm_kind *kind);

#endif
