/* What the commands' reports share. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *const positives_names[] = {"all", "hardest", "easiest", "nearest"};
static const char *const window_names[] = {"none", "lt", "le"};
static const char *const pick_names[] = {"nearest", "farthest"};
static const char *const fallback_names[] = {"skip", "farthest-inside", "hardest"};

json_t *trm_report_options(const trm_cli *cli)
{
    char positives[64];
    const trm_mine_options *mine = &cli->mine;
    if (mine->positives == TRM_POSITIVES_NEAREST)
        snprintf(positives, sizeof positives, "nearest:%lld", (long long)mine->nearest);
    else
        snprintf(positives, sizeof positives, "%s", positives_names[mine->positives]);
    json_t *options =
        json_pack("{s:s, s:f, s:s, s:s, s:s, s:s, s:s, s:b}", "metric", trm_metric_name(mine->metric),
                  "margin", mine->margin, "positives", positives, "negatives", "semihard", "window",
                  window_names[mine->window], "pick", pick_names[mine->pick], "fallback",
                  fallback_names[mine->fallback], "normalize", cli->normalize);
    json_object_set_new(options, "ignore_label", cli->ignore ? json_integer(cli->ignore_label) : json_null());
    return options;
}

json_t *trm_report_certify(const trm_mine_summary *summary, const char *kernel)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:{s:I, s:I, s:I}}", "kernel", kernel, "elements",
                     (json_int_t)summary->certify.elements, "survivors",
                     (json_int_t)summary->certify.survivors, "float64", (json_int_t)summary->certify.float64,
                     "positives", "elements", (json_int_t)summary->certify_positives.elements, "survivors",
                     (json_int_t)summary->certify_positives.survivors, "float64",
                     (json_int_t)summary->certify_positives.float64);
}

trm_status trm_report_print(json_t *object, trm_error *err)
{
    int failed = json_dumpf(object, stdout, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17));
    failed |= putchar('\n') == EOF;
    failed |= fflush(stdout);
    json_decref(object);
    return failed != 0 ? trm_fail(err, TRM_ERR_IO, "the report could not be written to standard output: %s",
                                  strerror(errno))
                       : TRM_OK;
}

int64_t trm_report_peak_rss(MPI_Comm comm)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    int64_t bytes = (int64_t)usage.ru_maxrss * 1024;
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_MAX, comm);
    return bytes;
}

int64_t trm_report_rss_now(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    fclose(file);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}
