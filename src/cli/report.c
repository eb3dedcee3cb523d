/* What the commands' reports share. */
#include "cli/cli.h"

#include "base/alloc.h"
#include "base/json.h"
#include "kernel/blas_core.h"
#include "kernel/blas_threads.h"
#include "kernel/kernel.h"
#include "loss/options.h"
#include "mine/negatives.h"
#include "mine/options.h"
#include "store/result.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

void trm_report_put(json_t **object, const char *key, json_t *value)
{
    trm_json_put(object, key, value);
}

void trm_report_put_all(json_t **object, json_t *more)
{
    trm_json_put_all(object, more);
}

void trm_report_append(json_t **array, json_t *value)
{
    trm_json_append(array, value);
}

json_t *trm_report_text(const char *text)
{
    return trm_json_text(text);
}

/* ---- options ---- */

/* The keys of the first version in their order, so that attributes of results stay the same bytes. Keys that
 * come later need no place here: they follow in the order of the tables. */
static const char *const first_keys[] = {
    "metric",    "margin",      "loss_margin",  "positives",  "negatives", "window", "pick",
    "fallback",  "normalize",   "ignore_label", "soft",       "swap",      "lone",   "within",
    "reduction", "gradient_at", "at_zero",      "norm_floor", "seed",      "source",
};

/* No option says that triplets are packed: the file does. Nor does one of mine, whose triplets are mined. */
static json_t *source_json(const trm_cli *cli)
{
    return json_string(cli->packed ? "packed" : trm_word_name(&trm_source_words, (int)cli->source));
}

static json_t *in_order(json_t *options)
{
    json_t *ordered = json_object();
    for (size_t i = 0; i < sizeof first_keys / sizeof *first_keys; i++) {
        json_t *value = json_object_get(options, first_keys[i]);
        if (value != NULL)
            trm_json_put(&ordered, first_keys[i], json_incref(value));
    }
    const bool all = options != NULL && json_object_update_missing(ordered, options) == 0;
    json_decref(options);
    if (all)
        return ordered;
    json_decref(ordered);
    return NULL;
}

json_t *trm_report_options(const trm_cli *cli)
{
    const uint32_t at = trm_cli_source(cli) | (cli->gradient ? TRM_WITH_GRADIENT : 0);
    json_t *options = json_object();
    trm_cli defaults;
    trm_cli_init(&defaults, cli->command);
    for (int i = 0; i < cli->command->tables; i++) {
        const trm_taken *taken = &cli->command->takes[i];
        trm_options_report(taken->options, (const char *)cli + taken->at, (const char *)&defaults + taken->at,
                           at, &options);
    }
    trm_json_put(&options, "source", source_json(cli));
    if (trm_cli_draws(cli)) /* what its table row can't say: it decides what was drawn */
        trm_json_put(&options, "seed", json_integer(cli->seed));
    options = in_order(options);
    if (cli->compat != NULL)
        trm_json_put(&options, "compat",
                     json_pack("{s:s, s:O}", "name", cli->compat, "overridden", cli->overridden));
    return options;
}

trm_status trm_report_options_text(const trm_cli *cli, char **text, trm_error *err)
{
    json_t *options = trm_report_options(cli);
    *text = json_dumps(options, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17));
    json_decref(options);
    return *text != NULL ? TRM_OK
                         : trm_fail(err, TRM_ERR_INTERNAL, "the options could not be written as JSON");
}

json_t *trm_report_anchors(const trm_mine_summary *summary)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "total", (json_int_t)summary->anchors.total, "valid",
                     (json_int_t)summary->anchors.valid, "no_positive",
                     (json_int_t)summary->anchors.no_positive, "no_negative",
                     (json_int_t)summary->anchors.no_negative, "ignored",
                     (json_int_t)summary->anchors.ignored);
}

json_t *trm_report_triplets(int64_t total, int64_t semihard, int64_t fallback, int64_t skipped)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "total", (json_int_t)total, "semihard", (json_int_t)semihard,
                     "fallback", (json_int_t)fallback, "skipped", (json_int_t)skipped);
}

static bool may_come_short(const trm_cli *cli)
{
    return cli->source == TRM_SOURCE_MINED && trm_negatives_may_come_short(&cli->mine);
}

static bool has_filter(const trm_cli *cli, int filter)
{
    return !isnan(trm_option_real(&trm_filters_table.option[filter], &cli->mine));
}

json_t *trm_report_filters(const trm_cli *cli, const trm_mine_summary *summary)
{
    if (!may_come_short(cli))
        return NULL;
    json_t *object = json_object();
    for (int f = 0; f < TRM_FILTERS; f++)
        if (has_filter(cli, f))
            trm_report_put(&object, trm_filters_table.option[f].json,
                           json_pack("{s:I}", "removed", (json_int_t)summary->filters.removed[f]));
    trm_report_put(&object, "short_anchors", json_integer(summary->filters.short_anchors));
    return object;
}

