/* trimine verify: is a result what its options say of its store? The text is the command's result, so it goes to standard
 * output. */
#include "cli/tables.h"

#include "base/json.h"
#include "par/agree.h"
#include "verify/verify.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static trm_status tell_json(const trm_cli *cli, const trm_verify_found *found, trm_error *err)
{
    const bool decided = found->why_not[0] == '\0';
    json_t *anew =
        json_pack("{s:b, s:I, s:I, s:I, s:o, s:o}", "decided", decided, "anchors", (json_int_t)found->anchors,
                  "entries", (json_int_t)found->entries, "gradient_rows", (json_int_t)found->gradient,
                  "value", isnan(found->value) ? json_null() : json_real(found->value), "why_not",
                  trm_json_text_or_null(decided ? NULL : found->why_not));
    return trm_report_print(
        json_pack("{s:s, s:s, s:s, s:o, s:b, s:s, s:{s:I, s:I, s:s}, s:I, s:I, s:o, s:o}", "program",
                  "trimine", "version", trm_version(), "command", "verify", "result",
                  trm_json_text(cli->input[0]), "verified", 1, "format", found->format, "store", "rows",
                  (json_int_t)found->rows, "dim", (json_int_t)found->dim, "fingerprint", found->fingerprint,
                  "anchors", (json_int_t)found->askers, "lines", (json_int_t)found->lines, "result_hash",
                  trm_json_text_or_null(found->hash[0] != '\0' ? found->hash : NULL), "anew", anew),
        err);
}

static void tell_anew(const trm_verify_found *found)
{
    if (found->why_not[0] != '\0')
        printf("decided anew: no, because %s\n", found->why_not);
    else if (!isnan(found->value))
        printf("decided anew  value %.9g of %" PRId64 " anchors, %" PRId64
               " triplets: the same, bit for bit\n",
               found->value, found->anchors, found->entries);
    else if (found->anchors == 0 && found->entries > 0)
        printf("decided anew  %" PRId64 " rows of batches: drawn again, the same\n", found->entries);
    else
        printf("decided anew  %" PRId64 " of %" PRId64 " anchors, %" PRId64
               " entries: the same, distances bit for bit\n",
               found->anchors, found->askers, found->entries);
    if (found->gradient > 0)
        printf("gradient      %" PRId64 " rows: the same, bit for bit\n", found->gradient);
}

static trm_status tell_people(const trm_cli *cli, const trm_verify_found *found, trm_error *err)
{
    trm_say(stdout, "verified      %s: %s, complete", cli->input[0], found->format);
    printf("store         %" PRId64 " rows x %" PRId64 ", fingerprint %s: the same\n", found->rows,
           found->dim, found->fingerprint);
    if (found->hash[0] != '\0')
        printf("lines         %" PRId64 ": ranges and order are right, result_hash %s: the same\n",
               found->lines, found->hash);
    tell_anew(found);
    if (fflush(stdout) != 0 || ferror(stdout))
        return trm_fail(err, TRM_ERR_IO, "the report could not be written to standard output");
    return TRM_OK;
}

static trm_status run(trm_cli *cli, trm_error *err)
{
    const trm_settings *settings = cli->settings;
    trm_verify_found found;
    const trm_verify_ask ask = {.result = cli->input[0],
                                .stores = cli->inputs - 1,
                                .store = cli->input + 1,
                                .queries = settings->queries.count,
                                .query = settings->queries.text,
                                .pairs = settings->pairs,
                                .triplets = cli->given,
                                .from = &settings->store,
                                .sample = cli->sample,
                                .seed = (uint64_t)settings->seed};
    trm_status status = trm_verify(MPI_COMM_WORLD, &ask, &found, err);
    if (status == TRM_OK && trm_rank_of(MPI_COMM_WORLD) == 0 && cli->json)
        status = tell_json(cli, &found, err);
    else if (status == TRM_OK && trm_rank_of(MPI_COMM_WORLD) == 0 && !cli->quiet)
        status = tell_people(cli, &found, err);
    return trm_agree(MPI_COMM_WORLD, status, err);
}

static trm_status check(const trm_cli *cli, trm_error *err)
{
    if (cli->inputs < 2)
        return trm_fail(err, TRM_ERR_USAGE, "verify takes a result, and the store that it is of");
    return trm_settings_check_pairs(cli->settings, err);
}

static const trm_taken shared[] = {TRM_TAKE(trm_queries_table), TRM_TAKE(trm_dataset_table),
                                   TRM_TAKE(trm_seed_table)};
static const trm_taken own[] = {TRM_TAKE(trm_sample_table), TRM_TAKE(trm_report_table)};
static const trm_takes shared_takes = TRM_TAKES(shared), own_takes = TRM_TAKES(own);

const trm_command trm_command_verify = {
    .name = "verify",
    .arguments = "RESULT STORE...",
    .about = "Checks a result against its store, and decides some anchors anew.",
    .essay =
        "Looks at the whole file: complete, fingerprint, ranges, order, hash. Then --sample rows, drawn by "
        "--seed, are decided anew in plain float64 by code that shares nothing with mining. The first "
        "fault is one line that names file, dataset, row and rule, and exit code 65.",
    .settings = &shared_takes,
    .own = &own_takes,
    .check = check,
    .run = run,
};
