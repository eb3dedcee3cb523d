/* trimine report: a result as a page. What makes the page is in Python (python/trimine/report.py), where plots and text are
 * little work; this hands it the command line, and says what came of it. */
#include "cli/python.h"
#include "cli/tables.h"

#include "base/alloc.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Options as the module takes them: NAME=VALUE in new memory, or a word. */
typedef struct arguments {
    const char **word;
    int count, made; /* the first made of them are to be freed */
} arguments;

/* Adds --name=value, where there is a value. False: out of memory. */
static bool add(arguments *list, const char *name, const char *value)
{
    if (value == NULL)
        return true;
    char *text = trm_format("--%s=%s", name, value);
    if (text == NULL)
        return false;
    list->word[list->count++] = text;
    list->made = list->count;
    return true;
}

static bool add_all(arguments *list, const char *name, const trm_option_texts *texts)
{
    bool whole = true;
    for (int i = 0; i < texts->count && whole; i++)
        whole = add(list, name, texts->text[i]);
    return whole;
}

static bool fill(const trm_cli *cli, arguments *list)
{
    const trm_settings *settings = cli->settings;
    bool whole = add(list, "output", cli->page) && add(list, "json-report", cli->json_report) &&
                 add(list, "images", cli->images) && add(list, "embeddings", settings->store.embeddings) &&
                 add_all(list, "labels", &settings->labels) && add_all(list, "ids", &settings->ids) &&
                 add(list, "texts", cli->texts) && add(list, "query-texts", cli->query_texts) &&
                 add_all(list, "query-labels", &settings->query_labels) &&
                 add_all(list, "query-ids", &settings->query_ids) &&
                 add_all(list, "queries", &settings->queries);
    if (settings->overwrite)
        list->word[list->count++] = "--overwrite";
    list->word[list->count++] = "--";
    for (int i = 0; i < cli->inputs; i++)
        list->word[list->count++] = cli->input[i];
    list->word[list->count] = NULL;
    return whole;
}

static trm_status tell(const trm_cli *cli, trm_error *err)
{
    struct stat about;
    const int64_t bytes = stat(cli->page, &about) == 0 ? (int64_t)about.st_size : 0;
    if (cli->json)
        return trm_report_print(json_pack("{s:s, s:s, s:s, s:o, s:o, s:I}", "program", "trimine", "version",
                                          trm_version(), "command", "report", "result",
                                          trm_json_text(cli->input[0]), "output", trm_json_text(cli->page),
                                          "bytes", (json_int_t)bytes),
                                err);
    if (!cli->quiet)
        trm_say(stderr, "wrote      %s: a page of %.0f kB", cli->page, (double)bytes / 1e3);
    return TRM_OK;
}

static trm_status run(trm_cli *cli, trm_error *err)
{
    enum { MORE = 12 }; /* options that come once, "--" and the end */
    const trm_settings *settings = cli->settings;
    const int most = MORE + settings->labels.count + settings->ids.count + settings->query_labels.count +
                     settings->query_ids.count + settings->queries.count + cli->inputs;
    arguments list = {.word = trm_alloc(most, sizeof *list.word)};
    trm_status status = TRM_OK;
    if (list.word == NULL || !fill(cli, &list))
        status = trm_fail_memory(err, "the list of arguments", most, sizeof *list.word);
    if (status == TRM_OK)
        status = trm_python_run("trimine.report", list.word, err);
    for (int i = 0; i < list.made; i++)
        trm_free((char *)(uintptr_t)list.word[i]);
    trm_free(list.word);
    return status == TRM_OK ? tell(cli, err) : status;
}

static trm_status check(const trm_cli *cli, trm_error *err)
{
    if (cli->inputs == 0)
        return trm_fail(err, TRM_ERR_USAGE, "no result given (see trimine report --help)");
    if (cli->page == NULL)
        return trm_fail(err, TRM_ERR_USAGE, "report needs an output: -o page.html");
    return TRM_OK;
}

static const trm_taken shared[] = {TRM_TAKE(trm_asked_queries_table), TRM_TAKE(trm_dataset_table),
                                   TRM_TAKE(trm_overwrite_table)};
static const trm_taken own[] = {TRM_TAKE(trm_page_table), TRM_TAKE(trm_texts_table),
                                TRM_TAKE(trm_report_table)};
static const trm_takes shared_takes = TRM_TAKES(shared), own_takes = TRM_TAKES(own);

const trm_command trm_command_report = {
    .name = "report",
    .arguments = "RESULT [STORE]",
    .about = "Makes a page of a result, an HTML file to look at.",
    .settings = &shared_takes,
    .own = &own_takes,
    .traits = TRM_WITHOUT_MPI,
    .check = check,
    .run = run,
};
