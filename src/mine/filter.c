/* Filters and rank windows; see filter.h. */
#include "mine/filter.h"

#include "base/error.h"
#include "base/number.h"
#include "metric/metric.h"

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[TRM_FILTERS] = {
    [TRM_FILTER_MIN_DISTANCE] = "min-distance",           [TRM_FILTER_MAX_DISTANCE] = "max-distance",
    [TRM_FILTER_ABSOLUTE_MARGIN] = "absolute-margin",     [TRM_FILTER_RELATIVE_MARGIN] = "relative-margin",
    [TRM_FILTER_NOT_NEAR_POSITIVE] = "not-near-positive",
};

/* Is the filter's bound a distance, and no difference or share? */
static const bool is_distance[TRM_FILTERS] = {[TRM_FILTER_MIN_DISTANCE] = true,
                                              [TRM_FILTER_MAX_DISTANCE] = true,
                                              [TRM_FILTER_NOT_NEAR_POSITIVE] = true};

static void bounds_of(const trm_mine_options *options, double bound[TRM_FILTERS])
{
    bound[TRM_FILTER_MIN_DISTANCE] = options->min_distance;
    bound[TRM_FILTER_MAX_DISTANCE] = options->max_distance;
    bound[TRM_FILTER_ABSOLUTE_MARGIN] = options->absolute_margin;
    bound[TRM_FILTER_RELATIVE_MARGIN] = options->relative_margin;
    bound[TRM_FILTER_NOT_NEAR_POSITIVE] = options->not_near_positive;
}

/* ---- what was asked for ---- */

/* A whole number at *text, which moves behind it; false where there is none. */
static bool read_rank(const char **text, int64_t *rank)
{
    char *end = NULL;
    if (!isdigit((unsigned char)**text))
        return false;
    errno = 0;
    *rank = strtoll(*text, &end, 10);
    *text = end;
    return errno == 0;
}

/* "A-B" or "A-". */
static bool read_ranks(const char *text, int64_t *first, int64_t *last)
{
    *last = INT64_MAX;
    if (!read_rank(&text, first) || *text != '-')
        return false;
    text++;
    if (*text != '\0' && !read_rank(&text, last))
        return false;
    return *text == '\0' && *first >= 1 && *last >= *first;
}

static trm_status check_ranks(const trm_mine_options *options, trm_error *err)
{
    int64_t first, last;
    if (options->shortlist != TRM_SHORTLIST_NONE && strcmp(options->positives, "all") != 0)
        return trm_fail(err, TRM_ERR_USAGE, "--shortlist goes with --positives all only");
    if (options->ranks == NULL)
        return options->rank_order == TRM_RANK_BEFORE
                   ? TRM_OK
                   : trm_fail(err, TRM_ERR_USAGE, "--rank-order goes with --ranks only");
    return read_ranks(options->ranks, &first, &last)
               ? TRM_OK
               : trm_fail(
                     err, TRM_ERR_USAGE,
                     "--ranks '%s': must be A-B or A-, whole numbers with 1 <= A <= B: which of the nearest "
                     "negatives may be taken (how many processes there are is mpirun's -n)",
                     options->ranks);
}

static trm_status check_bounds(const trm_mine_options *options, trm_error *err)
{
    double bound[TRM_FILTERS];
    char text[TRM_NUMBER_TEXT];
    bounds_of(options, bound);
    for (int f = 0; f < TRM_FILTERS; f++)
        if (is_distance[f] && bound[f] < 0.0 && options->metric != TRM_METRIC_DOT)
            return trm_fail(err, TRM_ERR_USAGE, "--%s %s: must be 0 or more: only dot has distances below 0",
                            names[f], trm_number_text(bound[f], text));
    return TRM_OK;
}

trm_status trm_filters_check(const trm_mine_options *options, bool taken, const char *policy,
                             const char *takers, trm_error *err)
{
    double bound[TRM_FILTERS];
    const char *given = options->shortlist != TRM_SHORTLIST_NONE ? "shortlist"
                        : options->ranks != NULL                 ? "ranks"
                                                                 : NULL;
    bounds_of(options, bound);
    for (int f = TRM_FILTERS - 1; f >= 0; f--)
        given = isnan(bound[f]) ? given : names[f];
    if (given != NULL && !taken)
        return trm_fail(err, TRM_ERR_USAGE, "--%s does not apply to --negatives %s, but to: %s", given,
                        policy, takers);
    trm_status status = check_ranks(options, err);
    return status == TRM_OK ? check_bounds(options, err) : status;
}

