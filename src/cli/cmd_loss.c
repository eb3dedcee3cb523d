/* trimine loss: a loss and its gradient, of triplets that are given, of a whole store, or of packed triplets.
 */
#include "cli/work.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash_sum.h"
#include "loss/options.h"
#include "mine/options.h"
#include "par/agree.h"
#include "par/merge.h"
#include "store/loss_files.h"

#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATTRIBUTES_MOST = 16 };

/* What a gradient file says of itself; of: what the gradient is of. */
static trm_status write_gradient(const trm_cli *cli, MPI_Comm comm, trm_claim *claim, const char *loss_name,
                                 const trm_loss_summary *loss, int of_count, const trm_attribute *of,
                                 int arrays, const trm_output_array *array, const trm_names *names,
                                 trm_error *err)
{
    char *text = NULL;
    trm_status status = trm_agree(comm, trm_report_options_text(cli, &text, err), err);
    trm_attribute attributes[ATTRIBUTES_MOST] = {
        {"format", TRM_ATTRIBUTE_TEXT, "trimine-gradient", 0, 0.0},
        {"format_version", TRM_ATTRIBUTE_INT, NULL, 1, 0.0},
        {"program_version", TRM_ATTRIBUTE_TEXT, trm_version(), 0, 0.0},
        {"loss", TRM_ATTRIBUTE_TEXT, loss_name, 0, 0.0},
        {"value", TRM_ATTRIBUTE_FLOAT, NULL, 0, loss->value},
        {"metric", TRM_ATTRIBUTE_TEXT, trm_metric_name(cli->loss.metric), 0, 0.0},
        {"margin", TRM_ATTRIBUTE_FLOAT, NULL, 0, cli->loss.margin},
        {"options", TRM_ATTRIBUTE_TEXT, text, 0, 0.0},
    };
    int count = 8;
    for (int i = 0; i < of_count; i++)
        attributes[count++] = of[i];
    if (status == TRM_OK)
        status = trm_gradient_write(comm, claim, arrays, array, names, count, attributes, err);
    free(text);
    return status;
}

/* ---- a store ---- */

static trm_status read_triplets(trm_work *work, trm_triplets_origin *origin, trm_error *err)
{
    const char *path = work->cli->triplets;
    int64_t first, total;
    trm_status status =
        trm_triplets_read(work->comm, path, &work->options.given, &first, &total, origin, err);
    if (status != TRM_OK)
        return status;
    if (origin->store_rows >= 0 && origin->store_rows != work->store_rows)
        status = trm_fail(err, TRM_ERR_DATA,
                          "triplets '%s': were mined from a store of %" PRId64 " rows, this one has %" PRId64,
                          path, origin->store_rows, work->store_rows);
    if (status == TRM_OK && total == 0 && work->rank == 0)
        trm_warn("triplets '%s': there are none: the loss and its gradient are 0", path);
    return trm_agree(work->comm, status, err);
}

static void compare_fingerprints(const trm_work *work, const trm_triplets_origin *origin)
{
    if (work->rank == 0 && origin->store_fingerprint[0] != '\0' &&
        strcmp(origin->store_fingerprint, work->fingerprint) != 0)
        trm_warn("triplets '%s' were mined from rows with the fingerprint %s, these have %s",
                 work->cli->triplets, origin->store_fingerprint, work->fingerprint);
}

