/* --negatives random:K: K of all negatives that ranks and filters leave, without replacement, for each pair of an
 * anchor. */
#include "mine/choice.h"
#include "mine/draws.h"

static double key(const trm_negatives *negatives, int64_t anchor, const trm_seen *seen, int64_t i,
                  double worst)
{
    (void)worst;
    return trm_draws_uniform(negatives->options.seed, anchor, seen->id[i]);
}

const trm_negatives_policy trm_negatives_random = {.word = {.name = "random",
                                                            .about = "K of all negatives, drawn by --seed",
                                                            .number = "K",
                                                            .least = 1,
                                                            .most = INT32_MAX,
                                                            .usual = 1},
                                                   .query = &trm_draws_query,
                                                   .takes = TRM_TAKES_SEED | TRM_TAKES_FILTERS,
                                                   .begin = trm_draws_begin,
                                                   .key = key,
                                                   .most = trm_draws_most,
                                                   .answer = trm_choice_answer,
                                                   .removed = trm_choice_removed,
                                                   .removed_in_sweeps = trm_choice_removed_in_sweeps};
