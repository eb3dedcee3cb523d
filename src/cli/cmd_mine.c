/* trimine mine: read, arrange, mine, write, report. */
#include "cli/cli.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash_sum.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"
#include "store/result.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One run of the command. */
typedef struct mining {
    trm_cli *cli;
    MPI_Comm comm;
    int rank, ranks;
    trm_run *run;
    trm_rows *rows;
    trm_progress progress;
    trm_mine_summary summary;
    trm_mine_part part;
    int64_t store_rows;
    int dim;
    char fingerprint[33];
    double read_s, write_s, total_s;
    int64_t peak_rss;
} mining;

/* Over rows as they are used: after conversion, and normalisation where asked for. */
static void take_fingerprint(mining *m, int64_t first, int64_t count, const float *x, const int64_t *labels)
{
    trm_hash_sum hash = TRM_HASH_SUM_INIT;
    for (int64_t i = 0; i < count; i++) {
        trm_hash_sum_add_keyed(&hash, first + i, x + i * m->dim, (size_t)m->dim * sizeof *x);
        const int64_t label[2] = {first + i, labels[i]};
        trm_hash_sum_add(&hash, label, sizeof label);
    }
    trm_merge_hash_sum(m->comm, &hash);
    trm_hash_sum_text(&hash, m->fingerprint);
}

static trm_status read_and_arrange(mining *m, trm_store *store, trm_error *err)
{
    const trm_cli *cli = m->cli;
    const double start = trm_clock();
    int64_t first, last;
    trm_share(m->store_rows, m->rank, m->ranks, &first, &last);
    float *x = trm_alloc((last - first) * m->dim, sizeof *x);
    int64_t *labels = trm_alloc(last - first, sizeof *labels);
    trm_status status = TRM_OK;
    if (x == NULL || labels == NULL)
        status = trm_fail_memory(err, "rows", last - first, (size_t)m->dim * sizeof *x);
    status = trm_agree(m->comm, status, err);
    const trm_read_options options = {.normalize = cli->normalize,
                                      .refuse_zero_norm = cli->mine.metric == TRM_METRIC_COSINE};
    if (status == TRM_OK)
        status = trm_store_read(store, first, last - first, &options, x, labels, NULL, err);
    if (status == TRM_OK) {
        take_fingerprint(m, first, last - first, x, labels);
        m->read_s = trm_clock() - start;
        status = trm_rows_create(m->run, last - first, m->dim, x, labels,
                                 cli->ignore ? &cli->ignore_label : NULL, &m->rows, err);
    }
    trm_free(x);
    trm_free(labels);
    return status;
}

static trm_status load(mining *m, trm_error *err)
{
    trm_cli *cli = m->cli;
    trm_store *store = NULL;
    trm_status status =
        trm_store_open(m->comm, cli->inputs, (const char *const *)cli->input, &cli->store, &store, err);
    if (status == TRM_OK) {
        m->store_rows = trm_store_rows(store);
        m->dim = trm_store_dim(store);
        status = trm_agree(m->comm, trm_rows_check_memory(m->run, m->store_rows, m->dim, err), err);
    }
    if (status == TRM_OK)
        status = read_and_arrange(m, store, err);
    trm_store_close(&store);
    return status;
}

/* Attributes say what the result is and what it is of; nothing of how, where or when it was made. */
static trm_status finish_file(mining *m, trm_triplet_file *file, trm_error *err)
{
    json_t *options = trm_report_options(m->cli);
    char *text = json_dumps(options, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17));
    json_decref(options);
    const trm_attribute attributes[] = {
        {"format", TRM_ATTRIBUTE_TEXT, "trimine-triplets", 0, 0.0},
        {"format_version", TRM_ATTRIBUTE_INT, NULL, 1, 0.0},
        {"program_version", TRM_ATTRIBUTE_TEXT, TRM_VERSION, 0, 0.0},
        {"metric", TRM_ATTRIBUTE_TEXT, trm_metric_name(m->cli->mine.metric), 0, 0.0},
        {"margin", TRM_ATTRIBUTE_FLOAT, NULL, 0, m->cli->mine.margin},
        {"options", TRM_ATTRIBUTE_TEXT, text, 0, 0.0},
        {"store_rows", TRM_ATTRIBUTE_INT, NULL, m->store_rows, 0.0},
        {"store_dim", TRM_ATTRIBUTE_INT, NULL, m->dim, 0.0},
        {"store_fingerprint", TRM_ATTRIBUTE_TEXT, m->fingerprint, 0, 0.0},
        {"result_hash", TRM_ATTRIBUTE_TEXT, m->summary.result_hash, 0, 0.0},
    };
    trm_status status = trm_triplet_file_finish(file, 0, NULL, (int)(sizeof attributes / sizeof *attributes),
                                                attributes, err);
    free(text);
    return status;
}