static trm_status evaluate_store(trm_work *work, trm_error *err)
{
    const trm_cli *cli = work->cli;
    trm_triplets_origin origin = {.store_rows = -1};
    trm_status status = trm_work_open(work, err);
    if (status == TRM_OK && cli->triplets != NULL)
        status = read_triplets(work, &origin, err);
    if (status == TRM_OK)
        status = trm_work_plan(work, false, err);
    if (status == TRM_OK)
        status = trm_work_load(work, err);
    if (status == TRM_OK && cli->triplets != NULL) { /* this is not kept: from here on a signal ends it */
        trm_signals_ignore();
        status = trm_job_checkpoint_pause(&work->checkpoint, err);
    }
    if (status == TRM_OK)
        compare_fingerprints(work, &origin);
    if (status == TRM_OK)
        status = trm_work_name_file("triplets", "triplet ", cli->triplets,
                                    trm_work_evaluate(work, (trm_survey_taker){0}, err), err);
    const double start = trm_clock();
    const trm_attribute of[] = {
        {"store_rows", TRM_ATTRIBUTE_INT, NULL, work->store_rows, 0.0},
        {"store_dim", TRM_ATTRIBUTE_INT, NULL, work->batch.dim, 0.0},
        {"store_fingerprint", TRM_ATTRIBUTE_TEXT, work->fingerprint, 0, 0.0},
    };
    trm_output_array array[TRM_WORK_ARRAYS];
    if (status == TRM_OK && cli->output != NULL)
        status = write_gradient(cli, work->comm, work->claim, work->loss_name, &work->loss, 3, of,
                                trm_work_arrays(work, array), array, trm_work_names(work), err);
    work->write_s = trm_clock() - start;
    trm_progress_end(&work->progress);
    if (status == TRM_OK)
        status = trm_work_report(work, err);
    trm_triplets_free(&work->options.given);
    return status;
}

/* ---- packed triplets ---- */

typedef struct packed_work {
    const trm_cli *cli;
    MPI_Comm comm;
    int rank, ranks, threads;
    trm_packed_form form;
    trm_claim *claim; /* of the output, or NULL */
    trm_packed packed;
    int64_t first, total;
    float *gradient[3];
    trm_loss_summary loss;
    trm_loss_part part;
    const char *loss_name;
    char fingerprint[33];
    double read_s, write_s, total_s;
} packed_work;

static const char *const packed_names[] = {"/gradient/anchor", "/gradient/positive", "/gradient/negative"};

/* Over rows as they are used, as a store's: anchors, then positives, then negatives have the next numbers. */
static void take_fingerprint(packed_work *work)
{
    const trm_packed *packed = &work->packed;
    const float *const rows[3] = {packed->anchor, packed->positive, packed->negative};
    trm_hash_sum hash = TRM_HASH_SUM_INIT;
    for (int k = 0; k < 3; k++) {
        const int64_t each = k == 2 ? packed->negatives : 1;
        const int64_t first = k * work->total + work->first * each;
        for (int64_t i = 0; i < packed->count * each; i++)
            trm_hash_sum_add_keyed(&hash, first + i, rows[k] + i * packed->dim,
                                   (size_t)packed->dim * sizeof(float));
    }
    trm_merge_hash_sum(work->comm, &hash);
    trm_hash_sum_text(&hash, work->fingerprint);
}

static trm_status load_packed(packed_work *work, trm_error *err)
{
    const trm_cli *cli = work->cli;
    trm_packed *packed = &work->packed;
    trm_read_options options;
    trm_read_options_init(&options);
    options.normalize = cli->normalize;
    options.refuse_zero_norm =
        cli->loss.metric == TRM_METRIC_COSINE && !(cli->packed_options.norm_floor > 0.0);
    const double start = trm_clock();
    trm_status status =
        trm_packed_read(work->comm, cli->input[0], &options, packed, &work->first, &work->total, err);
    if (status == TRM_OK)
        take_fingerprint(work);
    work->read_s = trm_clock() - start;
    for (int k = 0; k < 3 && cli->gradient && status == TRM_OK; k++) {
        const int64_t values = packed->count * packed->dim * (k == 2 ? packed->negatives : 1);
        work->gradient[k] = trm_alloc(values, sizeof(float));
        if (work->gradient[k] == NULL)
            status = trm_fail_memory(err, "the gradient", values, sizeof(float));
        status = trm_agree(work->comm, status, err);
    }
    return status;
}

static trm_status evaluate_packed(packed_work *work, trm_error *err)
{
    const trm_cli *cli = work->cli;
    trm_packed packed = work->packed;
    trm_packed_options options = cli->packed_options;
    options.loss = cli->loss;
    options.window = cli->mine.window;
    options.window_margin = cli->mine.margin;
    options.semihard_pick = cli->mine.pick;
    options.fallback = cli->mine.fallback;
    options.seed = (uint64_t)cli->seed;
    if (cli->gradient_at_normalized)
        packed.anchor_norms = packed.positive_norms = packed.negative_norms = NULL;
    return trm_packed_loss(work->comm, &packed, &options, work->gradient, &work->loss, &work->part, err);
}

