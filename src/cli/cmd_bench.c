/* trimine bench: how the effective rate of mining compares with what this machine's BLAS can do, in one
 * process. */
#include "cli/tables.h"

#include "base/alloc.h"
#include "base/order.h"
#include "base/clock.h"
#include "job/facts.h"
#include "kernel/blas_core.h"
#include "mine/options.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <cblas.h>
#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { PEAK_ROUNDS = 7 };

typedef struct bench {
    trm_cli *cli;
    MPI_Comm comm;
    int rank, ranks, threads, tile;
    trm_run *run;
    trm_rows *rows;
    trm_mine_summary summary;
    double peaks[2 * PEAK_ROUNDS];
    int rounds;
} bench;

/* One round: every thread of every rank multiplies tiles of its own for about a tenth of a second; the sum of
 * the rates. */
static double gemm_rate(const bench *b, float *operands)
{
    const int dim = (int)b->cli->dim, tile = b->tile;
    const int64_t each = 2 * (int64_t)tile * dim + (int64_t)tile * tile;
    double total = 0.0;
    MPI_Barrier(b->comm);
#pragma omp parallel num_threads(b->threads) reduction(+ : total)
    {
        float *x = operands + omp_get_thread_num() * each, *y = x + (int64_t)tile * dim,
              *z = y + (int64_t)tile * dim;
        int64_t calls = 0;
        const double start = trm_clock();
        double elapsed = 0.0;
        while (elapsed < 0.1) {
            for (int k = 0; k < 4; k++, calls++)
                cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, tile, tile, dim, 1.0f, x, dim, y, dim,
                            0.0f, z, tile);
            elapsed = trm_clock() - start;
        }
        total += 2.0 * tile * tile * dim * (double)calls / elapsed / 1e9;
    }
    MPI_Allreduce(MPI_IN_PLACE, &total, 1, MPI_DOUBLE, MPI_SUM, b->comm);
    return total;
}

static trm_status measure_peak(bench *b, trm_error *err)
{
    const int64_t count = b->threads * (2 * (int64_t)b->tile * b->cli->dim + (int64_t)b->tile * b->tile);
    float *operands = trm_alloc(count, sizeof *operands);
    trm_status status =
        operands == NULL ? trm_fail_memory(err, "peak measurement", count, sizeof *operands) : TRM_OK;
    status = trm_agree(b->comm, status, err);
    if (status == TRM_OK) {
        for (int64_t i = 0; i < count; i++)
            operands[i] = (float)(i % 17) * 0.125f - 1.0f;
        gemm_rate(b, operands); /* warm up */
        for (int k = 0; k < PEAK_ROUNDS; k++)
            b->peaks[b->rounds++] = gemm_rate(b, operands);
    }
    trm_free(operands);
    return status;
}

static trm_status make_rows(bench *b, trm_error *err)
{
    trm_clusters clusters;
    int64_t first, last;
    trm_share(b->cli->rows, b->rank, b->ranks, &first, &last);
    trm_status status = trm_clusters_init(b->cli, &clusters, err);
    float *x = trm_alloc((last - first) * b->cli->dim, sizeof *x);
    int64_t *labels = trm_alloc(last - first, sizeof *labels);
    if (status == TRM_OK && (x == NULL || labels == NULL))
        status = trm_fail_memory(err, "rows", last - first, (size_t)b->cli->dim * sizeof *x);
    status = trm_agree(b->comm, status, err);
    if (status == TRM_OK) {
        trm_clusters_fill(&clusters, first, last - first, x, labels);
        status = trm_rows_create(b->run, last - first, (int)b->cli->dim, x, labels, 0, NULL, &b->rows, err);
    }
    trm_free(clusters.scratch);
    trm_free(x);
    trm_free(labels);
    return status;
}