static trm_status mine_to_file(mining *m, trm_error *err)
{
    trm_triplet_file *file = NULL;
    const int64_t limit = trm_run_mem_per_rank(m->run);
    const int64_t spare = limit - m->summary.memory_bytes;
    /* Triplets of several panels wait in files of their own. */
    const bool spool = m->summary.panels > 1;
    trm_status status =
        trm_triplet_file_create(m->comm, m->cli->output, m->store_rows, spool,
                                spare > INT64_C(64) << 20 ? spare : INT64_C(64) << 20, &file, err);
    if (status == TRM_OK)
        status =
            trm_mine(m->run, m->rows, &m->cli->mine, trm_triplet_file_add, file, &m->summary, &m->part, err);
    const double start = trm_clock();
    if (status == TRM_OK)
        status = finish_file(m, file, err);
    m->write_s = trm_clock() - start;
    trm_triplet_file_destroy(&file);
    return status;
}

/* ---- report ---- */

static double ratio(double sum, int64_t count)
{
    return count > 0 ? sum / (double)count : 0.0;
}

static json_t *loss_json(const mining *m)
{
    const trm_mine_summary *s = &m->summary;
    const double mean_all = ratio(s->loss.sum, s->triplets.total);
    return json_pack("{s:s, s:f, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:s}", "name", "triplet", "sum",
                     s->loss.sum, "count", (json_int_t)s->triplets.total, "active",
                     (json_int_t)s->loss.active, "mean_all", mean_all, "mean_nonzero",
                     ratio(s->loss.sum, s->loss.active), "mean_valid", ratio(s->loss.sum, s->anchors.valid),
                     "mean_rows", ratio(s->loss.sum, m->store_rows), "value", mean_all, "reduction",
                     "mean_all");
}

/* What a program that fills the whole matrix would have to sustain. */
static double effective_gflops(const mining *m)
{
    const double n = (double)m->summary.anchors.total;
    return m->summary.negatives_s > 0.0 ? 2.0 * n * n * m->dim / m->summary.negatives_s / 1e9 : 0.0;
}

static json_t *run_json(const mining *m)
{
    const trm_mine_summary *s = &m->summary;
    const double n = (double)s->anchors.total;
    json_t *run = json_pack("{s:i, s:i, s:i, s:i, s:i, s:s, s:s}", "ranks", m->ranks, "threads",
                            trm_run_threads(m->run), "replicate", trm_rows_replicate(m->rows), "tile",
                            trm_run_tile(m->run, m->dim), "panels", s->panels, "kernel",
                            trm_run_kernel(m->run), "isa", trm_run_isa(m->run));
    json_t *more =
        json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I}", "read_s", m->read_s,
                  "arrange_s", s->arrange_s, "positives_s", s->positives_s, "negatives_s", s->negatives_s,
                  "loss_s", s->loss_s, "write_s", m->write_s, "total_s", m->total_s, "pairs_per_s",
                  s->negatives_s > 0.0 ? n * (n - 1.0) / 2.0 / s->negatives_s : 0.0, "gflops_effective",
                  effective_gflops(m), "peak_rss_bytes", (json_int_t)m->peak_rss, "baseline_rss_bytes",
                  (json_int_t)m->cli->baseline_rss, "plan_bytes", (json_int_t)s->memory_bytes);
    json_object_update(run, more);
    json_decref(more);
    return run;
}

