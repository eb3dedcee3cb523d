/* Reductions: one table row each; see trimine/loss.h. */
#include "loss/reduction.h"

#include "base/number.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const trm_word words[] = {
    {.name = "mean_all", .about = "sum / triplets", .value = TRM_REDUCTION_MEAN_ALL},
    {.name = "sum", .about = "the sum", .value = TRM_REDUCTION_SUM},
    {.name = "mean_nonzero", .about = "sum / active triplets", .value = TRM_REDUCTION_MEAN_NONZERO},
    {.name = "mean_valid", .about = "sum / valid anchors", .value = TRM_REDUCTION_MEAN_VALID},
    {.name = "mean_rows",
     .about = "sum / rows of the store, of two sets / queries",
     .value = TRM_REDUCTION_MEAN_ROWS},
};
const trm_words trm_reduction_words = TRM_WORDS("trm_reduction", words);

const char *trm_reduction_name(trm_reduction reduction)
{
    return trm_word_name(&trm_reduction_words, (int)reduction);
}

int trm_reduction_from_name(const char *name, trm_reduction *reduction)
{
    const trm_word *word = trm_word_find(&trm_reduction_words, name, strlen(name));
    if (word == NULL)
        return -1;
    *reduction = (trm_reduction)word->value;
    return 0;
}

int64_t trm_loss_denominator(const trm_loss_summary *summary, trm_reduction reduction)
{
    switch (reduction) {
    case TRM_REDUCTION_SUM:
        return 1;
    case TRM_REDUCTION_MEAN_NONZERO:
        return summary->active;
    case TRM_REDUCTION_MEAN_VALID:
        return summary->valid;
    case TRM_REDUCTION_MEAN_ROWS:
        return summary->rows;
    default:
        return summary->count;
    }
}

static double mean(const trm_loss_summary *summary, trm_reduction reduction)
{
    const int64_t count = trm_loss_denominator(summary, reduction);
    return count > 0 ? summary->sum / (double)count : 0.0;
}

/* Distances of float32 rows can't add up to what float64 does not hold; only a margin can. */
trm_status trm_loss_reduce(trm_loss_summary *summary, const trm_loss_options *options, trm_error *err)
{
    char text[TRM_NUMBER_TEXT];
    if (!isfinite(summary->sum))
        return trm_fail(err, TRM_ERR_DATA,
                        "the sum of the loss over %" PRId64
                        " triplets does not fit float64: use a smaller --margin than %s",
                        summary->count, trm_number_text(options->margin, text));
    summary->mean_all = mean(summary, TRM_REDUCTION_MEAN_ALL);
    summary->mean_nonzero = mean(summary, TRM_REDUCTION_MEAN_NONZERO);
    summary->mean_valid = mean(summary, TRM_REDUCTION_MEAN_VALID);
    summary->mean_rows = mean(summary, TRM_REDUCTION_MEAN_ROWS);
    summary->value = mean(summary, options->reduction);
    return TRM_OK;
}
