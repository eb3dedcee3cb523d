/* trimine synth: a store of clustered unit vectors, the same bytes on any number of ranks. */
#include "cli/tables.h"

#include "base/alloc.h"
#include "base/json.h"
#include "par/agree.h"
#include "store/claim.h"

#include <inttypes.h>
#include <stdio.h>

static trm_status run(trm_cli *cli, trm_error *err)
{
    trm_clusters clusters = trm_cli_clusters(cli);
    trm_claim *claim = NULL;
    trm_voice voice = trm_cli_voice(cli);
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    trm_status status = trm_agree(MPI_COMM_WORLD, trm_clusters_begin(&clusters, err), err);
    if (status == TRM_OK)
        status = trm_claim_take(MPI_COMM_WORLD, "output", cli->input[0], cli->settings->overwrite, 0, NULL,
                                &claim, err);
    if (status == TRM_OK)
        status = trm_path_check_hdf5(cli->input[0], "a store is HDF5: call it .h5", err);
    const trm_attribute attributes[] = {
        {"format", TRM_ATTRIBUTE_TEXT, "trimine-synthetic", 0, 0.0},
        {"classes", TRM_ATTRIBUTE_INT, NULL, cli->classes, 0.0},
        {"spread", TRM_ATTRIBUTE_FLOAT, NULL, 0, cli->spread},
        {"seed", TRM_ATTRIBUTE_INT, NULL, cli->settings->seed, 0.0},
    };
    if (status == TRM_OK)
        status = trm_store_write(MPI_COMM_WORLD, claim, cli->rows, (int)cli->dim, trm_clusters_fill,
                                 &clusters, (int)(sizeof attributes / sizeof *attributes), attributes, err);
    trm_free(clusters.scratch);
    if (status == TRM_OK && rank == 0) {
        trm_warn_of_replaced(&voice, claim);
        if (cli->json)
            status =
                trm_report_print(json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:f, s:I}", "program",
                                           "trimine", "version", trm_version(), "command", "synth", "output",
                                           trm_json_text(cli->input[0]), "rows", (json_int_t)cli->rows, "dim",
                                           (json_int_t)cli->dim, "classes", (json_int_t)cli->classes,
                                           "spread", cli->spread, "seed", (json_int_t)cli->settings->seed),
                                 err);
        else if (!cli->quiet)
            trm_say(stderr, "wrote      %s: %" PRId64 " rows x %" PRId64 ", %" PRId64 " classes",
                    cli->input[0], cli->rows, cli->dim, cli->classes);
    }
    trm_claim_release(&claim);
    trm_voice_free(&voice);
    return trm_agree(MPI_COMM_WORLD, status, err);
}

static trm_status check(const trm_cli *cli, trm_error *err)
{
    return cli->inputs == 1 ? TRM_OK : trm_fail(err, TRM_ERR_USAGE, "synth takes one output file");
}

static const trm_taken shared[] = {TRM_TAKE(trm_overwrite_table), TRM_TAKE(trm_seed_table)};
static const trm_taken own[] = {TRM_TAKE(trm_synthetic_table), TRM_TAKE(trm_report_table)};
static const trm_takes shared_takes = TRM_TAKES(shared), own_takes = TRM_TAKES(own);

const trm_command trm_command_synth = {
    .name = "synth",
    .arguments = "OUT",
    .about = "Writes a synthetic store of clustered unit vectors.",
    .settings = &shared_takes,
    .own = &own_takes,
    .check = check,
    .run = run,
};
