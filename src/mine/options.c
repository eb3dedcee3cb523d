/* Options of mining: what they are called, what they are where nobody says, and which values they may have. */
#include "mine/options.h"

#include "base/sized.h"
#include "metric/metric.h"
#include "mine/negatives.h"
#include "mine/positives.h"

#include <math.h>

static const trm_sized sized = {.name = "trm_mine_options", .size = sizeof(trm_mine_options)};

void trm_mine_options_init_sized(trm_mine_options *options, size_t size)
{
    const trm_mine_options own = {.size = sizeof own,
                                  .metric = TRM_METRIC_SQL2,
                                  .margin = 1.0,
                                  .positives = "all",
                                  .negatives = "semihard",
                                  .window = TRM_WINDOW_LT,
                                  .min_distance = NAN,
                                  .max_distance = NAN,
                                  .absolute_margin = NAN,
                                  .relative_margin = NAN,
                                  .not_near_positive = NAN,
                                  .max_triplets = 100000000};
    trm_sized_give(&sized, &own, options, &size);
}

trm_status trm_mine_options_take(trm_mine_options *own, const trm_mine_options *given, trm_error *err)
{
    trm_mine_options_init(own);
    return trm_sized_take(&sized, own, given, err);
}

int64_t trm_mine_negatives(const trm_mine_options *options)
{
    return trm_negatives_most(options, INT64_MAX);
}

bool trm_mine_draws(const trm_mine_options *options)
{
    trm_positives positives;
    trm_positives_choose(&positives, options, INT64_MAX);
    return positives.policy->draws || trm_negatives_take(options, TRM_TAKES_SEED);
}

/* ---- words ---- */

static const trm_word windows[] = {
    {.name = "none", .about = "any farther negative", .value = TRM_WINDOW_NONE},
    {.name = "lt", .about = "d(a,n) - d(a,p) < margin", .value = TRM_WINDOW_LT},
    {.name = "le", .about = "d(a,n) - d(a,p) <= margin", .value = TRM_WINDOW_LE},
};
const trm_words trm_window_words = TRM_WORDS("trm_window", windows);

static const trm_word picks[] = {
    {.name = "nearest", .about = "the smallest d(a,n)", .value = TRM_PICK_NEAREST},
    {.name = "farthest", .about = "the largest d(a,n)", .value = TRM_PICK_FARTHEST},
    {.name = "random", .about = "drawn by --seed", .value = TRM_PICK_RANDOM},
};
const trm_words trm_pick_words = TRM_WORDS("trm_pick", picks);

static const trm_word fallbacks[] = {
    {.name = "skip", .about = "no triplet", .value = TRM_FALLBACK_SKIP},
    {.name = "farthest-inside",
     .about = "the farthest that is not farther than the positive",
     .value = TRM_FALLBACK_FARTHEST_INSIDE},
    {.name = "hardest", .about = "the nearest of all", .value = TRM_FALLBACK_HARDEST},
    {.name = "random", .about = "any, drawn by --seed", .value = TRM_FALLBACK_RANDOM},
};
const trm_words trm_fallback_words = TRM_WORDS("trm_fallback", fallbacks);

static const trm_word rank_orders[] = {
    {.name = "before", .about = "all negatives of the anchor", .value = TRM_RANK_BEFORE},
    {.name = "after", .about = "those that the filters left", .value = TRM_RANK_AFTER},
};
const trm_words trm_rank_order_words = TRM_WORDS("trm_rank_order", rank_orders);

static const trm_word shortlists[] = {
    {.name = "none", .about = "all rows", .value = TRM_SHORTLIST_NONE},
    {.name = "st-mine",
     .about = "the first rows only, as many as sentence-transformers looks at",
     .value = TRM_SHORTLIST_ST},
};
const trm_words trm_shortlist_words = TRM_WORDS("trm_shortlist", shortlists);

/* ---- tables ---- */

