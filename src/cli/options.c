/* The command line, read by the tables of options (options/option.h). Read as GNU's getopt_long does, but that a
 * name is not to be shortened: what is an unambiguous beginning today need not be one in the next version. */
#include "cli/tables.h"

#include "base/alloc.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The option of some command, or NULL. */
static const trm_option *find_anywhere(const char *name, size_t length, char letter)
{
    for (int i = 0; trm_commands[i] != NULL; i++) {
        trm_walk walk = trm_command_walk(trm_commands[i]);
        if (trm_walk_find_part(&walk, name, length, letter))
            return walk.option;
    }
    return NULL;
}

typedef struct trm_parse {
    trm_cli *cli;
    trm_error *err;
    const trm_option *option; /* whose value the word before was, or NULL; and that value */
    const char *value;
} trm_parse;

static bool is_job(const trm_cli *cli)
{
    return (cli->command->traits & TRM_IS_JOB) != 0;
}

static trm_status take(const trm_parse *parse, const trm_walk *walk, const char *text)
{
    trm_cli *cli = parse->cli;
    if (walk->which == 0 && is_job(cli))
        return trm_job_set(cli->job, walk->option->name, text, parse->err);
    cli->measures =
        cli->measures || (walk->options != &trm_progress_table && walk->options != &trm_report_table);
    cli->synthetic = cli->synthetic || walk->options == &trm_synthetic_table;
    return trm_option_set(walk->option, trm_walk_settings(walk, cli), text, parse->err);
}

/* Is it a number, or some with commas between or behind? */
static bool is_number(const char *word)
{
    char *end = NULL;
    (void)strtod(word, &end);
    return end != word && strspn(end, ",.+-eE0123456789") == strlen(end);
}

/* Is a word behind the values of an option one more of them, which is no file? */
static bool is_value(const char *word)
{
    return word[0] != '-' && strchr(word, '/') == NULL && (is_number(word) || strchr(word, '.') == NULL) &&
           access(word, F_OK) != 0;
}

/* "--at 10 20", where values have commas between, "--ignore-label 3 4", where each has an option of its own, or "--k 5 10",
 * where there is but one. words: of which the first is the input. */
static trm_status check_behind_value(const trm_parse *parse, int count, const char *const *words)
{
    const trm_option *option = parse->option;
    const bool list = option != NULL && trm_option_is_list(option),
               repeats = option != NULL && option->kind == TRM_OPTION_LABELS;
    char meant[TRM_SUGGESTION];
    if (option == NULL || !is_job(parse->cli) || !is_value(words[0]))
        return TRM_OK;
    if (!list && !repeats && !is_number(words[0]))
        return TRM_OK;
    if (!list && !repeats)
        return trm_fail(parse->err, TRM_ERR_USAGE, "'%s': no such file; --%s takes one value", words[0],
                        option->name);
    snprintf(meant, sizeof meant, "--%s %s", option->name, parse->value);
    for (int i = 0; i < count && is_value(words[i]); i++) {
        const size_t used = strlen(meant);
        const bool comma = list && meant[used - 1] != ',';
        snprintf(meant + used, sizeof meant - used, repeats ? " --%s %s" : "%s%s",
                 repeats ? option->name
                 : comma ? ","
                         : "",
                 words[i]);
    }
    return trm_fail(parse->err, TRM_ERR_USAGE, "'%s': no such file; as one more value it is written %s",
                    words[0], meant);
}

static trm_status take_input(const trm_parse *parse, const char *path)
{
    trm_cli *cli = parse->cli;
    cli->input[cli->inputs++] = path;
    return is_job(cli) ? trm_job_add_input(cli->job, path, parse->err) : TRM_OK;
}

/* ---- words ---- */

enum { NAMES = 2048 };

static void add_name(char list[NAMES], const char *name)
{
    const size_t length = strlen(list);
    snprintf(list + length, NAMES - length, "%s%s", length > 0 ? " " : "", name);
}

