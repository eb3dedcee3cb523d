/* What is told of the triplets: statistics, histograms, the loss at several margins. */
#include "cli/cli.h"

#include <inttypes.h>

static json_t *number_or_null(double value, bool known)
{
    return known ? json_real(value) : json_null();
}

/* null, where there are no triplets, or the quartiles are not known. */
static json_t *statistic_json(const trm_statistic *of, bool ordered)
{
    const bool known = of->count > 0, quartiles = known && ordered;
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "count", (json_int_t)of->count, "mean",
                     number_or_null(of->mean, known), "median", number_or_null(of->median, quartiles), "std",
                     number_or_null(of->std, known), "min", number_or_null(of->min, known), "q1",
                     number_or_null(of->q1, quartiles), "q3", number_or_null(of->q3, quartiles), "max",
                     number_or_null(of->max, known));
}

static json_t *histogram_json(const trm_statistic *of, int64_t bins)
{
    json_t *edges = json_array(), *counts = json_array();
    for (int64_t i = 0; i <= bins; i++)
        trm_report_append(&edges, json_real(of->edges[i]));
    for (int64_t i = 0; i < bins; i++)
        trm_report_append(&counts, json_integer(of->bin[i]));
    return json_pack("{s:o, s:o}", "edges", edges, "counts", counts);
}

static json_t *margins_json(const trm_survey *survey)
{
    json_t *margins = json_array();
    for (int i = 0; i < survey->options.margins; i++) {
        const trm_margin *m = &survey->margin[i];
        trm_report_append(&margins, json_pack("{s:f, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "margin", m->margin,
                                              "triplets", (json_int_t)m->count, "semihard",
                                              (json_int_t)m->semihard, "active", (json_int_t)m->active,
                                              "active_share", m->active_share, "loss_sum", m->sum, "mean_all",
                                              m->mean_all, "mean_nonzero", m->mean_nonzero));
    }
    return margins;
}

json_t *trm_report_survey(const trm_survey *survey)
{
    const trm_statistics_summary *found = &survey->found;
    json_t *object = json_object(), *statistics = json_object(), *histogram = json_object();
    for (int k = 0; k < TRM_SERIES; k++) {
        trm_report_put(&statistics, trm_series_names[k], statistic_json(&found->of[k], found->ordered));
        if (found->bins > 0)
            trm_report_put(&histogram, trm_series_names[k], histogram_json(&found->of[k], found->bins));
    }
    trm_report_put(&object, "statistics", statistics);
    if (found->bins > 0)
        trm_report_put(&object, "histogram", histogram);
    else
        json_decref(histogram);
    if (survey->options.margins > 0)
        trm_report_put(&object, "margins", margins_json(survey));
    return object;
}

/* ---- for people ---- */

static void print_statistic(const trm_statistic *of, const char *name, bool ordered)
{
    fprintf(stderr, "%-10s mean %.6g, std %.6g; min %.6g", name, of->mean, of->std, of->min);
    if (ordered)
        fprintf(stderr, ", quartiles %.6g, %.6g, %.6g", of->q1, of->median, of->q3);
    fprintf(stderr, ", max %.6g\n", of->max);
}

/* A line while it fits a terminal; more bins are for programs. */
static void print_histogram(const trm_statistic *of, const char *name, int64_t bins)
{
    enum { FIT = 20 };
    if (bins > FIT)
        return;
    fprintf(stderr, "histogram  %s from %.6g to %.6g:", name, of->edges[0], of->edges[bins]);
    for (int64_t i = 0; i < bins; i++)
        fprintf(stderr, " %" PRId64, of->bin[i]);
    fprintf(stderr, "\n");
}

void trm_report_survey_lines(const trm_survey *survey)
{
    const trm_statistics_summary *found = &survey->found;
    for (int k = 0; k < TRM_SERIES && found->of[k].count > 0; k++)
        print_statistic(&found->of[k], trm_series_names[k], found->ordered);
    for (int k = 0; k < TRM_SERIES && found->bins > 0; k++)
        print_histogram(&found->of[k], trm_series_names[k], found->bins);
    for (int i = 0; i < survey->options.margins; i++) {
        const trm_margin *m = &survey->margin[i];
        fprintf(stderr,
                "margin     %g: %" PRId64 " semihard, %" PRId64
                " active (%.4g %%), loss mean_all %.9g, mean over the active %.9g\n",
                m->margin, m->semihard, m->active, 100.0 * m->active_share, m->mean_all, m->mean_nonzero);
    }
}
