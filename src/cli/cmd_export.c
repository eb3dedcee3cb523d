/* trimine export: a result for other tools, as .npz, CSV or lines of JSON, or as training data. Rank 0 does all of it. */
#include "cli/export.h"
#include "cli/tables.h"

#include "base/alloc.h"
#include "base/json.h"
#include "par/agree.h"
#include "store/claim.h"
#include "store/labels.h"
#include "store/result_lines.h"

#include <inttypes.h>
#include <string.h>

static const char *const endings[] = {
    [TRM_TO_NPZ] = ".npz", [TRM_TO_CSV] = ".csv", [TRM_TO_JSONL] = ".jsonl"};

/* What is asked for, or what the name of the file says. */
static trm_export_to to_of(const trm_cli *cli)
{
    trm_export_to to = TRM_TO_NONE;
    for (int i = 0; i < trm_export_to_words.count; i++) {
        const trm_word *word = trm_word_at(&trm_export_to_words, i);
        if (cli->to != NULL ? strcmp(cli->to, word->name) == 0
                            : cli->export_to != NULL && trm_path_ends(cli->export_to, endings[word->value]))
            to = (trm_export_to)word->value;
    }
    return to;
}

/* ---- the store ---- */

static trm_status check_rows(const trm_export *export, const char *name, int64_t rows, trm_error *err)
{
    int64_t has = 0;
    const char *path = trm_result_path(export->result);
    if (!trm_result_whole(export->result, name, &has))
        return trm_fail(err, TRM_ERR_DATA, "result '%s': attribute '%s' is missing", path, name);
    return has == rows ? TRM_OK
                       : trm_fail(err, TRM_ERR_DATA,
                                  "result '%s': attribute '%s' is %" PRId64 ", the rows given are %" PRId64,
                                  path, name, has, rows);
}

/* Ids and labels of a set, where the store has them: 8 bytes a row each, or the strings. */
static trm_status read_rows(trm_store *store, int64_t first, int64_t count, trm_export_rows *rows,
                            trm_error *err)
{
    const bool labelled = trm_store_file_at(store, 0)->labels != NULL;
    const trm_ids_kind ids = trm_store_ids(store, first > 0);
    rows->rows = count;
    rows->ids = ids;
    rows->id = trm_ids_are_numbers(ids) ? trm_alloc(count, sizeof *rows->id) : NULL;
    rows->label = labelled ? trm_alloc(count, sizeof *rows->label) : NULL;
    if ((trm_ids_are_numbers(ids) && rows->id == NULL) || (labelled && rows->label == NULL))
        return trm_fail_memory(err, "ids and labels", count, sizeof *rows->id);
    rows->labels = trm_store_labels(store);
    trm_status status = trm_store_read(store, first, count, NULL, NULL, rows->label, rows->id, err);
    return status == TRM_OK && ids == TRM_IDS_NAMES
               ? trm_store_read_names(store, first, count, &rows->id_names, err)
               : status;
}

static trm_status open_store(const trm_cli *cli, trm_export *export, trm_store **store, trm_error *err)
{
    const trm_cli_texts *base = &cli->stores;
    const trm_option_texts *queries = &cli->settings->queries;
    trm_store_options options = cli->settings->store;
    const char **path = trm_alloc(base->count + queries->count, sizeof *path);
    if (path == NULL)
        return trm_fail_memory(err, "the list of inputs", base->count + queries->count, sizeof *path);
    for (int i = 0; i < base->count + queries->count; i++)
        path[i] = i < base->count ? base->text[i] : queries->text[i - base->count];
    options.queries = queries->count;
    options.labels_may_lack = true;
    trm_status status =
        trm_store_open(MPI_COMM_SELF, base->count + queries->count, path, &options, store, err);
    trm_free(path);
    if (status != TRM_OK)
        return status;
    const int64_t rows = trm_store_base_rows(*store), all = trm_store_rows(*store);
    status = check_rows(export, "store_rows", rows, err);
    if (status == TRM_OK && queries->count > 0)
        status = check_rows(export, "queries_rows", all - rows, err);
    if (status == TRM_OK)
        status = read_rows(*store, 0, rows, &export->base, err);
    if (status == TRM_OK && queries->count > 0)
        status = read_rows(*store, rows, all - rows, &export->askers, err);
    return status;
}