/* What tools that do the same work call an option, in small letters and with dashes; and what it is here, of commands that have
 * that option. option: NULL: it is none here, and value says what it is, of commands that take stores. */
static const struct {
    const char *name, *option, *value;
} elsewhere[] = {
    {"topk", "negatives", " topk:K"},
    {"top-k", "negatives", " topk:K"},
    {"k", "negatives", " topk:K"},
    {"num-negatives", "negatives", " topk:K"},
    {"num-hard-negatives", "negatives", " topk:K"},
    {"type-of-triplets", "negatives", ""},
    {"range-min", "ranks", " A-B"},
    {"range-max", "ranks", " A-B"},
    {"max-score", "min-distance", " X, which is 1 - score"},
    {"min-score", "max-distance", " X, which is 1 - score"},
    {"topk", "at", ""},
    {"top-k", "at", ""},
    {"k", "at", ""},
    {"topk", "k", ""},
    {"top-k", "k", ""},
    {"distance", "metric", ""},
    {"distance-metric", "metric", ""},
    {"query", "queries", ""},
    {"qrels", "pairs", ", of row ids: python3 -m trimine.qrels makes them"},
    {"neighbors", "k", ""},
    {"num-neighbors", "k", ""},
    {"n-neighbors", "k", ""},
    {"cosine", "metric", " cosine"},
    {"threshold", "radius", ""},
    {"eps", "radius", ""},
    {"batch-size", "classes-per-batch", " P, with --rows-per-class K"},
    {"num-threads", "threads", ""},
    {"n-jobs", "threads", ""},
    {"jobs", "threads", ""},
    {"mem", "mem-per-rank", ""},
    {"memory", "mem-per-rank", ""},
    {"out", "output", ""},
    {"out", "per-query", ""},
    {"output", "per-query", ""},
    {"j", "threads", ""},
    {"workers", "threads", ""},
    {"num-workers", "threads", ""},
    {"restart", "resume", ""},
    {"corpus", NULL, "STORE, without an option"},
    {"documents", NULL, "STORE, without an option"},
    {"docs", NULL, "STORE, without an option"},
    {"passages", NULL, "STORE, without an option"},
    {"n", "ranks-list", ""},
    {"np", "ranks-list", ""},
    {"n", NULL, "mpirun's: mpirun -n P trimine ..."},
    {"np", NULL, "mpirun's: mpirun -n P trimine ..."},
};

/* ", here it is --metric" for another tool's name of it; "" where it is none. Returns text. */
static const char *name_here(const trm_command *command, const char *name, size_t length,
                             char text[TRM_SUGGESTION])
{
    text[0] = '\0';
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere && text[0] == '\0'; i++) {
        trm_walk walk = trm_command_walk(command);
        const char *const option = elsewhere[i].option;
        const bool known =
            option != NULL ? trm_walk_find(&walk, option) : (command->traits & TRM_TAKES_STORES) != 0;
        if (known && trm_is_called(elsewhere[i].name, name, length))
            snprintf(text, TRM_SUGGESTION, ", here it is %s%s%s", option != NULL ? "--" : "",
                     option != NULL ? option : "", elsewhere[i].value);
    }
    return text;
}

/* A word that is no option of any command. name: without its dashes, and without a value. */
static trm_status refuse_unknown(const trm_parse *parse, const char *shown, int shown_length,
                                 const char *name, size_t length)
{
    const trm_command *command = parse->cli->command;
    char list[NAMES] = "", meant[TRM_SUGGESTION], bare[TRM_SUGGESTION];
    snprintf(bare, sizeof bare, "%.*s", (int)length, name);
    for (trm_walk walk = trm_command_walk(command); trm_walk_next(&walk);)
        if (walk.option->name != NULL)
            add_name(list, walk.option->name);
    add_name(list, "help");
    if (name_here(command, name, length, meant)[0] == '\0')
        trm_suggest(bare, "--", list, meant);
    return trm_fail(parse->err, TRM_ERR_USAGE, "'%.*s': unknown option%s (see trimine %s --help)",
                    shown_length, shown, meant, command->name);
}

