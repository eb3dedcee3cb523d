/* trimine import: one HDF5 store of any files that trimine reads. */
#include "cli/tables.h"

#include "base/json.h"
#include "par/agree.h"
#include "store/claim.h"

#include <inttypes.h>
#include <stdio.h>

/* A store of all inputs but the first, which is the output. */
static trm_status open_inputs(const trm_cli *cli, trm_store **store, trm_error *err)
{
    trm_store_options options = cli->settings->store;
    options.labels_may_lack = true;
    options.without_pairs = true;
    return trm_store_open(MPI_COMM_WORLD, cli->inputs - 1, cli->input + 1, &options, store, err);
}

/* Ids that are there and are not kept. */
static void warn_of_ids(trm_voice *voice, const trm_store *store)
{
    const trm_store_file *first = NULL;
    char others[64] = "";
    int count = 0;
    for (int i = 0; i < trm_store_file_count(store); i++) {
        const trm_store_file *file = trm_store_file_at(store, i);
        if (file->ids_left_aside != NULL && count++ == 0)
            first = file;
    }
    if (count > 1)
        snprintf(others, sizeof others, " (and those of %d other file%s)", count - 1, count == 2 ? "" : "s");
    if (count > 0)
        trm_warn(voice, "store '%s': its ids%s are not imported: %s; --ids gives those of all rows",
                 first->path, others, first->ids_left_aside);
}

/* Of all files, or of none. */
static bool has_ids(const trm_store *store)
{
    bool all = true;
    for (int i = 0; i < trm_store_file_count(store); i++) {
        const trm_store_file *file = trm_store_file_at(store, i);
        all = all && (file->rows == 0 || (file->ids != NULL && file->ids_left_aside == NULL));
    }
    return all;
}

static trm_status tell(const trm_cli *cli, const trm_store *store, const trm_voice *voice, trm_error *err)
{
    const trm_store_file *file = trm_store_file_at(store, 0);
    const int64_t names = trm_store_label_names(store);
    const bool ids = has_ids(store);
    if (cli->json)
        return trm_report_print(
            json_pack("{s:s, s:s, s:s, s:o, s:I, s:i, s:i, s:b, s:I, s:b, s:o}", "program", "trimine",
                      "version", trm_version(), "command", "import", "output", trm_json_text(cli->input[0]),
                      "rows", (json_int_t)trm_store_rows(store), "dim", trm_store_dim(store), "files",
                      trm_store_file_count(store), "labels", file->labels != NULL, "label_names",
                      (json_int_t)names, "ids", ids, "warnings", trm_voice_warnings(voice)),
            err);
    char named[64] = "";
    if (names > 0)
        snprintf(named, sizeof named, " (%" PRId64 " names)", names);
    if (!cli->quiet)
        trm_say(stderr, "wrote      %s: %" PRId64 " rows x %d of %d file%s, %s%s%s", cli->input[0],
                trm_store_rows(store), trm_store_dim(store), trm_store_file_count(store),
                trm_store_file_count(store) == 1 ? "" : "s",
                file->labels != NULL ? "with labels" : "without labels", named, ids ? ", with ids" : "");
    return TRM_OK;
}

static bool stop_asked(void)
{
    return (trm_signals_wish() & TRM_WISH_STOP) != 0;
}

static trm_status copy(const trm_cli *cli, trm_store *store, trm_claim *claim, trm_voice *voice,
                       trm_error *err)
{
    const trm_copy_options options = {.divisor = cli->divisor, .stop = stop_asked};
    const int rank = trm_rank_of(MPI_COMM_WORLD);
    if (rank == 0) {
        trm_warn_of_files(voice, store);
        warn_of_ids(voice, store);
    }
    trm_status status = trm_claim_check_store(claim, store, err);
    if (status == TRM_OK)
        status = trm_store_copy(MPI_COMM_WORLD, claim, store, &options, err);
    if (status == TRM_OK && rank == 0) {
        trm_warn_of_replaced(voice, claim);
        status = tell(cli, store, voice, err);
    }
    return status;
}

static trm_status run(trm_cli *cli, trm_error *err)
{
    trm_claim *claim = NULL;
    trm_store *store = NULL;
    trm_voice voice = trm_cli_voice(cli);
    trm_signals_listen(); /* a store that was begun must not stay behind */
    trm_status status = trm_claim_take(MPI_COMM_WORLD, "output", cli->input[0], cli->settings->overwrite,
                                       cli->inputs - 1, cli->input + 1, &claim, err);
    if (status == TRM_OK)
        status = trm_path_check_hdf5(cli->input[0], "a store is HDF5: call it .h5", err);
    if (status == TRM_OK)
        status = open_inputs(cli, &store, err);
    if (status == TRM_OK)
        status = copy(cli, store, claim, &voice, err);
    trm_store_close(&store);
    trm_claim_release(&claim);
    trm_voice_free(&voice);
    trm_signals_ignore();
    return trm_agree(MPI_COMM_WORLD, status, err);
}

static trm_status check(const trm_cli *cli, trm_error *err)
{
    return cli->inputs >= 2 ? TRM_OK
                            : trm_fail(err, TRM_ERR_USAGE,
                                       "import takes an output file and what goes into it: OUT FILE...");
}

static const trm_taken shared[] = {TRM_TAKE(trm_dataset_table), TRM_TAKE(trm_overwrite_table)};
static const trm_taken own[] = {TRM_TAKE(trm_import_table), TRM_TAKE(trm_report_table)};
static const trm_takes shared_takes = TRM_TAKES(shared), own_takes = TRM_TAKES(own);

const trm_command trm_command_import = {
    .name = "import",
    .arguments = "OUT FILE...",
    .about = "Writes an HDF5 store of .npy, .fvecs, .fbin, IDX and other files, and their labels.",
    .settings = &shared_takes,
    .own = &own_takes,
    .check = check,
    .run = run,
};
