/* The table of positives policies; see positives.h. */
#include "mine/positives.h"

#include "options/option.h"

static const trm_word *const policies[] = {&trm_positives_all.word, &trm_positives_hardest.word,
                                           &trm_positives_easiest.word, &trm_positives_nearest.word,
                                           &trm_positives_random.word};
const trm_words trm_positives_words = TRM_WORDS_OF("policy of positives", policies);

void trm_positives_choose(trm_positives *positives, const trm_mine_options *options, int64_t longest)
{
    trm_error unheard = TRM_ERROR_INIT;
    const trm_word *word = policies[0];
    double number = 0.0;
    if (trm_words_check(&trm_positives_words, "", options->positives, &word, &number, &unheard) != TRM_OK)
        word = policies[0];
    const trm_positives_policy *policy = (const trm_positives_policy *)word;
    int64_t count = word->number != NULL ? (int64_t)number : policy->count;
    count = count == 0 ? INT64_MAX : count;
    *positives = (trm_positives){
        .query = {policy->query, positives}, .policy = policy, .count = count, .seed = options->seed};
    positives->most = count < longest ? count : longest;
    positives->most = positives->most > 0 ? positives->most : 1;
}

int64_t trm_positives_pairs(const trm_positives *positives, int64_t there)
{
    return there < positives->count ? there : positives->count;
}
