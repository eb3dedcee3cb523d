/* Names and defaults of the metrics. */
#include "trimine/metric.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    double margin;
} table[] = {
    [TRM_METRIC_SQL2] = {"sql2", 1.0},
    [TRM_METRIC_L2] = {"l2", 1.0},
    [TRM_METRIC_COSINE] = {"cosine", 0.5},
    [TRM_METRIC_DOT] = {"dot", 1.0},
};

enum { METRICS = sizeof table / sizeof *table };

const char *trm_metric_name(trm_metric metric)
{
    return (unsigned)metric < METRICS ? table[metric].name : NULL;
}

int trm_metric_from_name(const char *name, trm_metric *metric)
{
    for (int i = 0; i < METRICS; i++) {
        if (strcmp(name, table[i].name) == 0) {
            *metric = (trm_metric)i;
            return 0;
        }
    }
    return -1;
}

double trm_metric_default_margin(trm_metric metric)
{
    return (unsigned)metric < METRICS ? table[metric].margin : 0.0;
}
