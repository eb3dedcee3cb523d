/* Options of mining: what they are where nobody says, and which values they may have. */
#include "mine/options.h"

#include "base/sized.h"

static const trm_sized sized = {.name = "trm_mine_options", .size = sizeof(trm_mine_options)};

void trm_mine_options_init_sized(trm_mine_options *options, size_t size)
{
    const trm_mine_options own = {.size = sizeof own,
                                  .metric = TRM_METRIC_SQL2,
                                  .margin = 1.0,
                                  .positives = TRM_POSITIVES_ALL,
                                  .nearest = 1,
                                  .window = TRM_WINDOW_LT};
    trm_sized_give(&sized, &own, options, &size);
}

trm_status trm_mine_options_take(trm_mine_options *own, const trm_mine_options *given, trm_error *err)
{
    trm_mine_options_init(own);
    return trm_sized_take(&sized, own, given, err);
}

int64_t trm_mine_negatives(const trm_mine_options *options)
{
    (void)options; /* semihard and hard: one each */
    return 1;
}

void trm_mine_arguments(trm_arguments *list, const trm_mine_options *options)
{
    const int64_t least = options->positives == TRM_POSITIVES_NEAREST ? 1 : INT64_MIN;
    trm_arguments_enum(list, "metric", "trm_metric", options->metric, TRM_METRIC_DOT);
    trm_arguments_real(list, "margin", options->margin);
    trm_arguments_enum(list, "positives", "trm_positives", options->positives, TRM_POSITIVES_NEAREST);
    trm_arguments_whole(list, "nearest", options->nearest, least, INT64_MAX);
    trm_arguments_enum(list, "negatives", "trm_negatives", options->negatives, TRM_NEGATIVES_HARD);
    trm_arguments_enum(list, "window", "trm_window", options->window, TRM_WINDOW_LE);
    trm_arguments_enum(list, "pick", "trm_pick", options->pick, TRM_PICK_FARTHEST);
    trm_arguments_enum(list, "fallback", "trm_fallback", options->fallback, TRM_FALLBACK_HARDEST);
    trm_arguments_whole(list, "lone", options->lone, 0, 1);
}