static const trm_option mine_rows[] = {
    {.name = "metric",
     .value = "NAME",
     .about = "the distance",
     .json = "metric",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_mine_options, metric),
     .words = &trm_metric_words,
     .sources = TRM_AT_ANY,
     .decides = TRM_AT_ANY},
    {.name = "margin",
     .value = "M",
     .about = "margin (default 1.0; cosine 0.5; with --soft 0 in the loss)",
     .json = "margin",
     .kind = TRM_OPTION_REAL,
     TRM_FIELD(trm_mine_options, margin),
     .sources = TRM_AT_ANY,
     .decides = TRM_AT_ANY},
    {.name = "positives",
     .value = "POLICY",
     .about = "which positives of each anchor get a triplet",
     .json = "positives",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_mine_options, positives),
     .words = &trm_positives_words,
     .sources = TRM_AT_MINED,
     .decides = TRM_AT_MINED},
    {.kind = TRM_OPTION_FLAG, TRM_FIELD(trm_mine_options, lone)},
    {.kind = TRM_OPTION_WHOLE, TRM_FIELD(trm_mine_options, seed), .least = -TRM_MOST, .most = TRM_MOST},
};
const trm_options trm_mine_table = TRM_OPTIONS("Triplets", mine_rows);

static const trm_option negatives_rows[] = {
    {.name = "negatives",
     .value = "POLICY",
     .about = "which negatives each pair gets",
     .json = "negatives",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_mine_options, negatives),
     .words = &trm_negatives_words,
     .sources = TRM_AT_MINED,
     .decides = TRM_AT_MINED},
};
const trm_options trm_negatives_table = TRM_OPTIONS("Triplets", negatives_rows);

static const trm_option set_rows[] = {
    {.name = "emit",
     .about = "list the triplets of a set, which otherwise is counted only",
     .json = "emit",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_mine_options, emit_sets),
     .sources = TRM_AT_MINED,
     .decides = TRM_AT_MINED,
     .sparse = true},
    {.name = "max-triplets",
     .value = "N",
     .about = "list no set of more triplets than N",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_mine_options, max_triplets),
     .least = 0,
     .most = TRM_MOST,
     .sources = TRM_AT_MINED},
};
const trm_options trm_set_table = TRM_OPTIONS("Triplets", set_rows);

static const trm_option semihard_rows[] = {
    {.name = "window",
     .value = "W",
     .about = "how d(a,n) - d(a,p) compares with the margin",
     .json = "window",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_mine_options, window),
     .words = &trm_window_words,
     .sources = TRM_AT_SEMIHARD,
     .decides = TRM_AT_SEMIHARD},
    {.name = "pick",
     .value = "P",
     .about = "which of the semihard negatives",
     .json = "pick",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_mine_options, pick),
     .words = &trm_pick_words,
     .sources = TRM_AT_SEMIHARD,
     .decides = TRM_AT_SEMIHARD},
    {.name = "fallback",
     .value = "F",
     .about = "where there is no semihard negative",
     .json = "fallback",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_mine_options, fallback),
     .words = &trm_fallback_words,
     .sources = TRM_AT_SEMIHARD,
     .decides = TRM_AT_SEMIHARD},
};
const trm_options trm_semihard_table = TRM_OPTIONS("Triplets", semihard_rows);