void trm_report_filters_line(const trm_cli *cli, const trm_mine_summary *summary)
{
    bool any = false;
    if (!may_come_short(cli))
        return;
    fprintf(stderr, "filters    ");
    for (int f = 0; f < TRM_FILTERS; f++)
        if (has_filter(cli, f)) {
            fprintf(stderr, "%s%s removed %" PRId64, any ? ", " : "", trm_filters_table.option[f].name,
                    summary->filters.removed[f]);
            any = true;
        }
    fprintf(stderr, "%s%" PRId64 " anchors came up short\n", any ? "; " : "", summary->filters.short_anchors);
}

json_t *trm_report_gradient(const trm_loss_summary *loss)
{
    return json_pack("{s:f, s:f}", "norm", loss->gradient_norm, "max_abs", loss->gradient_max_abs);
}

json_t *trm_report_loss(const char *name, const trm_loss_summary *loss, trm_reduction reduction)
{
    return json_pack("{s:s, s:f, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:s}", "name", name, "sum", loss->sum,
                     "count", (json_int_t)loss->count, "active", (json_int_t)loss->active, "mean_all",
                     loss->mean_all, "mean_nonzero", loss->mean_nonzero, "mean_valid", loss->mean_valid,
                     "mean_rows", loss->mean_rows, "value", loss->value, "reduction",
                     trm_reduction_name(reduction));
}

static void print_preset(const trm_cli *cli)
{
    size_t i;
    json_t *name;
    fprintf(stderr, "preset     %s", cli->compat);
    json_array_foreach(cli->overridden, i, name)
        fprintf(stderr, "%s--%s", i == 0 ? ", but for " : " ", json_string_value(name));
    fprintf(stderr, "\n");
}

void trm_report_loss_line(const trm_cli *cli, const char *name, const trm_loss_summary *loss)
{
    if (cli->compat != NULL)
        print_preset(cli);
    const trm_reduction reduction = cli->loss.reduction;
    fprintf(stderr, "loss       %s, %s, margin %g: %s %.9g; %" PRId64 " of %" PRId64 " triplets active", name,
            trm_metric_name(cli->loss.metric), cli->loss.margin, trm_reduction_name(reduction), loss->value,
            loss->active, loss->count);
    if (reduction != TRM_REDUCTION_MEAN_NONZERO)
        fprintf(stderr, ", mean over those %.9g", loss->mean_nonzero);
    if (reduction != TRM_REDUCTION_SUM)
        fprintf(stderr, "; sum %.17g", loss->sum);
    fprintf(stderr, "\n");
    if (cli->gradient)
        fprintf(stderr, "gradient   norm %.9g, largest %.9g\n", loss->gradient_norm, loss->gradient_max_abs);
}

/* One rank's row of the per-rank table, as it travels. */
typedef struct rank_row {
    trm_loss_part part;
    char host[TRM_ERROR_HOST];
} rank_row;

static json_t *rank_json(int rank, const rank_row *row, bool gradient)
{
    json_t *object = json_pack("{s:i, s:s, s:I, s:f, s:I, s:f, s:f}", "rank", rank, "host", row->host, "rows",
                               (json_int_t)row->part.rows, "loss_sum", row->part.loss_sum, "triplets",
                               (json_int_t)row->part.triplets, "compute_s", row->part.compute_s, "wait_s",
                               row->part.wait_s);
    if (gradient)
        trm_report_put(&object, "gradient_norm", json_real(row->part.gradient_norm));
    return object;
}

json_t *trm_report_ranks(MPI_Comm comm, const trm_cli *cli, const trm_loss_part *part)
{
    int rank = 0, ranks = 0;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    json_t *table = json_array();
    rank_row row = {.part = *part};
    gethostname(row.host, sizeof row.host - 1);
    for (int r = 0; r < ranks;
         r++) { /* one after the other: nothing to allocate, and it is the end of the job */
        if (r > 0 && rank == 0)
            MPI_Recv(&row, (int)sizeof row, MPI_BYTE, r, 0, comm, MPI_STATUS_IGNORE);
        else if (r > 0 && rank == r)
            MPI_Send(&row, (int)sizeof row, MPI_BYTE, 0, 0, comm);
        if (rank != 0)
            continue;
        trm_report_append(&table, rank_json(r, &row, cli->gradient));
        if (cli->verbose > 0 && !cli->quiet)
            fprintf(stderr,
                    "rank %-5d %s: %" PRId64 " rows, %" PRId64
                    " triplets, loss %.9g, compute %.2f s, wait %.2f s\n",
                    r, row.host, row.part.rows, row.part.triplets, row.part.loss_sum, row.part.compute_s,
                    row.part.wait_s);
    }
    return table;
}