static trm_status open_texts(const trm_cli *cli, trm_export *export, trm_error *err)
{
    int64_t rows = -1, queries = -1;
    trm_status status = TRM_OK;
    (void)trm_result_whole(export->result, "store_rows", &rows);
    export->two_sets = trm_result_whole(export->result, "queries_rows", &queries);
    if (export->two_sets != (cli->query_texts != NULL) && cli->texts != NULL)
        return trm_fail(err, TRM_ERR_USAGE, "result '%s' is %s: %s --query-texts",
                        trm_result_path(export->result), export->two_sets ? "of queries" : "of one set",
                        export->two_sets ? "give" : "leave out");
    if (cli->texts != NULL)
        status = trm_texts_open(cli->texts, rows, &export->base.texts, err);
    if (status == TRM_OK && cli->query_texts != NULL)
        status = trm_texts_open(cli->query_texts, queries, &export->askers.texts, err);
    return status;
}

/* ---- writing ---- */

/* The result's name with the other ending, where none is given. */
static char *output_of(const trm_cli *cli)
{
    const char *result = cli->input[0], *dot = strrchr(result, '.');
    const bool hdf5 = dot != NULL && (strcmp(dot, ".h5") == 0 || strcmp(dot, ".hdf5") == 0);
    const int length = (int)(hdf5 ? (size_t)(dot - result) : strlen(result));
    return cli->export_to != NULL ? trm_format("%s", cli->export_to)
                                  : trm_format("%.*s%s", length, result, endings[to_of(cli)]);
}

/* Texts make training data: triplets, if nothing else is said. */
static trm_export_form form_of(const trm_cli *cli)
{
    return cli->form == TRM_EXPORT_ROWS && cli->texts != NULL && to_of(cli) != TRM_TO_NPZ
               ? TRM_EXPORT_TRIPLET
               : (trm_export_form)cli->form;
}

/* Nothing that is read is written over. store: NULL where none is given. */
static trm_status begin(const trm_cli *cli, trm_export *export, const trm_store *store, const char *output,
                        trm_error *err)
{
    const char *input[3] = {cli->input[0]};
    int inputs = 1;
    if (export->base.texts.path != NULL)
        input[inputs++] = export->base.texts.path;
    if (export->askers.texts.path != NULL)
        input[inputs++] = export->askers.texts.path;
    const trm_status status =
        trm_stream_open(output, cli->settings->overwrite, inputs, input, &export->to, err);
    return status == TRM_OK && store != NULL ? trm_stream_check_store(export->to, store, err) : status;
}

static trm_status write_all(const trm_cli *cli, trm_export *export, const trm_store *store,
                            const char *output, trm_error *err)
{
    const trm_export_form form = form_of(cli);
    const bool csv = to_of(cli) == TRM_TO_CSV;
    if (form != TRM_EXPORT_ROWS && !trm_result_has_lines(export->result))
        return trm_fail(err, TRM_ERR_DATA,
                        "result '%s': --form and --texts are for triplets, as mine writes them",
                        trm_result_path(export->result));
    trm_status status = begin(cli, export, store, output, err);
    if (status == TRM_OK)
        status = form != TRM_EXPORT_ROWS    ? trm_export_training(export, form, csv, err)
                 : to_of(cli) == TRM_TO_NPZ ? trm_export_npz(export, err)
                                            : trm_export_table(export, csv, err);
    if (status == TRM_OK)
        status = trm_result_check_unchanged(export->result, err);
    if (status == TRM_OK)
        status = trm_texts_check_unchanged(&export->base.texts, err);
    if (status == TRM_OK)
        status = trm_texts_check_unchanged(&export->askers.texts, err);
    if (status == TRM_OK)
        status = trm_stream_finish(export->to, err);
    trm_stream_close(&export->to);
    return status;
}

static trm_status tell(const trm_cli *cli, const trm_export *export, const char *output, trm_error *err)
{
    if (cli->json)
        return trm_report_print(json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:I}", "program", "trimine",
                                          "version", trm_version(), "command", "export", "result",
                                          trm_json_text(cli->input[0]), "output", trm_json_text(output),
                                          "rows", (json_int_t) export->lines, "left_out",
                                          (json_int_t) export->left_out),
                                err);
    if (!cli->quiet)
        trm_say(stderr, "wrote      %s: %" PRId64 " rows", output, export->lines);
    if (!cli->quiet && export->left_out > 0)
        trm_say(stderr, "left out   %" PRId64 ", without a positive or with fewer negatives than others",
                export->left_out);
    return TRM_OK;
}

