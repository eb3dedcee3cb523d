/* trimine bench: how the effective rate of mining compares with what this machine's BLAS can do, in one
 * process: a round is one mining, between two looks at the peak, since the speed of a machine drifts. */
#include "cli/peak.h"
#include "cli/tables.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/order.h"
#include "job/facts.h"
#include "kernel/blas_core.h"
#include "mine/options.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "rows/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The shapes of the calls: what OpenBLAS is fastest at, and the one that the sweep needs. */
enum { LARGE, TILE, SHAPES, LARGE_ROWS = 1024 };

/* What one round showed, in the order of what is told of it. */
enum { EFFECTIVE, RATIO, NEGATIVES_S, POSITIVES_S, MINING_S, CYCLES_PER_PAIR, RATIO_IN_CYCLES, NUMBERS };

typedef struct sample {
    trm_rate peak[SHAPES]; /* the mean of before and after */
    double number[NUMBERS];
} sample;

typedef struct bench {
    trm_cli *cli;
    MPI_Comm comm;
    int rank, ranks, threads, tile, rounds;
    trm_run *run;
    trm_rows *rows;
    int64_t dim;
    trm_counter *counter; /* NULL: the machine of some rank does not tell */
    trm_peak peak[SHAPES];
    trm_rate before[SHAPES];
    int better; /* of the two shapes */
    sample *round;
    trm_mine_summary summary;
} bench;

/* ---- rows ---- */

static trm_status make_room(bench *b, int64_t count, float **x, int64_t **labels, trm_error *err)
{
    *x = trm_alloc(count * b->dim, sizeof **x);
    *labels = trm_alloc(count, sizeof **labels);
    return trm_agree(b->comm,
                     *x == NULL || *labels == NULL
                         ? trm_fail_memory(err, "rows", count, (size_t)b->dim * sizeof **x)
                         : TRM_OK,
                     err);
}

static trm_status make_rows(bench *b, trm_error *err)
{
    trm_clusters clusters = trm_cli_clusters(b->cli);
    int64_t first, last, *labels = NULL;
    float *x = NULL;
    b->dim = b->cli->dim;
    trm_share(b->cli->rows, b->rank, b->ranks, &first, &last);
    trm_status status = trm_agree(b->comm, trm_clusters_begin(&clusters, err), err);
    if (status == TRM_OK)
        status = make_room(b, last - first, &x, &labels, err);
    if (status == TRM_OK) {
        trm_clusters_fill(&clusters, first, last - first, x, labels);
        status = trm_rows_create(b->run, last - first, (int)b->dim, x, labels, 0, NULL, &b->rows, err);
    }
    trm_free(clusters.scratch);
    trm_free(x);
    trm_free(labels);
    return status;
}

static trm_status read_share(bench *b, trm_store *store, trm_error *err)
{
    const trm_settings *settings = b->cli->settings;
    int64_t first, last, *labels = NULL;
    float *x = NULL;
    trm_read_options options;
    trm_read_options_init(&options);
    options.normalize = settings->normalize;
    options.refuse_zero_norm = settings->mine.metric == TRM_METRIC_COSINE;
    options.threads = b->threads;
    b->dim = trm_store_dim(store);
    trm_share(trm_store_rows(store), b->rank, b->ranks, &first, &last);
    trm_status status = make_room(b, last - first, &x, &labels, err);
    if (status == TRM_OK)
        status = trm_store_read(store, first, last - first, &options, x, labels, NULL, err);
    if (status == TRM_OK)
        status = trm_rows_create(b->run, last - first, (int)b->dim, x, labels, 0, NULL, &b->rows, err);
    trm_free(x);
    trm_free(labels);
    return status;
}

static trm_status read_rows(bench *b, trm_voice *voice, trm_error *err)
{
    trm_store *store = NULL;
    trm_status status =
        trm_store_open(b->comm, b->cli->inputs, b->cli->input, &b->cli->settings->store, &store, err);
    if (status == TRM_OK && b->rank == 0)
        trm_warn_of_files(voice, store);
    if (status == TRM_OK)
        status = read_share(b, store, err);
    trm_store_close(&store);
    return status;
}

/* ---- measuring ---- */

/* Where one rank's machine does not count cycles, none is told of. Collective. */
static void open_counter(bench *b)
{
    b->counter = trm_counter_open(b->threads, TRM_COUNTED_CYCLES);
    int all = b->counter != NULL;
    MPI_Allreduce(MPI_IN_PLACE, &all, 1, MPI_INT, MPI_MIN, b->comm);
    if (all == 0)
        trm_counter_close(&b->counter);
    b->run->counter = b->counter;
}