void trm_report_threads(const trm_cli *cli, const trm_run *run)
{
    enum { MANY = 4 };
    const char *note = trm_run_threads_note(run);
    const int cores = trm_run_host_cores(run), threads = trm_run_threads(run);
    if (threads > MANY * cores)
        trm_warn("%d threads a rank on a host of %d cores are slower than %d", threads, cores, cores);
    if (note[0] != '\0' && !cli->json && !cli->quiet)
        fprintf(stderr, "threads    %s\n", note);
}

json_t *trm_report_cores(const trm_run *run)
{
    const char *note = trm_run_threads_note(run);
    return json_pack("{s:i, s:o}", "host_cores", trm_run_host_cores(run), "threads_note",
                     note[0] != '\0' ? trm_report_text(note) : json_null());
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

/* The kernels that this CPU can run, and which of them is taken. */
static void print_kernels(void)
{
    const char *chosen = trm_kernel_find("auto")->name;
    printf("kernels    ");
    for (int i = 0; trm_kernel_at(i) != NULL; i++)
        if (trm_kernel_at(i)->available())
            printf("%s%s%s", i > 0 ? ", " : "", trm_kernel_at(i)->name,
                   strcmp(trm_kernel_at(i)->name, chosen) == 0 ? " (auto)" : "");
    printf("; instruction set %s\n", trm_kernel_isa());
}

void trm_report_version(bool all)
{
    char library[MPI_MAX_LIBRARY_VERSION_STRING] = {0}, blas[256] = {0};
    int length = 0;
    printf("trimine %s\n", trm_version());
    if (!all)
        return;
    MPI_Get_library_version(library, &length); /* the one MPI call that needs no MPI_Init */
    trm_blas_describe(blas, sizeof blas);
#ifdef __clang__
    printf("compiler   %s\n", __VERSION__);
#else
    printf("compiler   gcc %s\n", __VERSION__);
#endif
    printf("mpi        %.*s\n", (int)strcspn(library, ",\n"), library);
    printf("hdf5       %s\n", trm_store_library());
    printf("blas       %s%s%s\n", blas, trm_blas_core() != NULL ? ", core type " : "",
           trm_blas_core() != NULL ? trm_blas_core() : "");
    print_kernels();
    printf("openmp     %d; %ld cores on this host\n", _OPENMP, sysconf(_SC_NPROCESSORS_ONLN));
}

/* Whether something went to stdout: it gets one object, whatever comes of it. */
static bool printed;

/* Frees object. */
static trm_status print_object(json_t *object, trm_error *err)
{
    char *text = json_dumps(object, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17));
    json_decref(object);
    if (text == NULL)
        return trm_fail_memory(err, "the report", 1, 1);
    printed = true;
    trm_say_json(stdout, text);
    free(text);
    const bool failed = putchar('\n') == EOF || fflush(stdout) != 0 || ferror(stdout) != 0;
    return failed ? trm_fail(err, TRM_ERR_IO, "the report could not be written to standard output: %s",
                             strerror(errno))
                  : TRM_OK;
}

trm_status trm_report_print(json_t *object, trm_error *err)
{
    if (object == NULL)
        return trm_fail(err, TRM_ERR_INTERNAL, "the report could not be made: something in it is not JSON");
    return print_object(object, err);
}

void trm_report_failure(const trm_error *err)
{
    const bool placed = err->rank >= 0;
    trm_error own = TRM_ERROR_INIT; /* the line on stderr has said what matters */
    json_t *object = json_pack("{s:{s:i, s:s, s:o, s:o, s:o}}", "error", "code", trm_exit_code(err->status),
                               "kind", trm_status_name(err->status), "message", trm_report_text(err->text),
                               "rank", placed ? json_integer(err->rank) : json_null(), "host",
                               placed ? trm_report_text(err->host) : json_null());
    if (printed || object == NULL)
        json_decref(object);
    else
        (void)print_object(object, &own);
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
    char line[128] = {0}, *resident = line; /* pages in all, pages resident, ... */
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL)
        return 0;
    if (fgets(line, sizeof line, file) != NULL)
        strtol(line, &resident, 10);
    fclose(file);
    return (int64_t)strtol(resident, NULL, 10) * sysconf(_SC_PAGESIZE);
}

void trm_report_blas_caution(const trm_run *run)
{
    char name[256];
    const char *caution = trm_blas_caution(trm_run_threads(run));
    if (caution == NULL || strcmp(trm_run_kernel(run), "blas") != 0)
        return;
    trm_blas_describe(name, sizeof name);
    trm_warn("--kernel blas: %s %s; --kernel fp32 needs no BLAS", name, caution);
}