/* /gradient/negative, or /gradient/negatives where the input has /negatives. */
static trm_status write_packed(packed_work *work, trm_error *err)
{
    const trm_packed *packed = &work->packed;
    trm_output_array arrays[3];
    for (int k = 0; k < 3; k++)
        arrays[k] = (trm_output_array){.name = packed_names[k],
                                       .rank = 2,
                                       .size = {work->total, packed->dim},
                                       .first = work->first,
                                       .count = packed->count,
                                       .data = work->gradient[k]};
    if (work->form == TRM_PACKED_NEGATIVES) {
        arrays[2].name = "/gradient/negatives";
        arrays[2].rank = 3;
        arrays[2].size[1] = packed->negatives;
        arrays[2].size[2] = packed->dim;
    }
    const trm_attribute of[] = {
        {"batch", TRM_ATTRIBUTE_INT, NULL, work->total, 0.0},
        {"negatives", TRM_ATTRIBUTE_INT, NULL, packed->negatives, 0.0},
        {"dim", TRM_ATTRIBUTE_INT, NULL, packed->dim, 0.0},
        {"packed_fingerprint", TRM_ATTRIBUTE_TEXT, work->fingerprint, 0, 0.0},
    };
    return write_gradient(work->cli, work->comm, work->claim, work->loss_name, &work->loss, 4, of, 3, arrays,
                          NULL, err);
}

static json_t *packed_json(const packed_work *work, int64_t peak_rss)
{
    const trm_loss_summary *loss = &work->loss;
    const trm_mine_summary counts = {.anchors = {.total = work->total, .valid = work->total}};
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:{s:I, s:I, s:i, s:s}, s:o, s:o, s:o, s:o}", "program", "trimine", "version",
        trm_version(), "command", "loss", "packed", "anchors", (json_int_t)work->total, "negatives",
        (json_int_t)work->packed.negatives, "dim", work->packed.dim, "fingerprint", work->fingerprint,
        "options", trm_report_options(work->cli), "anchors", trm_report_anchors(&counts), "triplets",
        trm_report_triplets(loss->count, loss->semihard, loss->fallback, work->total - loss->count), "loss",
        trm_report_loss(work->loss_name, loss, work->cli->loss.reduction));
    if (work->cli->gradient)
        trm_report_put(&object, "gradient", trm_report_gradient(loss));
    trm_report_put(&object, "warnings", trm_report_warnings());
    trm_report_put(&object, "run",
                   json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:I, s:I}", "ranks", work->ranks, "threads",
                             work->threads, "read_s", work->read_s, "loss_s", loss->loss_s, "gradient_s",
                             loss->gradient_s, "write_s", work->write_s, "total_s", work->total_s,
                             "peak_rss_bytes", (json_int_t)peak_rss, "baseline_rss_bytes",
                             (json_int_t)work->cli->baseline_rss));
    return object;
}

static void print_packed(const packed_work *work)
{
    const trm_loss_summary *loss = &work->loss;
    fprintf(stderr,
            "packed     %" PRId64 " anchors, %" PRId64 " negatives each, %d dimensions, fingerprint %s\n",
            work->total, work->packed.negatives, work->packed.dim, work->fingerprint);
    if (loss->semihard + loss->fallback == loss->count)
        fprintf(stderr,
                "triplets   %" PRId64 " (%" PRId64 " semihard, %" PRId64 " fallback), %" PRId64 " skipped\n",
                loss->count, loss->semihard, loss->fallback, work->total - loss->count);
    else
        fprintf(stderr, "triplets   %" PRId64 "\n", loss->count);
    trm_report_loss_line(work->cli, work->loss_name, loss);
    if (work->cli->output != NULL)
        trm_say(stderr, "written    %s\n", work->cli->output);
}