/* An option of other commands: which. */
static trm_status refuse_foreign(const trm_parse *parse, const char *name)
{
    char list[NAMES] = "", meant[TRM_SUGGESTION];
    for (int i = 0; trm_commands[i] != NULL; i++) {
        trm_walk walk = trm_command_walk(trm_commands[i]);
        if (trm_walk_find(&walk, name))
            add_name(list, trm_commands[i]->name);
    }
    return trm_fail(parse->err, TRM_ERR_USAGE, "'--%s': not an option of trimine %s, but of: %s%s", name,
                    parse->cli->command->name, list,
                    name_here(parse->cli->command, name, strlen(name), meant));
}

/* Is the word after an option that needs a value an option itself? Not so "-1", a label, nor "-". */
static bool is_option(const char *text)
{
    return text[0] == '-' && (text[1] == '-' || (text[1] != '\0' && find_anywhere(NULL, 0, text[1]) != NULL));
}

/* An option with the value that is attached to it, or NULL, and the word that follows, or NULL. Sets *taken
 * where that is its value. */
static trm_status parse_option(trm_parse *parse, const trm_option *option, const char *attached,
                               const char *next, bool *taken)
{
    const char *const name = option->name, *value = attached;
    const bool takes_value = trm_option_takes_value(option);
    trm_walk walk = trm_command_walk(parse->cli->command);
    if (!trm_walk_find(&walk, name))
        return refuse_foreign(parse, name);
    if (!takes_value && attached != NULL)
        return trm_fail(parse->err, TRM_ERR_USAGE, "'--%s': takes no value, but got '%s'", name, attached);
    if (takes_value && attached == NULL) {
        if (next == NULL || is_option(next))
            return trm_fail(parse->err, TRM_ERR_USAGE, "'--%s': needs a value: --%s %s", name, name,
                            option->value);
        value = next;
        *taken = true;
    }
    parse->option = takes_value ? option : NULL;
    parse->value = value;
    return take(parse, &walk, value);
}

static trm_status parse_long(trm_parse *parse, const char *given, const char *next, bool *taken)
{
    const char *const name = given + 2, *const equals = strchr(name, '=');
    const size_t length = strcspn(name, "=");
    const trm_option *option = find_anywhere(name, length, '\0');
    if (option == NULL)
        return refuse_unknown(parse, given, (int)length + 2, name, length);
    return parse_option(parse, option, equals != NULL ? equals + 1 : NULL, next, taken);
}

/* -v, -vv, -o FILE, -oFILE. */
static trm_status parse_letters(trm_parse *parse, const char *given, const char *next, bool *taken)
{
    const size_t length = strcspn(given + 1, "=");
    trm_status status = TRM_OK;
    if (length > 1 && find_anywhere(given + 1, length, '\0') != NULL) /* -overwrite is not -o verwrite */
        return refuse_unknown(parse, given, (int)length + 1, given + 1, length);
    for (const char *at = given + 1; *at != '\0' && status == TRM_OK; at++) {
        const trm_option *option = find_anywhere(NULL, 0, *at);
        if (option == NULL)
            return refuse_unknown(parse, given, (int)length + 1, given + 1, length);
        const bool attached = trm_option_takes_value(option) && at[1] != '\0';
        if (attached && at[1] == '=') /* the file "=FILE" is what nobody means */
            return trm_fail(parse->err, TRM_ERR_USAGE, "'%s': write -%c %s, or --%s=%s", given, *at, at + 2,
                            option->name, at + 2);
        status = parse_option(parse, option, attached ? at + 1 : NULL, next, taken);
        if (attached)
            return status;
    }
    return status;
}

