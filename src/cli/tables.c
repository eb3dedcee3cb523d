/* The program's own options, a table each group of those that commands take together; see options/option.h.
 * Settings of all of them are in trm_cli. */
#include "cli/tables.h"

#include "cli/export.h"

static const trm_option synthetic_rows[] = {
    {.name = "rows",
     .value = "N",
     .about = "rows of the synthetic store",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_cli, rows),
     .least = 1,
     .most = 0x1p40},
    {.name = "dim",
     .value = "D",
     .about = "its dimensions",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_cli, dim),
     .least = 1,
     .most = 65536},
    {.name = "classes",
     .value = "C",
     .about = "its classes",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_cli, classes),
     .least = 1,
     .most = 0x1p40},
    {.name = "spread",
     .value = "X",
     .about = "noise around a class's centre, relative to its length",
     .kind = TRM_OPTION_REAL,
     TRM_FIELD(trm_cli, spread),
     .most = 1e100}, /* noise is squared and added up before rows are scaled to norm 1 */
};
const trm_options trm_synthetic_table = TRM_OPTIONS("Synthetic store", synthetic_rows);

static const trm_option import_rows[] = {
    {.name = "divide",
     .value = "X",
     .about = "divide every value by X, as float32: 255 makes pixels numbers from 0 to 1",
     .kind = TRM_OPTION_REAL,
     TRM_FIELD(trm_cli, divisor),
     .least = 1e-30,
     .most = 1e30},
};
const trm_options trm_import_table = TRM_OPTIONS("Import", import_rows);

static const trm_option rounds_rows[] = {
    {.name = "rounds",
     .value = "R",
     .about = "how often it is measured; medians are told",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_cli, rounds),
     .least = 1,
     .most = 1000},
};
const trm_options trm_rounds_table = TRM_OPTIONS("Measurement", rounds_rows);

static const trm_option shown_rows[] = {
    {.name = "rows",
     .value = "N",
     .about = "first rows to print",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_cli, shown),
     .least = 0,
     .most = 1e6},
};
static const trm_word export_to[] = {
    {.name = "npz", .about = "arrays, which numpy.load reads", .value = TRM_TO_NPZ},
    {.name = "csv", .about = "RFC 4180, with a header", .value = TRM_TO_CSV},
    {.name = "jsonl", .about = "a JSON object a line", .value = TRM_TO_JSONL},
};
const trm_words trm_export_to_words = TRM_WORDS("trm_export_to", export_to);

static const trm_word export_form[] = {
    {.name = "rows", .about = "the rows of the result", .value = TRM_EXPORT_ROWS},
    {.name = "triplet", .about = "anchor, positive, negative", .value = TRM_EXPORT_TRIPLET},
    {.name = "n-tuple", .about = "anchor, positive, negative_1 to negative_K", .value = TRM_EXPORT_N_TUPLE},
    {.name = "labeled-list",
     .about = "anchor, documents, and labels 1 and 0",
     .value = TRM_EXPORT_LABELED_LIST},
    {.name = "flagembedding", .about = "query, pos, neg", .value = TRM_EXPORT_FLAG},
};
static const trm_words export_form_words = TRM_WORDS("trm_export_form", export_form);

static const trm_option exported_rows[] = {
    {.name = "to",
     .value = "FORMAT",
     .about = "what to write",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_cli, to),
     .words = &trm_export_to_words,
     .optional = true},
    {.name = "output",
     .letter = 'o',
     .value = "FILE",
     .about = "where to (the result's name with the other ending); without --to its end says what: .npz, "
              ".csv, .jsonl",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_cli, export_to)},
    {.name = "form",
     .value = "FORM",
     .about = "of a line, for training with sentence-transformers or FlagEmbedding",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_cli, form),
     .words = &export_form_words},
    {.name = "store",
     .value = "FILE",
     .about = "the store that the result is of: adds ids and names of labels; may be repeated",
     .kind = TRM_OPTION_TEXTS,
     TRM_FIELD(trm_cli, stores)},
};
const trm_options trm_exported_table = TRM_OPTIONS("Export", exported_rows);

static const trm_option texts_rows[] = {
    {.name = "texts",
     .value = "FILE",
     .about = "the text of each row of the store, one a line; .jsonl: a JSON string or an object with a "
              "\"text\"; .jsonl:FIELD",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_cli, texts)},
    {.name = "query-texts",
     .value = "FILE",
     .about = "the text of each query, in the same way",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_cli, query_texts)},
};
const trm_options trm_texts_table = TRM_OPTIONS("Texts", texts_rows);

