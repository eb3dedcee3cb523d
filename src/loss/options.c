/* Options of a loss: what they are called, what they are where nobody says, and which values they may have. */
#include "loss/options.h"

#include "base/sized.h"
#include "loss/reduction.h"
#include "loss/survey.h"
#include "metric/metric.h"
#include "mine/negatives.h"
#include "mine/options.h"

#include <inttypes.h>
#include <math.h>

void trm_loss_options_init_sized(trm_loss_options *options, size_t size)
{
    static const trm_sized sized = {.name = "trm_loss_options", .size = sizeof *options};
    const trm_loss_options own = {.size = sizeof own, .metric = TRM_METRIC_SQL2, .margin = 1.0};
    trm_sized_give(&sized, &own, options, &size);
}

/* ---- words ---- */

static const trm_word sources[] = {
    {.name = "batch-hard",
     .about = "each anchor's hardest positive and hardest negative",
     .value = TRM_SOURCE_BATCH_HARD},
    {.name = "batch-all", .about = "every (a,p,n) of the store", .value = TRM_SOURCE_BATCH_ALL},
    {.name = "mined", .about = "what trimine mine would find", .value = TRM_SOURCE_MINED},
    {.name = "given", .value = TRM_SOURCE_GIVEN, .derived = true},
    {.name = "within-margin", .value = TRM_SOURCE_WITHIN, .derived = true},
};
const trm_words trm_source_words = TRM_WORDS("trm_source", sources);

static const trm_word zero_words[] = {
    {.name = "none", .about = "no gradient", .value = 0},
    {.name = "whole", .about = "all of it, as tf.maximum gives it", .value = 1},
};
static const trm_words at_zero_words = TRM_WORDS("bool", zero_words);

/* ---- tables ---- */

static const trm_option corner_rows[] = {
    {.name = "at-zero",
     .value = "WHICH",
     .about = "the gradient where the hinge is exactly at its corner; tf.maximum gives the whole",
     .json = "at_zero",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_loss_options, whole_at_zero),
     .words = &at_zero_words,
     .sources = TRM_AT_TRIPLETS | TRM_AT_PACKED,
     .decides = TRM_AT_TRIPLETS | TRM_AT_PACKED | TRM_WITH_GRADIENT},
};
const trm_options trm_corner_table = TRM_OPTIONS("Loss", corner_rows);

static const trm_option loss_rows[] = {
    {.kind = TRM_OPTION_WORD, TRM_FIELD(trm_loss_options, metric), .words = &trm_metric_words},
    {.follows = "margin",
     .json = "loss_margin",
     .kind = TRM_OPTION_REAL,
     TRM_FIELD(trm_loss_options, margin),
     .decides = TRM_AT_ANY},
    {.name = "soft",
     .about = "softplus in place of the hinge",
     .json = "soft",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_loss_options, soft),
     .sources = TRM_AT_TRIPLETS,
     .decides = TRM_AT_TRIPLETS},
    {.name = "swap",
     .about = "d(a,n) becomes min(d(a,n), d(p,n))",
     .json = "swap",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_loss_options, swap),
     .sources = TRM_AT_TRIPLETS,
     .decides = TRM_AT_TRIPLETS},
    {.name = "reduction",
     .value = "R",
     .about = "which is the value, and scales the gradient",
     .json = "reduction",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_loss_options, reduction),
     .words = &trm_reduction_words,
     .sources = TRM_AT_ANY,
     .decides = TRM_AT_ANY},
};
const trm_options trm_loss_table = TRM_OPTIONS("Loss", loss_rows);

/* What loss takes: whether there is a store or packed triplets shows later. */
static const trm_option negatives_rows[] = {
    {.name = "negatives",
     .value = "POLICY",
     .about = "which negatives each pair gets; in packed triplets, of an anchor's own K",
     .json = "negatives",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_mine_options, negatives),
     .words = &trm_own_negatives_words,
     .sources = TRM_AT_MINED | TRM_AT_PACKED,
     .decides = TRM_AT_MINED | TRM_AT_PACKED},
};
const trm_options trm_loss_negatives_table = TRM_OPTIONS("Triplets", negatives_rows);

static const trm_option packed_rows[] = {
    {.kind = TRM_OPTION_TEXT, TRM_FIELD(trm_packed_options, negatives), .words = &trm_own_negatives_words},
    {.kind = TRM_OPTION_WORD, TRM_FIELD(trm_packed_options, window), .words = &trm_window_words},
    {.kind = TRM_OPTION_REAL, TRM_FIELD(trm_packed_options, window_margin)},
    {.kind = TRM_OPTION_WORD, TRM_FIELD(trm_packed_options, pick), .words = &trm_pick_words},
    {.kind = TRM_OPTION_WORD, TRM_FIELD(trm_packed_options, fallback), .words = &trm_fallback_words},
    {.kind = TRM_OPTION_WHOLE, TRM_FIELD(trm_packed_options, seed), .least = -TRM_MOST, .most = TRM_MOST},
    {.name = "norm-floor",
     .value = "E",
     .about = "packed triplets, cosine: squared norms are at least E; tf.math.l2_normalize has 1e-12",
     .json = "norm_floor",
     .kind = TRM_OPTION_REAL,
     TRM_FIELD(trm_packed_options, norm_floor),
     .sources = TRM_AT_PACKED,
     .decides = TRM_AT_PACKED,
     .sparse = true},
};
const trm_options trm_packed_table = TRM_OPTIONS("Loss", packed_rows);

static const trm_option survey_rows[] = {
    {.name = "histogram",
     .value = "BINS",
     .about = "of d(a,p), d(a,n) and d(a,n) - d(a,p), in so many equal bins: in FILE and with --json",
     .json = "histogram",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_survey_options, bins),
     .least = 1,
     .most = TRM_BINS_MOST,
     .sources = TRM_AT_LISTED,
     .decides = TRM_AT_LISTED,
     .sparse = true},
    {.name = "margins",
     .value = "M,M,...",
     .about = "the loss of the triplets, which are those of --window none, at each of these margins",
     .json = "margins",
     .kind = TRM_OPTION_REALS,
     TRM_FIELD(trm_survey_options, margin),
     TRM_NUMBER(trm_survey_options, margins),
     .sources = TRM_AT_MINED | TRM_AT_GIVEN | TRM_AT_PACKED_LOSS,
     .decides = TRM_AT_MINED | TRM_AT_GIVEN | TRM_AT_PACKED_LOSS,
     .sparse = true},
};
const trm_options trm_survey_table = TRM_OPTIONS("Loss", survey_rows);

void trm_loss_arguments(trm_arguments *list, const trm_loss_options *options)
{
    trm_arguments_options(list, &trm_loss_table, options);
    trm_arguments_options(list, &trm_corner_table, options);
}

void trm_packed_arguments(trm_arguments *list, const trm_packed_options *options)
{
    trm_arguments_options(list, &trm_packed_table, options);
}

trm_status trm_loss_check_norms(int64_t count, const double *norms, const char *what, int64_t first,
                                trm_error *err)
{
    for (int64_t i = 0; i < count; i++)
        if (!(norms[i] > 0.0) || isinf(norms[i]))
            return trm_fail(err, TRM_ERR_DATA,
                            "%s %" PRId64 " has the norm %g: must be a finite number above 0", what,
                            first + i, norms[i]);
    return TRM_OK;
}
