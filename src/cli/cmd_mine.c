/* trimine mine: read, arrange, mine, evaluate the loss, write, report. */
#include "cli/work.h"

#include "base/clock.h"
#include "loss/options.h"
#include "mine/options.h"
#include "par/agree.h"

#include <stdlib.h>

/* Attributes say what the result is and what it is of; nothing of how, where or when it was made. batched: the
 * triplets of batches, or NULL, and they are in the file. */
static trm_status finish_file(const trm_work *work, trm_triplet_file *file, const trm_batch_triplets *batched,
                              trm_error *err)
{
    char *text = NULL;
    trm_status status = trm_agree(work->comm, trm_report_options_text(work->cli, &text, err), err);
    const trm_attribute attributes[] = {
        {"format", TRM_ATTRIBUTE_TEXT, trm_form_format(work->cli->form), 0, 0.0},
        {"format_version", TRM_ATTRIBUTE_INT, NULL, 1, 0.0},
        {"program_version", TRM_ATTRIBUTE_TEXT, trm_version(), 0, 0.0},
        {"metric", TRM_ATTRIBUTE_TEXT, trm_metric_name(work->cli->mine.metric), 0, 0.0},
        {"margin", TRM_ATTRIBUTE_FLOAT, NULL, 0, work->cli->mine.margin},
        {"options", TRM_ATTRIBUTE_TEXT, text, 0, 0.0},
        {"store_rows", TRM_ATTRIBUTE_INT, NULL, work->store_rows, 0.0},
        {"store_dim", TRM_ATTRIBUTE_INT, NULL, work->batch.dim, 0.0},
        {"store_fingerprint", TRM_ATTRIBUTE_TEXT, work->fingerprint, 0, 0.0},
        {"result_hash", TRM_ATTRIBUTE_TEXT, work->mined.result_hash, 0, 0.0},
    };
    trm_output_array array[TRM_WORK_ARRAYS];
    const int arrays = trm_work_arrays(work, array);
    enum { ATTRIBUTES = sizeof attributes / sizeof *attributes };
    if (status == TRM_OK && batched != NULL)
        status = trm_batches_write(work->comm, work->claim, &work->batches, batched, arrays, array,
                                   trm_work_names(work), ATTRIBUTES, attributes, err);
    else if (status == TRM_OK)
        status =
            trm_triplet_file_finish(file, arrays, array, trm_work_names(work), ATTRIBUTES, attributes, err);
    free(text);
    return status;
}

static trm_status mine_to_file(trm_work *work, trm_error *err)
{
    trm_triplet_file *file = NULL;
    /* Triplets of several panels wait in files of their own; how many panels a set takes shows when it was counted. */
    const bool spool = work->mined.panels > 1 || work->options.mine.emit_sets;
    trm_status status = trm_triplet_file_create(work->comm, work->claim, work->cli->form,
                                                trm_mine_negatives(&work->options.mine), work->store_rows,
                                                spool, trm_work_spare_bytes(work), &file, err);
    if (status == TRM_OK)
        status = trm_work_evaluate(
            work, (trm_survey_taker){trm_triplet_file_add, trm_triplet_file_walk, file}, err);
    const double start = trm_clock();
    if (status == TRM_OK)
        status = finish_file(work, file, NULL, err);
    work->write_s = trm_clock() - start;
    trm_triplet_file_destroy(&file);
    return status;
}

static trm_status mine_batches(trm_work *work, trm_error *err)
{
    const trm_cli *cli = work->cli;
    const bool file = cli->output != NULL;
    trm_batch_triplets triplets = {
        .budget = trm_run_mem_per_rank(work->run) - work->mined.memory_bytes +
                  trm_batch_triplets_bytes(trm_evaluate_triplets(work->rows, &work->options))};
    trm_status status = trm_work_settle_batches(work, err);
    if (status == TRM_OK)
        status = trm_work_evaluate(
            work,
            file ? (trm_survey_taker){trm_batch_triplets_add, trm_batch_triplets_walk, &triplets}
                 : (trm_survey_taker){0},
            err);
    const double start = trm_clock();
    if (status == TRM_OK && file)
        status = finish_file(work, NULL, &triplets, err);
    work->write_s += trm_clock() - start;
    trm_batch_triplets_free(&triplets);
    return status;
}

static trm_status run(trm_cli *cli, trm_error *err)
{
    trm_work work;
    trm_status status = trm_work_begin(cli, &work, err);
    if (status == TRM_OK)
        status = trm_work_open(&work, err);
    if (status == TRM_OK)
        status = trm_work_plan(&work, cli->output != NULL, err);
    if (status == TRM_OK)
        status = trm_work_load(&work, err);
    if (status == TRM_OK && trm_cli_in_batches(cli))
        status = mine_batches(&work, err);
    else if (status == TRM_OK)
        status = cli->output != NULL ? mine_to_file(&work, err)
                                     : trm_work_evaluate(&work, (trm_survey_taker){0}, err);
    trm_progress_end(&work.progress);
    if (status == TRM_OK)
        status = trm_work_report(&work, err);
    status = trm_job_checkpoint_explain(&work.checkpoint, status, err);
    trm_work_end(&work);
    return status;
}

static const trm_taken takes[] = {
    TRM_OWN(trm_output_table),        TRM_OWN(trm_form_table),           TRM_OWN(trm_overwrite_table),
    TRM_OWN(trm_checkpoint_table),    TRM_OWN(trm_dataset_table),        TRM_OWN(trm_batches_table),
    TRM_OF(trm_mine_table, mine),     TRM_OF(trm_negatives_table, mine), TRM_OF(trm_semihard_table, mine),
    TRM_OF(trm_filters_table, mine),  TRM_OF(trm_corner_table, loss),    TRM_OF(trm_loss_table, loss),
    TRM_OWN(trm_gradient_table),      TRM_OWN(trm_compat_table),         TRM_OWN(trm_seed_table),
    TRM_OF(trm_survey_table, survey), TRM_OWN(trm_rows_table),           TRM_OF(trm_run_table, run),
    TRM_OWN(trm_progress_table),      TRM_OWN(trm_report_table),
};

const trm_command trm_command_mine = {
    .name = "mine",
    .arguments = "STORE...",
    .about = "Mines semihard triplets from a whole embedding store, exactly.",
    .essay =
        "STORE is an HDF5 file, or a folder of them; several are one store in the order given. Run it under "
        "mpirun or srun --mpi=pmix.",
    .takes = takes,
    .tables = sizeof takes / sizeof *takes,
    .traits = TRM_TAKES_STORES | TRM_HAS_CHECKPOINT,
    .check = trm_cli_check_job,
    .run = run,
};