static const trm_option sample_rows[] = {
    {.name = "sample",
     .value = "N",
     .about = "rows to decide anew, at most",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_cli, sample),
     .least = 0,
     .most = TRM_MOST},
    {.name = "triplets",
     .value = "FILE",
     .about = "of a result of loss --triplets FILE: that file",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_cli, given)},
};
const trm_options trm_shown_table = TRM_OPTIONS("Report", shown_rows);
const trm_options trm_sample_table = TRM_OPTIONS("Sample", sample_rows);

static const trm_word progress[] = {
    {.name = "auto", .about = "a bar on a terminal, else lines", .value = TRM_PROGRESS_AUTO},
    {.name = "always", .about = "also with --quiet", .value = TRM_PROGRESS_ALWAYS},
    {.name = "never", .about = "none", .value = TRM_PROGRESS_NEVER},
};
static const trm_words progress_words = TRM_WORDS("trm_progress_mode", progress);

static const trm_option progress_rows[] = {
    {.name = "progress",
     .value = "WHEN",
     .about = "how far the job is, on standard error",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_cli, progress),
     .words = &progress_words},
};
const trm_options trm_progress_table = TRM_OPTIONS("Report", progress_rows);

static const trm_option report_rows[] = {
    {.name = "json",
     .about = "one JSON object on standard output",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_cli, json)},
    {.name = "quiet",
     .about = "no report, only errors and warnings",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_cli, quiet)},
    {.name = "verbose",
     .letter = 'v',
     .about = "say more",
     .kind = TRM_OPTION_COUNT,
     TRM_FIELD(trm_cli, verbose)},
};
const trm_options trm_report_table = TRM_OPTIONS("Report", report_rows);

static const trm_word shells[] = {
    {.name = "bash", .about = "for share/bash-completion/completions/trimine"},
    {.name = "zsh", .about = "for share/zsh/site-functions/_trimine"},
};
static const trm_words shell_words = TRM_WORDS("shell", shells);

static const trm_option pages_rows[] = {
    {.name = "man",
     .value = "PAGE",
     .about = "print the manual page of a command, or of trimine, as man reads it",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_cli, man),
     .optional = true},
    {.name = "completion",
     .value = "SHELL",
     .about = "print the completion of command lines for this shell",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_cli, completion),
     .words = &shell_words,
     .optional = true},
};
const trm_options trm_pages_table = TRM_OPTIONS("Pages", pages_rows);

static const trm_option page_rows[] = {
    {.name = "output",
     .letter = 'o',
     .value = "FILE",
     .about = "write the page to FILE, which ends in .html or .htm",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_cli, page)},
    {.name = "json-report",
     .value = "FILE",
     .about = "what the job printed with --json: the page then has time, ranks and all counts",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_cli, json_report)},
    {.name = "images",
     .value = "PATH",
     .about = "pictures of the rows: a folder that the store's /paths lie in, or one array (.npy, IDX, HDF5)",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_cli, images)},
};
const trm_options trm_page_table = TRM_OPTIONS("Page", page_rows);

static const trm_taken job_own[] = {TRM_TAKE(trm_progress_table), TRM_TAKE(trm_report_table)};
const trm_takes trm_job_takes = TRM_TAKES(job_own);

static const trm_takes *settings_of(const trm_command *command)
{
    return (command->traits & TRM_IS_JOB) != 0 ? &trm_job_kind_find(command->name)->takes : command->settings;
}

trm_walk trm_command_walk(const trm_command *command)
{
    static const trm_takes none;
    const trm_takes *settings = settings_of(command);
    return (trm_walk){.part = {settings != NULL ? settings : &none, command->own}};
}

void *trm_walk_settings(const trm_walk *walk, const trm_cli *cli)
{
    return (char *)(uintptr_t)(walk->which == 0 ? (const void *)cli->settings : cli) + walk->at;
}

trm_clusters trm_cli_clusters(const trm_cli *cli)
{
    return (trm_clusters){.rows = cli->rows,
                          .classes = cli->classes,
                          .dim = (int)cli->dim,
                          .seed = (uint64_t)cli->settings->seed,
                          .spread = cli->spread};
}