/* And looks at the peak for the first time, after a warm-up. Collective. */
static trm_status prepare_measuring(bench *b, trm_error *err)
{
    const int dim = (int)b->dim,
              shape[SHAPES][2] = {{LARGE_ROWS, dim > LARGE_ROWS ? dim : LARGE_ROWS}, {b->tile, dim}};
    trm_status status = TRM_OK;
    open_counter(b);
    b->round = trm_alloc_zero(b->rounds, sizeof *b->round);
    if (b->round == NULL)
        status = trm_fail_memory(err, "rounds", b->rounds, sizeof *b->round);
    status = trm_agree(b->comm, status, err);
    for (int k = 0; k < SHAPES && status == TRM_OK; k++) {
        status = trm_peak_create(b->comm, b->threads, shape[k][0], shape[k][1], &b->peak[k], err);
        if (status == TRM_OK) {
            trm_peak_measure(&b->peak[k], b->counter);
            b->before[k] = trm_peak_measure(&b->peak[k], b->counter);
        }
    }
    return status;
}

static double squared(int64_t rows)
{
    return (double)rows * (double)rows;
}

/* What a mining that was just done showed, but for the ratios. seconds: with all that belongs to it. */
static void take_numbers(const bench *b, double seconds, double cycles, double *number)
{
    const trm_mine_summary *s = &b->summary;
    const double rows = (double)s->anchors.total, pairs = rows * (rows - 1.0) / 2.0;
    const double flops = 2.0 * squared(s->anchors.total) * (double)b->dim;
    number[NEGATIVES_S] = s->negatives_s;
    number[POSITIVES_S] = s->positives_s;
    number[MINING_S] = seconds;
    number[EFFECTIVE] = s->negatives_s > 0.0 ? flops / s->negatives_s / 1e9 : 0.0;
    number[CYCLES_PER_PAIR] = pairs > 0.0 ? cycles / pairs : 0.0;
}

/* One mining, and the peak after it. Collective. */
static trm_status run_round(bench *b, sample *round, trm_error *err)
{
    char hash[sizeof b->summary.result_hash];
    memcpy(hash, b->summary.result_hash, sizeof hash);
    b->run->counted = 0.0;
    MPI_Barrier(b->comm);
    const double start = trm_clock();
    trm_status status =
        trm_mine(b->run, b->rows, &b->cli->settings->mine, NULL, NULL, &b->summary, NULL, err);
    if (status != TRM_OK)
        return status;
    if (round > b->round && strcmp(hash, b->summary.result_hash) != 0) /* equal on all ranks */
        return trm_fail(err, TRM_ERR_INTERNAL, "bench: a round found other triplets than the one before");
    double cycles = b->run->counted, seconds = trm_clock() - start;
    MPI_Allreduce(MPI_IN_PLACE, &cycles, 1, MPI_DOUBLE, MPI_SUM, b->comm);
    MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, b->comm);
    take_numbers(b, seconds, cycles, round->number);
    for (int k = 0; k < SHAPES; k++) {
        const trm_rate after = trm_peak_measure(&b->peak[k], b->counter);
        round->peak[k].gflops = (b->before[k].gflops + after.gflops) / 2.0;
        round->peak[k].a_cycle = (b->before[k].a_cycle + after.a_cycle) / 2.0;
        b->before[k] = after;
    }
    return TRM_OK;
}

static double median(double *value, int count)
{
    qsort(value, (size_t)count, sizeof *value, trm_compare_real);
    return count % 2 != 0 ? value[count / 2] : (value[count / 2 - 1] + value[count / 2]) / 2.0;
}

/* Of all rounds; sorts scratch. */
static double median_peak(const bench *b, int shape, double *scratch)
{
    for (int i = 0; i < b->rounds; i++)
        scratch[i] = b->round[i].peak[shape].gflops;
    return median(scratch, b->rounds);
}

/* scratch is sorted, so the least and the most are at its ends. */
static double median_number(const bench *b, int number, double *scratch)
{
    for (int i = 0; i < b->rounds; i++)
        scratch[i] = b->round[i].number[number];
    return median(scratch, b->rounds);
}

/* Ratios are of what was measured together, to the shape whose median is the better one. */
static void form_ratios(bench *b, const double *peak)
{
    b->better = peak[TILE] > peak[LARGE] ? TILE : LARGE;
    for (int i = 0; i < b->rounds; i++) {
        sample *round = &b->round[i];
        const trm_rate at = round->peak[b->better];
        const double cycles = round->number[CYCLES_PER_PAIR];
        round->number[RATIO] = round->number[EFFECTIVE] / at.gflops;
        /* a pair and its mirror image count, as they do in the effective rate */
        if (cycles > 0.0 && at.a_cycle > 0.0)
            round->number[RATIO_IN_CYCLES] = 2.0 * 2.0 * (double)b->dim / cycles / at.a_cycle;
    }
}

/* ---- telling ---- */