static trm_status report_packed(packed_work *work, trm_error *err)
{
    const trm_cli *cli = work->cli;
    trm_status status = TRM_OK;
    const int64_t peak_rss = trm_report_peak_rss(work->comm);
    if (work->rank == 0)
        trm_claim_tell_replaced(work->claim);
    if (work->rank == 0 && !cli->json && !cli->quiet)
        print_packed(work);
    json_t *ranks = trm_report_ranks(work->comm, cli, &work->part);
    if (work->rank == 0 && cli->json) {
        json_t *object = packed_json(work, peak_rss);
        trm_report_put(&object, "ranks", json_incref(ranks));
        status = trm_report_print(object, err);
    }
    json_decref(ranks);
    return trm_agree(work->comm, status, err);
}

static trm_status take_threads(packed_work *work, trm_error *err)
{
    trm_run *run = NULL;
    trm_status status = trm_run_create(work->comm, &work->cli->run, &run, err);
    if (status != TRM_OK)
        return status;
    work->threads = trm_run_threads(run);
    if (work->rank == 0)
        trm_report_threads(work->cli, run);
    omp_set_num_threads(work->threads);
    trm_run_destroy(&run);
    return TRM_OK;
}

static trm_status run_packed(const trm_cli *cli, MPI_Comm comm, trm_packed_form form, trm_error *err)
{
    const double start = trm_clock();
    packed_work work = {.cli = cli, .comm = comm, .form = form};
    work.loss_name = cli->packed_options.pick == TRM_PACKED_REVERSED ? "reversed"
                     : cli->loss.soft                                ? "triplet-soft"
                                                                     : "triplet";
    MPI_Comm_rank(comm, &work.rank);
    MPI_Comm_size(comm, &work.ranks);
    if (work.rank == 0 && cli->packed_options.pick == TRM_PACKED_REVERSED)
        trm_warn(
            "--negatives reversed (--compat guide-3) is a published formula, min over k of "
            "[d(a,n_k) - d(a,p) + margin]+, whose sign is the reverse of a triplet loss; what was meant is "
            "--negatives semihard");
    trm_status status = trm_signals_stopped(comm, err);
    if (status == TRM_OK && cli->output != NULL)
        status = trm_claim_output(cli, comm, "output", cli->output, cli->overwrite, &work.claim, err);
    if (status == TRM_OK)
        status = take_threads(&work, err);
    if (status == TRM_OK)
        status = load_packed(&work, err);
    if (status == TRM_OK)
        status = evaluate_packed(&work, err);
    const double evaluated = trm_clock();
    if (status == TRM_OK && cli->output != NULL)
        status = write_packed(&work, err);
    work.write_s = trm_clock() - evaluated;
    work.total_s = trm_clock() - start;
    if (status == TRM_OK)
        status = report_packed(&work, err);
    for (int k = 0; k < 3; k++)
        trm_free(work.gradient[k]);
    trm_packed_free(&work.packed);
    trm_claim_release(&work.claim);
    return status;
}

/* ---- which of them ---- */

/* Nothing says what to evaluate: is the input something else than a store? */
static trm_status check_store(const trm_cli *cli, MPI_Comm comm, trm_packed_form form, trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    trm_store *store = NULL;
    trm_status status =
        trm_store_open(comm, cli->inputs, (const char *const *)cli->input, &cli->store, &store, &own);
    trm_store_close(&store);
    if (status != TRM_OK && form == TRM_PACKED_PARTLY) {
        trm_packed packed;
        int64_t first, total;
        status = trm_packed_read(comm, cli->input[0], NULL, &packed, &first, &total, err);
        trm_packed_free(&packed);
        return status;
    }
    if (status != TRM_OK)
        *err = own;
    return status;
}