static trm_status export_result(const trm_cli *cli, trm_error *err)
{
    trm_export export = {.base = {.rows = -1}, .askers = {.rows = -1}};
    trm_store *store = NULL;
    char *output = output_of(cli);
    trm_status status = output == NULL ? trm_fail_memory(err, "a path", 1, 1)
                                       : trm_result_open(MPI_COMM_SELF, cli->input[0], &export.result, err);
    if (status == TRM_OK)
        status = trm_columns_open(export.result, &export.columns, err);
    if (status == TRM_OK)
        status = open_texts(cli, &export, err);
    if (status == TRM_OK && cli->stores.count > 0)
        status = open_store(cli, &export, &store, err);
    if (status == TRM_OK)
        status = write_all(cli, &export, store, output, err);
    if (status == TRM_OK)
        status = tell(cli, &export, output, err);
    trm_export_rows_free(&export.base);
    trm_export_rows_free(&export.askers);
    trm_store_close(&store);
    trm_result_close(&export.result);
    trm_free(output);
    return status;
}

static trm_status run(trm_cli *cli, trm_error *err)
{
    const trm_status status = trm_rank_of(MPI_COMM_WORLD) == 0 ? export_result(cli, err) : TRM_OK;
    return trm_agree(MPI_COMM_WORLD, status, err);
}

static trm_status check(const trm_cli *cli, trm_error *err)
{
    const bool lists = cli->form == TRM_EXPORT_LABELED_LIST || cli->form == TRM_EXPORT_FLAG;
    if (cli->inputs != 1)
        return trm_fail(err, TRM_ERR_USAGE, "export takes one result; give its store by --store");
    if (to_of(cli) == TRM_TO_NONE)
        return trm_fail(err, TRM_ERR_USAGE, "give --to npz, csv or jsonl, or -o FILE with one of these ends");
    if (to_of(cli) == TRM_TO_NPZ && (cli->form != TRM_EXPORT_ROWS || cli->texts != NULL))
        return trm_fail(err, TRM_ERR_USAGE,
                        "--to npz holds numbers: --form and --texts go with csv and jsonl");
    if (to_of(cli) == TRM_TO_CSV && lists)
        return trm_fail(err, TRM_ERR_USAGE, "this --form has lists, which go with --to jsonl only");
    if (cli->settings->queries.count > 0 && cli->stores.count == 0)
        return trm_fail(err, TRM_ERR_USAGE, "--queries goes with --store");
    const struct {
        const char *name;
        int given;
    } of_store[] = {{"labels", cli->settings->labels.count},
                    {"ids", cli->settings->ids.count},
                    {"query-labels", cli->settings->query_labels.count},
                    {"query-ids", cli->settings->query_ids.count}};
    for (size_t i = 0; i < sizeof of_store / sizeof *of_store && cli->stores.count == 0; i++)
        if (of_store[i].given > 0)
            return trm_fail(err, TRM_ERR_USAGE, "--%s goes with --store", of_store[i].name);
    if (cli->query_texts != NULL && cli->texts == NULL)
        return trm_fail(err, TRM_ERR_USAGE, "--query-texts goes with --texts");
    return TRM_OK;
}

static const trm_taken shared[] = {TRM_TAKE(trm_overwrite_table), TRM_TAKE(trm_asked_queries_table),
                                   TRM_TAKE(trm_dataset_table)};
static const trm_taken own[] = {TRM_TAKE(trm_exported_table), TRM_TAKE(trm_texts_table),
                                TRM_TAKE(trm_report_table)};
static const trm_takes shared_takes = TRM_TAKES(shared), own_takes = TRM_TAKES(own);

const trm_command trm_command_export = {
    .name = "export",
    .arguments = "RESULT",
    .about = "Writes a result as .npz, CSV or JSON lines, or as training data.",
    .settings = &shared_takes,
    .own = &own_takes,
    .check = check,
    .run = run,
};
