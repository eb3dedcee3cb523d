/* Among which rows; see among.h. */
#include "eval/among.h"

static const trm_word among[] = {
    {.name = "any", .about = "all rows", .value = TRM_AMONG_ANY},
    {.name = "same", .about = "rows with its label", .value = TRM_AMONG_SAME},
    {.name = "other", .about = "rows with another label", .value = TRM_AMONG_OTHER},
};
const trm_words trm_among_words = TRM_WORDS("trm_among", among);

trm_relation trm_among_relation(trm_among is)
{
    static const trm_relation relation[] = {[TRM_AMONG_ANY] = TRM_ANY_OTHER,
                                            [TRM_AMONG_SAME] = TRM_SAME_LABEL,
                                            [TRM_AMONG_OTHER] = TRM_OTHER_LABEL};
    return relation[is];
}

int64_t trm_among_count(trm_among is, trm_there there)
{
    const int64_t same = is == TRM_AMONG_OTHER ? 0 : there.positives;
    return same + (is == TRM_AMONG_SAME ? 0 : there.negatives);
}
