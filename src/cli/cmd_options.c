/* trimine options: all options of all commands, as a table for people, as JSON for programs that make something of
 * it (Python's keywords), as manual pages and as completion. Needs no MPI, as --help. */
#include "cli/tables.h"

#include "base/json.h"
#include "store/usual.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- JSON ---- */

static json_t *options_json(const trm_command *command)
{
    trm_cli defaults;
    json_t *all = json_array();
    trm_cli_init(&defaults, command);
    for (trm_walk walk = trm_command_walk(command); trm_walk_next(&walk);) {
        if (walk.option->name == NULL)
            continue;
        json_t *option =
            trm_option_schema(walk.option, trm_walk_settings(&walk, &defaults), trm_settings_source_names());
        trm_json_put(&option, "group", json_string(walk.options->title));
        trm_json_append(&all, option);
    }
    trm_cli_free(&defaults);
    return all;
}

static json_t *command_json(const trm_command *command)
{
    return json_pack(
        "{s:s, s:s, s:s, s:o, s:b, s:b, s:b, s:o}", "name", command->name, "arguments", command->arguments,
        "about", command->about, "essay", trm_json_text_or_null(command->essay), "takes_stores",
        (command->traits & TRM_TAKES_STORES) != 0, "keeps_work", (command->traits & TRM_HAS_CHECKPOINT) != 0,
        "needs_mpi", (command->traits & TRM_WITHOUT_MPI) == 0, "options", options_json(command));
}

static json_t *names_json(const char *const *name)
{
    json_t *names = json_array();
    for (; *name != NULL; name++)
        trm_json_append(&names, json_string(*name));
    return names;
}

static json_t *datasets_json(void)
{
    return json_pack("{s:o, s:o, s:o}", "embeddings", names_json(trm_usual_embeddings), "labels",
                     names_json(trm_usual_labels), "ids", names_json(trm_usual_ids));
}

static json_t *schema(void)
{
    json_t *commands = json_array(), *sources = json_array();
    for (int i = 0; trm_commands[i] != NULL; i++)
        trm_json_append(&commands, command_json(trm_commands[i]));
    for (int bit = 0; bit < TRM_AT_SOURCES; bit++)
        trm_json_append(&sources, json_string(trm_settings_source_names()[bit]));
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "program", "trimine", "version", trm_version(),
                     "command", "options", "sources", sources, "datasets", datasets_json(), "presets",
                     trm_preset_schema(), "commands", commands);
}

/* ---- a table ---- */

/* Is it in a command before this one? */
static bool was_shown(const trm_option *option, int before)
{
    for (int i = 0; i < before; i++)
        for (trm_walk walk = trm_command_walk(trm_commands[i]); trm_walk_next(&walk);)
            if (walk.option == option)
                return true;
    return false;
}

/* "mine loss", the commands that take it. */
static const char *commands_of(const trm_option *option, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; trm_commands[i] != NULL && used < size; i++)
        for (trm_walk walk = trm_command_walk(trm_commands[i]); trm_walk_next(&walk);)
            if (walk.option == option)
                used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? " " : "",
                                         trm_commands[i]->name);
    return text;
}

static void print_option(const trm_walk *walk, const trm_cli *defaults)
{
    char name[80], of[160], text[TRM_OPTION_HELP];
    const trm_option *option = walk->option;
    const char letter[] = {'-', option->letter, ',', ' ', '\0'};
    snprintf(name, sizeof name, "%s--%s%s%s", option->letter != '\0' ? letter : "", option->name,
             option->value != NULL ? " " : "", option->value != NULL ? option->value : "");
    printf("%-28s %-7s %-34s %s\n", name, trm_option_kind_name(option->kind),
           commands_of(option, of, sizeof of),
           trm_option_help(option, trm_walk_settings(walk, defaults), text));
}

static void print_table(void)
{
    trm_cli defaults;
    printf("%-28s %-7s %-34s %s\n", "option", "kind", "commands", "about");
    for (int i = 0; trm_commands[i] != NULL; i++) {
        trm_cli_init(&defaults, trm_commands[i]);
        for (trm_walk walk = trm_command_walk(trm_commands[i]); trm_walk_next(&walk);)
            if (walk.option->name != NULL && !was_shown(walk.option, i))
                print_option(&walk, &defaults);
        trm_cli_free(&defaults);
    }
}

static trm_status run(trm_cli *cli, trm_error *err)
{
    if (cli->json)
        return trm_report_print(schema(), err);
    if (cli->man != NULL) {
        if (!trm_man_print(cli->man))
            return trm_cli_refuse_command(cli->man, err);
    } else if (cli->completion != NULL)
        trm_completion_print(cli->completion);
    else if (!cli->quiet)
        print_table();
    const bool written = fflush(stdout) == 0 && ferror(stdout) == 0;
    return written ? TRM_OK
                   : trm_fail(err, TRM_ERR_IO, "the options could not be written to standard output: %s",
                              strerror(errno));
}

static trm_status check(const trm_cli *cli, trm_error *err)
{
    if (cli->inputs > 0)
        return trm_fail(err, TRM_ERR_USAGE, "options takes no store: '%s'", cli->input[0]);
    if (cli->json + (cli->man != NULL) + (cli->completion != NULL) > 1)
        return trm_fail(err, TRM_ERR_USAGE, "of --json, --man and --completion one at a time");
    return TRM_OK;
}

static const trm_taken own[] = {TRM_TAKE(trm_pages_table), TRM_TAKE(trm_report_table)};
static const trm_takes own_takes = TRM_TAKES(own);

const trm_command trm_command_options = {
    .name = "options",
    .arguments = "",
    .about = "Lists all options of all commands; with --json for programs.",
    .own = &own_takes,
    .traits = TRM_WITHOUT_MPI,
    .check = check,
    .run = run,
};