/* What all rounds together showed. */
typedef struct told {
    double peak[SHAPES], number[NUMBERS], least, most; /* medians; of the ratio */
    double decided;                                    /* in float64, an anchor */
} told;

static void sum_up(bench *b, told *all, double *scratch)
{
    const trm_mine_summary *s = &b->summary;
    for (int k = 0; k < SHAPES; k++)
        all->peak[k] = median_peak(b, k, scratch);
    form_ratios(b, all->peak);
    for (int k = 0; k < NUMBERS; k++) {
        all->number[k] = median_number(b, k, scratch);
        if (k == RATIO) {
            all->least = scratch[0];
            all->most = scratch[b->rounds - 1];
        }
    }
    all->decided = s->anchors.valid > 0 ? (double)s->certify.float64 / (double)s->anchors.valid : 0.0;
}

static void print_people(const bench *b, const told *all)
{
    const trm_mine_summary *s = &b->summary;
    const double *number = all->number;
    fprintf(stderr,
            "bench      %" PRId64 " rows x %" PRId64 ", %d ranks x %d threads, tile %d, kernel %s (%s), %d "
            "rounds\n",
            s->anchors.total, b->dim, b->ranks, b->threads, b->tile, trm_run_kernel(b->run),
            trm_run_isa(b->run), b->rounds);
    for (int k = 0; k < SHAPES; k++)
        fprintf(stderr, "%-10s %.1f GFLOP/s sgemm of %d x %d x %d%s\n", k == LARGE ? "peak" : "",
                all->peak[k], b->peak[k].rows, b->peak[k].rows, b->peak[k].depth,
                k == b->better ? "" : ", the slower one");
    fprintf(stderr, "effective  %.1f GFLOP/s in %.3f s: %.3f of the peak (%.3f to %.3f)\n", number[EFFECTIVE],
            number[NEGATIVES_S], number[RATIO], all->least, all->most);
    if (b->counter != NULL)
        fprintf(stderr, "cycles     %.2f a pair of rows: %.3f of the peak\n", number[CYCLES_PER_PAIR],
                number[RATIO_IN_CYCLES]);
    json_t *facts = json_pack("{s:o, s:{s:I}}", "certify", trm_certify_json(s, trm_run_kernel(b->run)),
                              "anchors", "total", (json_int_t)s->anchors.total);
    trm_people_certify(facts, true);
    json_decref(facts);
}

/* The numbers of a round, or of all. */
static json_t *numbers_json(const bench *b, double large, double tile, const double *number)
{
    json_t *object =
        json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "sgemm_peak_gflops", large, "sgemm_tile_gflops",
                  tile, "effective_gflops", number[EFFECTIVE], "ratio", number[RATIO], "negatives_s",
                  number[NEGATIVES_S], "positives_s", number[POSITIVES_S], "mining_s", number[MINING_S]);
    if (b->counter != NULL)
        trm_json_put_all(&object, json_pack("{s:f, s:f}", "cycles_per_pair", number[CYCLES_PER_PAIR],
                                            "ratio_in_cycles", number[RATIO_IN_CYCLES]));
    return object;
}

static json_t *rounds_json(const bench *b)
{
    json_t *rounds = json_array();
    for (int i = 0; i < b->rounds; i++) {
        const sample *round = &b->round[i];
        trm_json_append(&rounds,
                        numbers_json(b, round->peak[LARGE].gflops, round->peak[TILE].gflops, round->number));
    }
    return rounds;
}

static json_t *report_json(const bench *b, const told *all)
{
    const trm_mine_summary *s = &b->summary;
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:s, s:s}", "program", "trimine",
                  "version", trm_version(), "command", "bench", "rows", (json_int_t)s->anchors.total, "dim",
                  (json_int_t)b->dim, "classes", (json_int_t)s->classes, "ranks", b->ranks, "threads",
                  b->threads, "replicate", trm_rows_replicate(b->rows), "tile", b->tile, "kernel",
                  trm_run_kernel(b->run), "isa", trm_run_isa(b->run));
    trm_json_put_all(&object, numbers_json(b, all->peak[LARGE], all->peak[TILE], all->number));
    trm_json_put_all(&object,
                     json_pack("{s:s, s:[f, f], s:f, s:f, s:o, s:s, s:o}", "ratio_to",
                               b->better == TILE ? "sgemm_tile_gflops" : "sgemm_peak_gflops", "ratio_spread",
                               all->least, all->most, "arrange_s", s->arrange_s, "float64_per_anchor",
                               all->decided, "certify", trm_certify_json(s, trm_run_kernel(b->run)),
                               "result_hash", s->result_hash, "rounds", rounds_json(b)));
    return object;
}

