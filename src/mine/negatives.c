/* The table of negatives policies; see negatives.h. */
#include "mine/negatives.h"

#include "options/option.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const trm_word *const policies[] = {&trm_negatives_semihard.word, &trm_negatives_hard.word,
                                           &trm_negatives_topk.word, &trm_negatives_random.word,
                                           &trm_negatives_weighted.word, &trm_negatives_within_margin.word,
                                           &trm_negatives_hard_all.word, &trm_negatives_easy_all.word,
                                           &trm_negatives_violating.word, &trm_negatives_multisimilarity.word,
                                           /* those that a store does not have come last */
                                           &trm_negatives_reversed.word};
enum { POLICIES = sizeof policies / sizeof *policies, OVER_A_STORE = POLICIES - 1 };
const trm_words trm_negatives_words = {
    .type = "policy of negatives", .words = policies, .count = OVER_A_STORE};
const trm_words trm_own_negatives_words = TRM_WORDS_OF("policy of negatives", policies);

int64_t trm_negatives_one(const trm_negatives *negatives)
{
    (void)negatives;
    return 1;
}

void trm_negatives_choose(trm_negatives *negatives, const trm_mine_options *options, int64_t rows, int dim)
{
    trm_error unheard = TRM_ERROR_INIT;
    *negatives = (trm_negatives){.options = *options, .rows = rows, .dim = dim};
    trm_filters_choose(&negatives->filters, options);
    const trm_word *word = policies[0];
    if (trm_words_check(&trm_own_negatives_words, "", options->negatives, &word, &negatives->number,
                        &unheard) != TRM_OK)
        word = policies[0];
    if (word->number != NULL && !word->real) {
        const int64_t count = (int64_t)negatives->number, most = rows > 0 ? rows : 1;
        negatives->count = count < most ? count : most;
    }
    negatives->policy = (const trm_negatives_policy *)word;
    negatives->query = (trm_query){negatives->policy->query, negatives};
    if (negatives->policy->begin != NULL)
        negatives->policy->begin(negatives);
}

trm_status trm_negatives_check(const trm_mine_options *options, trm_error *err)
{
    trm_negatives negatives;
    trm_negatives_choose(&negatives, options, INT64_MAX, 1);
    char takers[128] = "";
    for (int i = 0; i < OVER_A_STORE; i++)
        if ((((const trm_negatives_policy *)policies[i])->takes & TRM_TAKES_FILTERS) != 0) {
            const size_t used = strlen(takers);
            snprintf(takers + used, sizeof takers - used, "%s%s", used > 0 ? ", " : "", policies[i]->name);
        }
    return trm_filters_check(options, (negatives.policy->takes & TRM_TAKES_FILTERS) != 0,
                             negatives.policy->word.name, takers, err);
}

trm_status trm_negatives_check_listed(const trm_mine_options *options, int64_t triplets, trm_error *err)
{
    if (triplets <= options->max_triplets)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA,
                    "negatives %s: %" PRId64 " triplets, more than the %" PRId64
                    " that may be listed (--max-triplets)",
                    options->negatives, triplets, options->max_triplets);
}

/* The policy itself, which may have handed on to another. */
static const trm_negatives_policy *policy_of(const trm_mine_options *options)
{
    trm_negatives negatives;
    trm_negatives_choose(&negatives, options, INT64_MAX, 1);
    return negatives.policy;
}

bool trm_negatives_take(const trm_mine_options *options, unsigned what)
{
    return (policy_of(options)->takes & what) != 0;
}

bool trm_negatives_ask_for_many(const trm_negatives_policy *policy)
{
    return policy->most != NULL && (policy->takes & TRM_TAKES_WINDOW) == 0;
}

bool trm_negatives_may_come_short(const trm_mine_options *options)
{
    return trm_negatives_ask_for_many(policy_of(options));
}

bool trm_negatives_are_set(const trm_mine_options *options)
{
    return policy_of(options)->size != NULL;
}

bool trm_negatives_are_reversed(const trm_mine_options *options)
{
    return policy_of(options) == &trm_negatives_reversed;
}

int64_t trm_negatives_most(const trm_mine_options *options, int64_t rows)
{
    trm_negatives negatives;
    trm_negatives_choose(&negatives, options, rows, 1);
    return negatives.policy->most != NULL ? negatives.policy->most(&negatives) : 0;
}

bool trm_negatives_take_every_pair(const trm_mine_options *options)
{
    trm_negatives negatives;
    trm_negatives_choose(&negatives, options, INT64_MAX, 1);
    return negatives.query.type->every_pair;
}