void trm_filters_choose(trm_filters *filters, const trm_mine_options *options)
{
    *filters = (trm_filters){.metric = options->metric, .first = 1, .last = INT64_MAX};
    bounds_of(options, filters->bound);
    for (int f = 0; f < TRM_FILTERS; f++)
        filters->any = filters->any || trm_filters_has(filters, (trm_filter)f);
    filters->by_positive = trm_filters_has(filters, TRM_FILTER_ABSOLUTE_MARGIN) ||
                           trm_filters_has(filters, TRM_FILTER_RELATIVE_MARGIN);
    if (options->ranks == NULL || !read_ranks(options->ranks, &filters->first, &filters->last)) {
        filters->first = 1;
        filters->last = INT64_MAX;
    }
    filters->after = options->rank_order == TRM_RANK_AFTER;
    filters->shortlisted = options->shortlist != TRM_SHORTLIST_NONE;
}

void trm_filters_set_shortlist(trm_filters *filters, int64_t chosen, int64_t positives)
{
    enum { WITH_MARGIN = 10 }; /* sentence-transformers 5, mine_hard_negatives */
    bool margin = false;
    for (int f = 0; f < TRM_FILTERS; f++)
        margin = margin || (f != TRM_FILTER_MAX_DISTANCE && trm_filters_has(filters, (trm_filter)f));
    if (!filters->shortlisted)
        return;
    if (filters->last == INT64_MAX)
        filters->last = filters->first - 1 + chosen * (margin ? WITH_MARGIN : 1) + positives;
    filters->shortlist = filters->last + positives;
}

void trm_filters_drop(trm_mine_options *options)
{
    options->ranks = NULL;
    options->rank_order = TRM_RANK_BEFORE;
    options->shortlist = TRM_SHORTLIST_NONE;
    options->min_distance = options->max_distance = NAN;
    options->absolute_margin = options->relative_margin = options->not_near_positive = NAN;
}

/* ---- what passes ---- */

static bool has_similarity(const trm_filters *filters)
{
    return filters->metric == TRM_METRIC_COSINE || filters->metric == TRM_METRIC_DOT;
}

/* The largest similarity, or the smallest distance, that the relative margin keeps. */
static double relative_bound(const trm_filters *filters, double d_pos)
{
    const double r = filters->bound[TRM_FILTER_RELATIVE_MARGIN];
    if (!has_similarity(filters))
        return d_pos * (1.0 + r);
    const double s_pos = trm_similarity(filters->metric, d_pos);
    return s_pos - fabs(s_pos) * r;
}

static bool passes_relative(const trm_filters *filters, double d_pos, double d)
{
    const double bound = relative_bound(filters, d_pos);
    return has_similarity(filters) ? trm_similarity(filters->metric, d) <= bound : d >= bound;
}

int trm_filters_remove(const trm_filters *filters, double d_pos, double d)
{
    const double *bound = filters->bound; /* compares with NAN are false */
    if (d < bound[TRM_FILTER_MIN_DISTANCE])
        return TRM_FILTER_MIN_DISTANCE;
    if (d > bound[TRM_FILTER_MAX_DISTANCE])
        return TRM_FILTER_MAX_DISTANCE;
    if (d < d_pos + bound[TRM_FILTER_ABSOLUTE_MARGIN])
        return TRM_FILTER_ABSOLUTE_MARGIN;
    if (trm_filters_has(filters, TRM_FILTER_RELATIVE_MARGIN) && !passes_relative(filters, d_pos, d))
        return TRM_FILTER_RELATIVE_MARGIN;
    return TRM_FILTERS_PASSED;
}

double trm_filters_end(const trm_filters *filters, double d_pos)
{
    double end = fmax(filters->bound[TRM_FILTER_MIN_DISTANCE], filters->bound[TRM_FILTER_MAX_DISTANCE]);
    if (filters->by_positive)
        end = fmax(end, d_pos + filters->bound[TRM_FILTER_ABSOLUTE_MARGIN]);
    if (trm_filters_has(filters, TRM_FILTER_RELATIVE_MARGIN)) {
        const double bound = relative_bound(filters, d_pos);
        double d = bound;
        if (filters->metric == TRM_METRIC_COSINE) /* 1 - d was rounded: a little farther */
            d = 1.0 - bound + 4.0 * DBL_EPSILON * (1.0 + fabs(bound));
        else if (filters->metric == TRM_METRIC_DOT)
            d = -bound;
        end = fmax(end, d);
    }
    return isnan(end) ? -INFINITY : end;
}

void trm_filters_total(const trm_filters *filters, const int64_t *tally, int64_t candidates,
                       int64_t removed[TRM_FILTERS])
{
    int64_t seen = tally[TRM_FILTERS_PASSED];
    for (int f = 0; f < TRM_FILTERS; f++) {
        if (f == TRM_FILTER_MAX_DISTANCE)
            continue;
        removed[f] += tally[f];
        seen += tally[f];
    }
    if (trm_filters_has(filters, TRM_FILTER_MAX_DISTANCE))
        removed[TRM_FILTER_MAX_DISTANCE] += candidates - seen;
    removed[TRM_FILTER_NOT_NEAR_POSITIVE] -= tally[TRM_FILTERS_NEAR_BEFORE];
}