static trm_status report(bench *b, trm_error *err)
{
    const trm_cli *cli = b->cli;
    const trm_mine_summary *s = &b->summary;
    if (b->rank != 0)
        return TRM_OK;
    qsort(b->peaks, (size_t)b->rounds, sizeof *b->peaks, trm_compare_real);
    const double peak = b->peaks[b->rounds / 2];
    const double n = (double)cli->rows;
    const double effective =
        s->negatives_s > 0.0 ? 2.0 * n * n * (double)cli->dim / s->negatives_s / 1e9 : 0.0;
    if (!cli->json) {
        if (!cli->quiet)
            fprintf(
                stderr,
                "bench      %" PRId64 " rows x %" PRId64 ", %d ranks x %d threads, tile %d, kernel %s (%s)\n"
                "peak       %.1f GFLOP/s sgemm of %d x %d x %" PRId64 " (median of %d)\n"
                "effective  %.1f GFLOP/s in %.3f s: %.3f of the peak\n"
                "certify    %.3g pairs, %" PRId64 " survived, %" PRId64 " decided in float64\n",
                cli->rows, cli->dim, b->ranks, b->threads, b->tile, trm_run_kernel(b->run),
                trm_run_isa(b->run), peak, b->tile, b->tile, cli->dim, b->rounds, effective, s->negatives_s,
                effective / peak, (double)s->certify.elements, s->certify.survivors, s->certify.float64);
        return TRM_OK;
    }
    return trm_report_print(
        json_pack(
            "{s:s, s:s, s:s, s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:o, s:s}",
            "program", "trimine", "version", trm_version(), "command", "bench", "rows", (json_int_t)cli->rows,
            "dim", (json_int_t)cli->dim, "classes", (json_int_t)cli->classes, "ranks", b->ranks, "threads",
            b->threads, "replicate", trm_rows_replicate(b->rows), "tile", b->tile, "kernel",
            trm_run_kernel(b->run), "isa", trm_run_isa(b->run), "sgemm_peak_gflops", peak, "effective_gflops",
            effective, "ratio", effective / peak, "negatives_s", s->negatives_s, "positives_s",
            s->positives_s, "certify", trm_certify_json(s, trm_run_kernel(b->run)), "result_hash",
            s->result_hash),
        err);
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
    if (status != TRM_OK)
        return status;
    if (b.rank == 0)
        trm_warn_of_blas(&voice, b.run);
    b.threads = trm_run_threads(b.run);
    if (b.rank == 0)
        trm_warn_of_threads(&voice, b.run);
    b.tile = trm_run_tile(b.run, (int)cli->dim);
    status = make_rows(&b, err);
    if (status == TRM_OK)
        status = measure_peak(&b, err);
    if (status == TRM_OK)
        status = trm_mine(b.run, b.rows, &cli->settings->mine, NULL, NULL, &b.summary, NULL, err);
    if (status == TRM_OK)
        status = measure_peak(&b, err);
    trm_progress_end(&progress);
    if (status == TRM_OK)
        status = trm_agree(b.comm, report(&b, err), err);
    trm_rows_destroy(&b.rows);
    trm_run_destroy(&b.run);
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
    if (!cli->measures && cli->inputs == 0)
        return trm_fail(
            err, TRM_ERR_USAGE,
            "bench: say what to measure, such as trimine bench --rows 20000 --dim 128 (see trimine "
            "bench --help)");
    return cli->inputs == 0 ? TRM_OK
                            : trm_fail(err, TRM_ERR_USAGE, "bench takes no store: '%s'", cli->input[0]);
}

static const trm_taken shared[] = {
    TRM_TAKE_OF(trm_mine_table, trm_settings, mine),    TRM_TAKE_OF(trm_negatives_table, trm_settings, mine),
    TRM_TAKE_OF(trm_set_table, trm_settings, mine),     TRM_TAKE_OF(trm_semihard_table, trm_settings, mine),
    TRM_TAKE_OF(trm_filters_table, trm_settings, mine), TRM_TAKE(trm_seed_table),
    TRM_TAKE_OF(trm_run_table, trm_settings, run),
};
static const trm_taken own[] = {TRM_TAKE(trm_synthetic_table), TRM_TAKE(trm_progress_table),
                                TRM_TAKE(trm_report_table)};
static const trm_takes shared_takes = TRM_TAKES(shared), own_takes = TRM_TAKES(own);

const trm_command trm_command_bench = {
    .name = "bench",
    .arguments = "",
    .about =
        "Compares the effective rate of mining with this machine's own GEMM peak, on a synthetic store in "
        "memory.",
    .settings = &shared_takes,
    .own = &own_takes,
    .prepare = prepare,
    .check = check,
    .run = run,
};
