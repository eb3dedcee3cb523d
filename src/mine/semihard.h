/* What both semihard queries do alike: two questions, what is picked and the fallback, are asked of the negatives of an
 * anchor; the first that has an answer for a pair gives it. */
#ifndef TRM_MINE_SEMIHARD_H
#define TRM_MINE_SEMIHARD_H

#include "mine/negatives.h"
#include "mine/thresholds.h"
#include "mine/window.h"

enum { TRM_QUESTIONS = 2 };

/* The distances that a question of row is about; lo > hi for none. */
typedef void (*trm_semihard_window_fn)(const trm_negatives *semihard, const trm_state *state, int64_t row,
                                       int set, trm_thresholds a, double *lo, double *hi);

/* A window around those of both questions; empty for a row that is no anchor. */
static inline void trm_semihard_window(const trm_query *query, const trm_state *state, int64_t row,
                                       trm_semihard_window_fn window, double *lo, double *hi)
{
    const trm_thresholds a = trm_thresholds_of(state, row);
    *lo = INFINITY;
    *hi = -INFINITY;
    for (int set = 0; set < TRM_QUESTIONS && a.count > 0; set++) {
        double from = INFINITY, to = -INFINITY;
        window(query->settings, state, row, set, a, &from, &to);
        *lo = fmin(*lo, from);
        *hi = fmax(*hi, to);
    }
}

/* What a question found for pair i of row: false where it found nothing, or asks nothing. */
typedef bool (*trm_semihard_found_fn)(const trm_negatives *semihard, const trm_state *state, int64_t row,
                                      int set, int64_t i, int64_t *id, double *d);

/* As a policy's answer: by pick and window, else by the fallback; none where the pair is skipped. */
static inline int64_t trm_semihard_answer(const trm_negatives *semihard, const trm_state *state, int64_t row,
                                          double d_ap, int64_t i, trm_semihard_found_fn found,
                                          trm_answer *answer)
{
    for (int set = 0; set < TRM_QUESTIONS; set++) {
        int64_t id = -1;
        double d = 0.0;
        if (!found(semihard, state, row, set, i, &id, &d))
            continue;
        if (set == 0 && !(d > d_ap && trm_window_has(&semihard->options, d, d_ap)))
            continue;
        *answer = (trm_answer){id, d, set == 0 ? TRM_KIND_SEMIHARD : TRM_KIND_FALLBACK};
        return 1;
    }
    return 0;
}

#endif