static trm_status report(bench *b, trm_error *err)
{
    told all = {.least = 0.0};
    if (b->rank != 0)
        return TRM_OK;
    double *scratch = trm_alloc(b->rounds, sizeof *scratch);
    if (scratch == NULL)
        return trm_fail_memory(err, "rounds", b->rounds, sizeof *scratch);
    sum_up(b, &all, scratch);
    trm_free(scratch);
    if (b->cli->json)
        return trm_report_print(report_json(b, &all), err);
    if (!b->cli->quiet)
        print_people(b, &all);
    return TRM_OK;
}

/* ---- the command ---- */

static trm_status measure(bench *b, trm_voice *voice, trm_error *err)
{
    b->threads = trm_run_threads(b->run);
    b->rounds = b->cli->rounds;
    if (b->rank == 0) {
        trm_warn_of_blas(voice, b->run);
        trm_warn_of_threads(voice, b->run);
    }
    trm_status status = b->cli->inputs > 0 ? read_rows(b, voice, err) : make_rows(b, err);
    if (status == TRM_OK) {
        b->tile = trm_run_tile(b->run, (int)b->dim);
        status = prepare_measuring(b, err);
    }
    for (int i = 0; i < b->rounds && status == TRM_OK; i++)
        status = run_round(b, &b->round[i], err);
    return status;
}

static trm_status run(trm_cli *cli, trm_error *err)
{
    bench b = {.cli = cli, .comm = MPI_COMM_WORLD};
    trm_progress progress;
    trm_voice voice;
    MPI_Comm_rank(b.comm, &b.rank);
    MPI_Comm_size(b.comm, &b.ranks);
    voice = trm_cli_voice(cli);
    cli->settings->run.progress = trm_progress_begin(cli, &progress);
    cli->settings->run.progress_context = &progress;
    trm_status status =
        trm_agree(b.comm, trm_blas_check_core(err), err); /* whatever the kernel: for the peak */
    if (status == TRM_OK)
        status = trm_run_create(b.comm, &cli->settings->run, &b.run, err);
    if (status == TRM_OK)
        status = measure(&b, &voice, err);
    trm_progress_end(&progress);
    if (status == TRM_OK)
        status = trm_agree(b.comm, report(&b, err), err);
    for (int k = 0; k < SHAPES; k++)
        trm_peak_free(&b.peak[k]);
    trm_free(b.round);
    trm_rows_destroy(&b.rows);
    trm_run_destroy(&b.run);
    trm_counter_close(&b.counter);
    trm_voice_free(&voice);
    return status;
}

static void prepare(trm_cli *cli)
{
    cli->settings->mine.positives = "easiest";
}

/* How to report is not what to measure. */
static trm_status check(const trm_cli *cli, trm_error *err)
{
    const trm_settings *settings = cli->settings;
    if (!cli->measures && cli->inputs == 0)
        return trm_fail(err, TRM_ERR_USAGE,
                        "bench: say what to measure, such as trimine bench STORE, or trimine bench --rows "
                        "20000 --dim 128 "
                        "(see trimine bench --help)");
    if (cli->inputs > 0 && cli->synthetic)
        return trm_fail(err, TRM_ERR_USAGE,
                        "'%s': a store or a synthetic one (--rows, --dim, --classes, --spread), not both",
                        cli->input[0]);
    if (cli->inputs == 0 && (settings->normalize || settings->store.embeddings != NULL ||
                             settings->labels.count > 0 || settings->ids.count > 0))
        return trm_fail(err, TRM_ERR_USAGE,
                        "--embeddings, --labels, --ids and --normalize go with a STORE: none given");
    return TRM_OK;
}

static const trm_taken shared[] = {
    TRM_TAKE(trm_dataset_table),
    TRM_TAKE_OF(trm_mine_table, trm_settings, mine),
    TRM_TAKE_OF(trm_negatives_table, trm_settings, mine),
    TRM_TAKE_OF(trm_set_table, trm_settings, mine),
    TRM_TAKE_OF(trm_semihard_table, trm_settings, mine),
    TRM_TAKE_OF(trm_filters_table, trm_settings, mine),
    TRM_TAKE(trm_seed_table),
    TRM_TAKE(trm_normalize_table),
    TRM_TAKE_OF(trm_run_table, trm_settings, run),
};
static const trm_taken own[] = {TRM_TAKE(trm_synthetic_table), TRM_TAKE(trm_rounds_table),
                                TRM_TAKE(trm_progress_table), TRM_TAKE(trm_report_table)};
static const trm_takes shared_takes = TRM_TAKES(shared), own_takes = TRM_TAKES(own);

const trm_command trm_command_bench = {
    .name = "bench",
    .arguments = "[STORE...]",
    .about =
        "Compares the effective rate of mining with this machine's own GEMM peak, round after round, on a "
        "store that is read once, or on a synthetic one in memory.",
    .settings = &shared_takes,
    .own = &own_takes,
    .prepare = prepare,
    .check = check,
    .run = run,
};