static const trm_option filter_rows[] = {
    [TRM_FILTER_MIN_DISTANCE] = {.name = "min-distance",
                                 .value = "X",
                                 .about = "hard, topk, random, weighted: only negatives with d(a,n) >= X",
                                 .json = "min_distance",
                                 .kind = TRM_OPTION_REAL,
                                 TRM_FIELD(trm_mine_options, min_distance),
                                 .least = -INFINITY,
                                 .optional = true,
                                 .sources = TRM_AT_MINED,
                                 .decides = TRM_AT_MINED,
                                 .sparse = true},
    [TRM_FILTER_MAX_DISTANCE] = {.name = "max-distance",
                                 .value = "X",
                                 .about = "hard, topk, random, weighted: only negatives with d(a,n) <= X",
                                 .json = "max_distance",
                                 .kind = TRM_OPTION_REAL,
                                 TRM_FIELD(trm_mine_options, max_distance),
                                 .least = -INFINITY,
                                 .optional = true,
                                 .sources = TRM_AT_MINED,
                                 .decides = TRM_AT_MINED,
                                 .sparse = true},
    [TRM_FILTER_ABSOLUTE_MARGIN] = {.name = "absolute-margin",
                                    .value = "X",
                                    .about = "hard, topk, random, weighted: only negatives at least X "
                                             "farther than the farthest selected positive",
                                    .json = "absolute_margin",
                                    .kind = TRM_OPTION_REAL,
                                    TRM_FIELD(trm_mine_options, absolute_margin),
                                    .least = -INFINITY,
                                    .optional = true,
                                    .sources = TRM_AT_MINED,
                                    .decides = TRM_AT_MINED,
                                    .sparse = true},
    [TRM_FILTER_RELATIVE_MARGIN] = {.name = "relative-margin",
                                    .value = "R",
                                    .about = "hard, topk, random, weighted: only negatives farther than it "
                                             "by the share R of its distance, or similarity",
                                    .json = "relative_margin",
                                    .kind = TRM_OPTION_REAL,
                                    TRM_FIELD(trm_mine_options, relative_margin),
                                    .optional = true,
                                    .sources = TRM_AT_MINED,
                                    .decides = TRM_AT_MINED,
                                    .sparse = true},
    [TRM_FILTER_NOT_NEAR_POSITIVE] = {.name = "not-near-positive",
                                      .value = "X",
                                      .about = "hard, topk, random, weighted: only negatives farther than X "
                                               "from every selected positive; 0 drops "
                                               "copies of them",
                                      .json = "not_near_positive",
                                      .kind = TRM_OPTION_REAL,
                                      TRM_FIELD(trm_mine_options, not_near_positive),
                                      .least = -INFINITY,
                                      .optional = true,
                                      .sources = TRM_AT_MINED,
                                      .decides = TRM_AT_MINED,
                                      .sparse = true},
    {.name = "ranks",
     .value = "A-B",
     .about =
         "hard, topk, random, weighted: only negatives of these ranks by distance, from 1; A-: to the end",
     .json = "ranks",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_mine_options, ranks),
     .sources = TRM_AT_MINED,
     .decides = TRM_AT_MINED,
     .sparse = true},
    {.name = "rank-order",
     .value = "ORDER",
     .about = "what --ranks counts",
     .json = "rank_order",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_mine_options, rank_order),
     .words = &trm_rank_order_words,
     .sources = TRM_AT_MINED,
     .decides = TRM_AT_MINED,
     .sparse = true},
    {.name = "shortlist",
     .value = "RULE",
     .about = "hard, topk, random, weighted: which rows are candidates at all",
     .json = "shortlist",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_mine_options, shortlist),
     .words = &trm_shortlist_words,
     .sources = TRM_AT_MINED,
     .decides = TRM_AT_MINED,
     .sparse = true},
};
const trm_options trm_filters_table = TRM_OPTIONS("Triplets", filter_rows);

static const trm_option sets_rows[] = {
    {.name = "and-labels",
     .about = "with --pairs: a row of the store that shares the query's label is no negative, either",
     .json = "and_labels",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_mine_options, and_labels),
     .sources = TRM_AT_MINED,
     .decides = TRM_AT_MINED,
     .sparse = true},
};
const trm_options trm_sets_table = TRM_OPTIONS("Two sets", sets_rows);

static const trm_option lone_rows[] = {
    {.name = "lone",
     .about = "hard, topk, random, weighted: a row without a positive is an anchor, too; its triplets have "
              "the positive -1",
     .json = "lone",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_mine_options, lone),
     .sources = TRM_AT_MINED,
     .decides = TRM_AT_MINED,
     .sparse = true},
};
const trm_options trm_lone_table = TRM_OPTIONS("Triplets", lone_rows);

void trm_mine_arguments(trm_arguments *list, const trm_mine_options *options)
{
    trm_arguments_options(list, &trm_mine_table, options);
    trm_arguments_options(list, &trm_negatives_table, options);
    trm_arguments_options(list, &trm_set_table, options);
    trm_arguments_options(list, &trm_semihard_table, options);
    trm_arguments_options(list, &trm_filters_table, options);
    trm_arguments_options(list, &trm_sets_table, options);
    trm_arguments_whole(list, "queries", options->queries != NULL, 0, 1);
    trm_arguments_whole(list, "pairs", options->pairs != NULL, 0, 1);
}