/* One rank's row of the per-rank table, as it travels. */
typedef struct rank_row {
    trm_mine_part part;
    char host[TRM_ERROR_HOST];
} rank_row;

static rank_row *gather_ranks(const mining *m)
{
    rank_row mine = {.part = m->part};
    gethostname(mine.host, sizeof mine.host - 1);
    rank_row *all = m->rank == 0 ? trm_alloc(m->ranks, sizeof *all) : NULL;
    rank_row none;
    MPI_Gather(&mine, sizeof mine, MPI_BYTE, m->rank == 0 && all != NULL ? all : &none, sizeof mine, MPI_BYTE,
               0, m->comm);
    return all;
}

static json_t *report_json(const mining *m, const rank_row *ranks)
{
    const trm_mine_summary *s = &m->summary;
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:{s:I, s:i, s:I, s:s}, s:o, s:{s:I, s:I, s:I, s:I, s:I}, s:I, s:{s:I, s:I, s:I, "
        "s:I}, s:o, "
        "s:o, s:s, s:o}",
        "program", "trimine", "version", TRM_VERSION, "command", "mine", "store", "rows",
        (json_int_t)m->store_rows, "dim", m->dim, "classes", (json_int_t)s->classes, "fingerprint",
        m->fingerprint, "options", trm_report_options(m->cli), "anchors", "total",
        (json_int_t)s->anchors.total, "valid", (json_int_t)s->anchors.valid, "no_positive",
        (json_int_t)s->anchors.no_positive, "no_negative", (json_int_t)s->anchors.no_negative, "ignored",
        (json_int_t)s->anchors.ignored, "positive_pairs", (json_int_t)s->positive_pairs, "triplets", "total",
        (json_int_t)s->triplets.total, "semihard", (json_int_t)s->triplets.semihard, "fallback",
        (json_int_t)s->triplets.fallback, "skipped", (json_int_t)s->triplets.skipped, "loss", loss_json(m),
        "certify", trm_report_certify(s, trm_run_kernel(m->run)), "result_hash", s->result_hash, "run",
        run_json(m));
    json_t *table = json_array();
    for (int r = 0; r < m->ranks && ranks != NULL; r++)
        json_array_append_new(table, json_pack("{s:i, s:s, s:I, s:f, s:I, s:f, s:f}", "rank", r, "host",
                                               ranks[r].host, "rows", (json_int_t)ranks[r].part.rows,
                                               "loss_sum", ranks[r].part.loss_sum, "triplets",
                                               (json_int_t)ranks[r].part.triplets, "compute_s",
                                               ranks[r].part.compute_s, "wait_s", ranks[r].part.wait_s));
    json_object_set_new(object, "ranks", table);
    return object;
}

static void print_people(const mining *m, const rank_row *ranks)
{
    const trm_mine_summary *s = &m->summary;
    const trm_mine_options *o = &m->cli->mine;
    fprintf(stderr, "store      %" PRId64 " rows x %d, %" PRId64 " classes, fingerprint %s\n", m->store_rows,
            m->dim, s->classes, m->fingerprint);
    fprintf(stderr,
            "anchors    %" PRId64 " valid of %" PRId64 " (%" PRId64 " without a positive, %" PRId64
            " without a negative, %" PRId64 " rows ignored)\n",
            s->anchors.valid, s->anchors.total, s->anchors.no_positive, s->anchors.no_negative,
            s->anchors.ignored);
    fprintf(stderr,
            "triplets   %" PRId64 " (%" PRId64 " semihard, %" PRId64 " fallback) from %" PRId64
            " positive pairs, %" PRId64 " skipped\n",
            s->triplets.total, s->triplets.semihard, s->triplets.fallback, s->positive_pairs,
            s->triplets.skipped);
    fprintf(stderr,
            "loss       hinge %s, margin %g: mean %.9g over all, %.9g over the %" PRId64
            " active; sum %.17g\n",
            trm_metric_name(o->metric), o->margin, ratio(s->loss.sum, s->triplets.total),
            ratio(s->loss.sum, s->loss.active), s->loss.active, s->loss.sum);
    fprintf(stderr,
            "certify    %s kernel: %.3g pairs multiplied, %" PRId64 " survived, %" PRId64
            " decided in float64\n",
            trm_run_kernel(m->run), (double)s->certify.elements, s->certify.survivors, s->certify.float64);
    fprintf(
        stderr,
        "time       %.2f s: read %.2f, arrange %.2f, positives %.2f, negatives %.2f, loss %.2f, write %.2f\n",
        m->total_s, m->read_s, s->arrange_s, s->positives_s, s->negatives_s, s->loss_s, m->write_s);
    fprintf(stderr,
            "speed      %.1f GFLOP/s effective on %d ranks x %d threads; peak memory %.0f MB a rank\n",
            effective_gflops(m), m->ranks, trm_run_threads(m->run), (double)m->peak_rss / 1e6);
    for (int r = 0; r < m->ranks && ranks != NULL && m->cli->verbose > 0; r++)
        fprintf(stderr,
                "rank %-5d %s: %" PRId64 " rows, %" PRId64
                " triplets, loss %.9g, compute %.2f s, wait %.2f s\n",
                r, ranks[r].host, ranks[r].part.rows, ranks[r].part.triplets, ranks[r].part.loss_sum,
                ranks[r].part.compute_s, ranks[r].part.wait_s);
    fprintf(stderr, "hash       %s%s%s\n", s->result_hash, m->cli->output != NULL ? "  ->  " : "",
            m->cli->output != NULL ? m->cli->output : "");
}