static trm_status parse_words(trm_cli *cli, int count, const char *const *words, trm_error *err)
{
    trm_parse parse = {.cli = cli, .err = err};
    trm_status status = TRM_OK;
    bool options = true;
    for (int i = 0; i < count && status == TRM_OK; i++) {
        const char *next = i + 1 < count ? words[i + 1] : NULL;
        bool taken = false;
        if (!options || words[i][0] != '-' || words[i][1] == '\0') {
            status = options ? check_behind_value(&parse, count - i, words + i) : TRM_OK;
            parse.option = NULL;
            if (status == TRM_OK)
                status = take_input(&parse, words[i]);
        } else if (strcmp(words[i], "--") == 0)
            options = false;
        else if (words[i][1] == '-')
            status = parse_long(&parse, words[i], next, &taken);
        else
            status = parse_letters(&parse, words[i], next, &taken);
        i += taken;
    }
    return status;
}

/* ---- all of it ---- */

void trm_cli_init(trm_cli *cli, const trm_command *command)
{
    *cli = (trm_cli){.command = command,
                     .rows = 20000,
                     .dim = 128,
                     .classes = 100,
                     .spread = 1.0,
                     .rounds = 5,
                     .sample = 100,
                     .shown = 5,
                     .divisor = 1.0};
    cli->settings = trm_alloc(1, sizeof *cli->settings);
    if (cli->settings == NULL)
        return;
    trm_settings_init(cli->settings, NULL);
    if (command != NULL && command->prepare != NULL)
        command->prepare(cli);
}

void trm_cli_free(trm_cli *cli)
{
    trm_job_destroy(&cli->job);
    trm_free(cli->input);
    trm_free(cli->stores.text);
    if (cli->settings != NULL)
        trm_settings_free(cli->settings);
    trm_free(cli->settings);
}

trm_status trm_cli_refuse_command(const char *name, trm_error *err)
{
    char list[NAMES] = "help", meant[TRM_SUGGESTION];
    for (int i = 0; trm_commands[i] != NULL; i++)
        add_name(list, trm_commands[i]->name);
    if (name[0] == '-')
        return trm_fail(err, TRM_ERR_USAGE,
                        "'%s': the command comes first: trimine COMMAND [OPTION...], COMMAND one of %s", name,
                        list);
    if (strcmp(name, "qrels") == 0)
        return trm_fail(err, TRM_ERR_USAGE,
                        "'qrels': no such command, it is in Python: python3 -m trimine.qrels");
    return trm_fail(err, TRM_ERR_USAGE, "'%s': no such command%s (see trimine --help)", name,
                    trm_suggest(name, "", list, meant));
}

static trm_status check(const trm_cli *cli, trm_error *err)
{
    const trm_command *command = cli->command;
    if ((command->traits & TRM_TAKES_STORES) != 0 && cli->inputs == 0)
        return trm_fail(err, TRM_ERR_USAGE, "no store given (see trimine %s --help)", command->name);
    const trm_status status = is_job(cli) ? trm_job_check(cli->job, err) : TRM_OK;
    return status == TRM_OK && command->check != NULL ? command->check(cli, err) : status;
}

trm_status trm_cli_parse(int argc, char **argv, trm_cli *cli, trm_error *err)
{
    const trm_command *command = argc < 2 ? NULL : trm_command_find(argv[1]);
    trm_status status = TRM_OK;
    trm_cli_init(cli, command);
    if (argc < 2)
        return trm_fail(err, TRM_ERR_USAGE, "no command given (see trimine --help)");
    if (command == NULL)
        return trm_cli_refuse_command(strcmp(argv[1], "help") == 0 && argc > 2 ? argv[2] : argv[1], err);
    cli->input = trm_alloc(argc, sizeof *cli->input);
    if (cli->input == NULL || cli->settings == NULL)
        return trm_fail_memory(err, "the list of inputs", argc, sizeof *cli->input);
    if (is_job(cli))
        status = trm_job_create(command->name, &cli->job, err);
    if (status == TRM_OK)
        status = parse_words(cli, argc - 2, (const char *const *)argv + 2, err);
    if (status == TRM_OK)
        status = check(cli, err);
    if (status == TRM_OK && !is_job(cli))
        trm_settings_settle(cli->settings);
    return status;
}

bool trm_cli_wants_json(int argc, char **argv)
{
    bool json = false;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        json = json || strcmp(argv[i], "--json") == 0;
    return json;
}
