/* The batches of a job: drawn by the options, or read from a list. */
#include "cli/work.h"

#include "mine/batches.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

trm_status trm_work_claim_list(trm_work *work, trm_error *err)
{
    const trm_cli *cli = work->cli;
    trm_status status = TRM_OK;
    if (work->rank == 0 && cli->output != NULL && trm_output_is_same(cli->output, cli->batch_list))
        status = trm_fail(err, TRM_ERR_USAGE, "--batch-list '%s': is the output, too: give it another name",
                          cli->batch_list);
    status = trm_agree(work->comm, status, err);
    if (status == TRM_OK)
        status = trm_claim_output(cli, work->comm, "batch list", cli->batch_list, cli->overwrite,
                                  &work->list_claim, err);
    return status;
}

static trm_status draw(trm_work *work, trm_error *err)
{
    const trm_cli *cli = work->cli;
    work->batch_count = cli->batches;
    trm_draw_options options;
    trm_draw_options_init(&options);
    options.batches = cli->batches;
    options.classes = cli->classes_per_batch;
    options.rows = cli->rows_per_class;
    options.seed = (uint64_t)cli->seed;
    return trm_batches_draw(work->run, work->rows, &options, &work->batches, err);
}

/* Is it one for this store? Before the rows are read. */
static trm_status look_at_list(trm_work *work, trm_error *err)
{
    trm_given *given = NULL;
    trm_status status = trm_given_create(work->run, work->batch.count, work->batch.dim, NULL,
                                         work->batch.labels, &given, err);
    if (status == TRM_OK)
        status = trm_batches_look(work->run, work->rows, given, &work->batches, err);
    trm_given_destroy(&given);
    return trm_work_name_file("batches", "batch ", work->cli->batch_list, status, err);
}

static trm_status read_list(trm_work *work, trm_error *err)
{
    const char *path = work->cli->batch_list;
    const trm_triplets_origin *origin = &work->list_origin;
    trm_status status =
        trm_batches_read(work->comm, path, &work->batches, &work->batch_count, &work->list_origin, err);
    if (status == TRM_OK && origin->store_rows >= 0 && origin->store_rows != work->store_rows)
        status = trm_fail(err, TRM_ERR_DATA,
                          "batches '%s': were drawn from a store of %" PRId64 " rows, this one has %" PRId64,
                          path, origin->store_rows, work->store_rows);
    return status == TRM_OK ? look_at_list(work, err) : status;
}

trm_status trm_work_find_batches(trm_work *work, trm_error *err)
{
    trm_status status = work->cli->batches > 0 ? draw(work, err) : read_list(work, err);
    const trm_batches *batches = &work->batches;
    const int64_t rows = batches->count > 0 ? batches->start[batches->count] : 0;
    work->options.batches = &work->batches;
    work->batch_rows = status == TRM_OK ? trm_sum_int64(work->comm, rows) : 0;
    return status;
}

static trm_status write_list(const trm_work *work, trm_error *err)
{
    const trm_cli *cli = work->cli;
    const trm_attribute attributes[] = {
        {"format", TRM_ATTRIBUTE_TEXT, TRM_BATCH_LIST_FORMAT, 0, 0.0},
        {"format_version", TRM_ATTRIBUTE_INT, NULL, 1, 0.0},
        {"program_version", TRM_ATTRIBUTE_TEXT, TRM_VERSION, 0, 0.0},
        {"classes_per_batch", TRM_ATTRIBUTE_INT, NULL, cli->classes_per_batch, 0.0},
        {"rows_per_class", TRM_ATTRIBUTE_INT, NULL, cli->rows_per_class, 0.0},
        {"seed", TRM_ATTRIBUTE_INT, NULL, cli->seed, 0.0},
        {"store_rows", TRM_ATTRIBUTE_INT, NULL, work->store_rows, 0.0},
        {"store_dim", TRM_ATTRIBUTE_INT, NULL, work->batch.dim, 0.0},
        {"store_fingerprint", TRM_ATTRIBUTE_TEXT, work->fingerprint, 0, 0.0},
    };
    return trm_batches_write(work->comm, work->list_claim, &work->batches, NULL, 0, NULL, NULL,
                             (int)(sizeof attributes / sizeof *attributes), attributes, err);
}

trm_status trm_work_settle_batches(trm_work *work, trm_error *err)
{
    const char *drawn_from = work->list_origin.store_fingerprint;
    if (work->list_claim != NULL)
        return write_list(work, err);
    if (work->rank == 0 && drawn_from[0] != '\0' && strcmp(drawn_from, work->fingerprint) != 0)
        trm_warn("batches '%s' were drawn from rows with the fingerprint %s, these have %s",
                 work->cli->batch_list, drawn_from, work->fingerprint);
    return TRM_OK;
}

json_t *trm_work_batches_json(const trm_work *work)
{
    const trm_cli *cli = work->cli;
    const bool drawn = cli->batches > 0;
    return json_pack("{s:I, s:o, s:o, s:I, s:o}", "count", (json_int_t)work->batch_count, "classes_per_batch",
                     drawn ? json_integer(cli->classes_per_batch) : json_null(), "rows_per_class",
                     drawn ? json_integer(cli->rows_per_class) : json_null(), "rows",
                     (json_int_t)work->batch_rows, "list",
                     cli->batch_list != NULL ? trm_report_text(cli->batch_list) : json_null());
}

void trm_work_print_batches(const trm_work *work)
{
    const trm_cli *cli = work->cli;
    if (cli->batches > 0)
        fprintf(stderr,
                "batches    %" PRId64 " of %" PRId64 " classes x %" PRId64 " rows, by seed %" PRId64
                ": %" PRId64 " rows\n",
                work->batch_count, cli->classes_per_batch, cli->rows_per_class, cli->seed, work->batch_rows);
    else
        trm_say(stderr, "batches    %" PRId64 " from '%s': %" PRId64 " rows\n", work->batch_count,
                cli->batch_list, work->batch_rows);
}
