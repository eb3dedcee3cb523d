/* Names and defaults of the metrics. */
#include "metric/metric.h"

#include <stddef.h>
#include <string.h>

static const trm_word words[] = {
    {.name = "sql2",
     .about = "the squared Euclidean distance",
     .elsewhere = "sqeuclidean squared-euclidean squared-l2 l2-squared",
     .value = TRM_METRIC_SQL2},
    {.name = "l2", .about = "the Euclidean distance", .elsewhere = "euclidean", .value = TRM_METRIC_L2},
    {.name = "cosine",
     .about = "1 - the cosine of the angle",
     .elsewhere = "angular cos-sim cosine-similarity cosine-distance",
     .value = TRM_METRIC_COSINE},
    {.name = "dot",
     .about = "the dot product, negated",
     .elsewhere = "ip inner-product dot-product dot-score",
     .value = TRM_METRIC_DOT},
};
const trm_words trm_metric_words = TRM_WORDS("trm_metric", words);

static const double margins[] = {
    [TRM_METRIC_SQL2] = 1.0,
    [TRM_METRIC_L2] = 1.0,
    [TRM_METRIC_COSINE] = 0.5,
    [TRM_METRIC_DOT] = 1.0,
};

const char *trm_metric_name(trm_metric metric)
{
    return trm_word_name(&trm_metric_words, (int)metric);
}

int trm_metric_from_name(const char *name, trm_metric *metric)
{
    const trm_word *word = trm_word_find(&trm_metric_words, name, strlen(name));
    if (word == NULL)
        return -1;
    *metric = (trm_metric)word->value;
    return 0;
}

double trm_metric_default_margin(trm_metric metric)
{
    return trm_metric_name(metric) != NULL ? margins[metric] : 0.0;
}