static trm_status report(mining *m, trm_error *err)
{
    m->peak_rss = trm_report_peak_rss(m->comm);
    MPI_Allreduce(MPI_IN_PLACE, &m->cli->baseline_rss, 1, MPI_INT64_T, MPI_MAX, m->comm);
    rank_row *ranks = gather_ranks(m);
    trm_status status = TRM_OK;
    if (m->rank == 0) {
        if (m->summary.anchors.valid == 0)
            fprintf(stderr, "trimine: warning: no anchor has both a positive and a negative: no triplets\n");
        if (m->cli->json)
            status = trm_report_print(report_json(m, ranks), err);
        if (!m->cli->json && !m->cli->quiet)
            print_people(m, ranks);
    }
    trm_free(ranks);
    return trm_agree(m->comm, status, err);
}

static void say_plan(const mining *m)
{
    if (m->rank == 0 && !m->cli->quiet)
        fprintf(stderr,
                "plan       %" PRId64
                " rows x %d on %d ranks x %d threads: %.0f MB a rank of at most %.0f MB%s\n",
                m->store_rows, m->dim, m->ranks, trm_run_threads(m->run),
                (double)m->summary.memory_bytes / 1e6, (double)trm_run_mem_per_rank(m->run) / 1e6,
                m->summary.panels > 1 ? ", anchors in panels" : "");
}

trm_status trm_command_mine(trm_cli *cli, trm_error *err)
{
    const double start = trm_clock();
    mining m = {.cli = cli, .comm = MPI_COMM_WORLD};
    MPI_Comm_rank(m.comm, &m.rank);
    MPI_Comm_size(m.comm, &m.ranks);
    trm_progress_attach(cli, &m.progress, &cli->run);
    trm_status status = trm_run_create(m.comm, &cli->run, &m.run, err);
    if (status == TRM_OK && cli->output != NULL)
        status = trm_output_check(m.comm, cli->output, cli->overwrite, cli->inputs,
                                  (const char *const *)cli->input, err);
    if (status == TRM_OK)
        status = load(&m, err);
    if (status == TRM_OK)
        status = trm_mine_plan(m.run, m.rows, &cli->mine, &m.summary, err);
    if (status == TRM_OK) {
        say_plan(&m);
        status = cli->output != NULL
                     ? mine_to_file(&m, err)
                     : trm_mine(m.run, m.rows, &cli->mine, NULL, NULL, &m.summary, &m.part, err);
    }
    trm_progress_end(&m.progress);
    m.total_s = trm_clock() - start;
    if (status == TRM_OK)
        status = report(&m, err);
    trm_rows_destroy(&m.rows);
    trm_run_destroy(&m.run);
    return status;
}