static trm_status check_source(const trm_cli *cli, MPI_Comm comm, trm_packed_form form, trm_error *err)
{
    const trm_preset *preset = cli->compat != NULL ? trm_preset_find(cli->compat) : NULL;
    const bool asked = trm_cli_given(cli, "loss") || cli->triplets != NULL;
    if (cli->packed && cli->inputs > 1)
        return trm_fail(err, TRM_ERR_USAGE, "'%s' holds packed triplets: give one such file, not %d",
                        cli->input[0], cli->inputs);
    if (!cli->packed && !asked) {
        trm_status status = check_store(cli, comm, form, err);
        if (status != TRM_OK)
            return status;
    }
    if (!cli->packed && preset != NULL && preset->packed)
        return trm_fail(
            err, TRM_ERR_USAGE,
            "--compat %s is for packed triplets (/anchor, /positive, /negative), which '%s' is not",
            preset->name, cli->input[0]);
    if (form == TRM_PACKED_NEGATIVE && cli->packed_options.pick == TRM_PACKED_REVERSED)
        return trm_fail(err, TRM_ERR_USAGE,
                        "'%s' has /negative (B x D), and --negatives reversed%s takes /negatives (B x K x D) "
                        "only: the published "
                        "code would broadcast /negative to all B x B pairs of anchors and negatives",
                        cli->input[0],
                        preset != NULL && strcmp(preset->name, "guide-3") == 0 ? " (--compat guide-3)" : "");
    if (!cli->packed && cli->packed_options.pick != TRM_PACKED_SEMIHARD)
        return trm_fail(err, TRM_ERR_USAGE,
                        "--negatives: only semihard over a store; hard is --loss batch-hard");
    if (!cli->packed && !asked)
        return trm_fail(err, TRM_ERR_USAGE,
                        "'%s': give --triplets FILE, or --loss batch-hard, batch-all or mined",
                        cli->input[0]);
    return trm_cli_check_applying(cli, err);
}

static trm_status run(trm_cli *cli, trm_error *err)
{
    MPI_Comm comm = MPI_COMM_WORLD;
    const trm_packed_form form = trm_packed_recognize(comm, cli->input[0]);
    cli->packed = form == TRM_PACKED_NEGATIVE || form == TRM_PACKED_NEGATIVES;
    trm_status status = check_source(cli, comm, form, err);
    if (status != TRM_OK)
        return status;
    if (cli->packed) {
        trm_signals_ignore();
        return run_packed(cli, comm, form, err);
    }
    trm_work work;
    status = trm_work_begin(cli, &work, err);
    if (status == TRM_OK)
        status = evaluate_store(&work, err);
    status = trm_job_checkpoint_explain(&work.checkpoint, status, err);
    trm_work_end(&work);
    return status;
}

static trm_status check(const trm_cli *cli, trm_error *err)
{
    if (cli->output != NULL && !cli->gradient)
        return trm_fail(err, TRM_ERR_USAGE, "-o '%s': there is only a gradient to write, give --gradient",
                        cli->output);
    return trm_cli_check_job(cli, err);
}

static const trm_taken takes[] = {
    TRM_OWN(trm_output_table),
    TRM_OWN(trm_overwrite_table),
    TRM_OWN(trm_checkpoint_table),
    TRM_OWN(trm_dataset_table),
    TRM_OWN(trm_source_table),
    TRM_OF(trm_mine_table, mine),
    TRM_OF(trm_packed_policy_table, packed_options),
    TRM_OF(trm_semihard_table, mine),
    TRM_OWN(trm_whole_table),
    TRM_OF(trm_corner_table, loss),
    TRM_OF(trm_packed_table, packed_options),
    TRM_OF(trm_loss_table, loss),
    TRM_OWN(trm_gradient_table),
    TRM_OWN(trm_compat_table),
    TRM_OWN(trm_seed_table),
    TRM_OF(trm_survey_table, survey),
    TRM_OWN(trm_rows_table),
    TRM_OF(trm_run_table, run),
    TRM_OWN(trm_progress_table),
    TRM_OWN(trm_report_table),
};

const trm_command trm_command_loss = {
    .name = "loss",
    .arguments = "STORE...|PACKED",
    .about =
        "Evaluates a loss and its gradient: on triplets of a file (--triplets), over a whole store (--loss), "
        "or on packed triplets.",
    .essay =
        "PACKED is an HDF5 file with /anchor, /positive and /negative or /negatives. Otherwise as trimine "
        "mine.",
    .takes = takes,
    .tables = sizeof takes / sizeof *takes,
    .traits = TRM_TAKES_STORES | TRM_HAS_CHECKPOINT,
    .check = check,
    .run = run,
};
