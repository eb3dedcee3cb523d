/* Options of a loss: what they are where nobody says, and which values they may have. */
#include "loss/options.h"

#include "base/sized.h"

#include <inttypes.h>
#include <math.h>

void trm_loss_options_init_sized(trm_loss_options *options, size_t size)
{
    static const trm_sized sized = {.name = "trm_loss_options", .size = sizeof *options};
    const trm_loss_options own = {.size = sizeof own, .metric = TRM_METRIC_SQL2, .margin = 1.0};
    trm_sized_give(&sized, &own, options, &size);
}

void trm_loss_arguments(trm_arguments *list, const trm_loss_options *options)
{
    trm_arguments_enum(list, "metric", "trm_metric", options->metric, TRM_METRIC_DOT);
    trm_arguments_real(list, "margin", options->margin);
    trm_arguments_whole(list, "soft", options->soft, 0, 1);
    trm_arguments_whole(list, "swap", options->swap, 0, 1);
    trm_arguments_whole(list, "whole_at_zero", options->whole_at_zero, 0, 1);
    trm_arguments_enum(list, "reduction", "trm_reduction", options->reduction, TRM_REDUCTION_MEAN_ROWS);
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
