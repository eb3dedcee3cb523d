/* The command line, read by the tables of options (options/option.h). Read as GNU's getopt_long does, but that a
 * name is not to be shortened: what is an unambiguous beginning today need not be one in the next version. */
#include "cli/cli.h"

#include "base/alloc.h"
#include "loss/options.h"
#include "mine/negatives.h"
#include "mine/options.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- rows ---- */

bool trm_walk_next(trm_walk *walk)
{
    while (walk->table < walk->command->tables) {
        const trm_taken *taken = &walk->command->takes[walk->table];
        if (walk->row < taken->options->count) {
            walk->options = taken->options;
            walk->option = &taken->options->option[walk->row++];
            walk->at = taken->at;
            walk->number = walk->next++;
            return true;
        }
        walk->table++;
        walk->row = 0;
    }
    return false;
}

/* To an option by its name, or by its letter where name is NULL. */
static bool find_option(trm_walk *walk, const char *name, size_t length, char letter)
{
    while (trm_walk_next(walk)) {
        const trm_option *option = walk->option;
        if (option->name == NULL)
            continue;
        if (name == NULL ? option->letter == letter
                         : strncmp(option->name, name, length) == 0 && option->name[length] == '\0')
            return true;
    }
    return false;
}

bool trm_walk_find(trm_walk *walk, const char *name)
{
    return find_option(walk, name, strlen(name), '\0');
}

/* The option of some command, or NULL. */
static const trm_option *find_anywhere(const char *name, size_t length, char letter)
{
    for (int i = 0; trm_commands[i] != NULL; i++) {
        trm_walk walk = {.command = trm_commands[i]};
        if (find_option(&walk, name, length, letter))
            return walk.option;
    }
    return NULL;
}

/* ---- by whom an option was given ---- */

enum { BY_PRESET = 1, BY_USER = 2 };

bool trm_cli_given(const trm_cli *cli, const char *name)
{
    trm_walk walk = {.command = cli->command};
    return trm_walk_find(&walk, name) && cli->given[walk.number] != 0;
}

/* A command line is read three times: for --compat alone, then the preset's words, then all of it. */
typedef enum trm_pass { PASS_SCOUT, PASS_PRESET, PASS_USER } trm_pass;

typedef struct trm_parse {
    trm_cli *cli;
    trm_pass pass;
    trm_error *err;
} trm_parse;

static trm_status scout(const trm_parse *parse, const trm_option *option, const char *text)
{
    const char **compat = &parse->cli->compat;
    if (option->name == NULL || strcmp(option->name, "compat") != 0)
        return TRM_OK;
    if (*compat != NULL)
        return trm_fail(parse->err, TRM_ERR_USAGE, "--compat %s and --compat %s: give one of them", *compat,
                        text);
    *compat = text;
    return TRM_OK;
}

static trm_status take(const trm_parse *parse, const trm_walk *walk, const char *text)
{
    trm_cli *cli = parse->cli;
    if (parse->pass == PASS_SCOUT)
        return scout(parse, walk->option, text);
    cli->given[walk->number] |= parse->pass == PASS_PRESET ? BY_PRESET : BY_USER;
    return trm_option_set(walk->option, (char *)cli + walk->at, text, parse->err);
}

/* ---- words ---- */

enum { NAMES = 2048 };

static void add_name(char list[NAMES], const char *name)
{
    const size_t length = strlen(list);
    snprintf(list + length, NAMES - length, "%s%s", length > 0 ? " " : "", name);
}

/* A word that is no option of any command. name: without its dashes, and without a value. */
static trm_status refuse_unknown(const trm_parse *parse, const char *shown, int shown_length,
                                 const char *name, size_t length)
{
    const trm_command *command = parse->cli->command;
    char list[NAMES] = "", meant[TRM_SUGGESTION], bare[TRM_SUGGESTION];
    snprintf(bare, sizeof bare, "%.*s", (int)length, name);
    for (trm_walk walk = {.command = command}; trm_walk_next(&walk);)
        if (walk.option->name != NULL)
            add_name(list, walk.option->name);
    add_name(list, "help");
    return trm_fail(parse->err, TRM_ERR_USAGE, "'%.*s': unknown option%s (see trimine %s --help)",
                    shown_length, shown, trm_suggest(bare, "--", list, meant), command->name);
}

/* An option of other commands: which. */
static trm_status refuse_foreign(const trm_parse *parse, const char *name)
{
    char list[NAMES] = "";
    for (int i = 0; trm_commands[i] != NULL; i++) {
        trm_walk walk = {.command = trm_commands[i]};
        if (trm_walk_find(&walk, name))
            add_name(list, trm_commands[i]->name);
    }
    return trm_fail(parse->err, TRM_ERR_USAGE, "'--%s': not an option of trimine %s, but of: %s", name,
                    parse->cli->command->name, list);
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
    trm_walk walk = {.command = parse->cli->command};
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

static trm_status parse_words(trm_cli *cli, trm_pass pass, int count, const char *const *words,
                              trm_error *err)
{
    trm_parse parse = {.cli = cli, .pass = pass, .err = err};
    trm_status status = TRM_OK;
    bool options = true;
    for (int i = 0; i < count && status == TRM_OK; i++) {
        const char *next = i + 1 < count ? words[i + 1] : NULL;
        bool taken = false;
        if (!options || words[i][0] != '-' || words[i][1] == '\0') {
            if (pass == PASS_USER)
                cli->input[cli->inputs++] = words[i];
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

/* ---- where triplets come from ---- */

static_assert(TRM_AT_MINED == 1 << TRM_SOURCE_MINED && TRM_AT_GIVEN == 1 << TRM_SOURCE_GIVEN &&
                  TRM_AT_HARD == 1 << TRM_SOURCE_BATCH_HARD && TRM_AT_ALL == 1 << TRM_SOURCE_BATCH_ALL &&
                  TRM_AT_WITHIN == 1 << TRM_SOURCE_WITHIN &&
                  TRM_AT_PACKED_HARD == TRM_AT_PACKED_SEMIHARD << TRM_PACKED_HARD &&
                  TRM_AT_PACKED_RANDOM == TRM_AT_PACKED_SEMIHARD << TRM_PACKED_RANDOM &&
                  TRM_AT_PACKED_REVERSED == TRM_AT_PACKED_SEMIHARD << TRM_PACKED_REVERSED,
              "a source is a bit");

uint32_t trm_cli_source(const trm_cli *cli)
{
    return cli->packed ? (uint32_t)TRM_AT_PACKED_SEMIHARD << cli->packed_options.pick
                       : UINT32_C(1) << cli->source;
}

const char *const *trm_cli_source_names(void)
{
    enum { STORES = TRM_SOURCE_WITHIN + 1 };
    static char texts[TRM_AT_SOURCES][32];
    static const char *names[TRM_AT_SOURCES];
    for (int bit = 0; bit < TRM_AT_SOURCES; bit++) {
        if (bit < STORES)
            snprintf(texts[bit], sizeof texts[bit], "%s", trm_word_name(&trm_source_words, bit));
        else
            snprintf(texts[bit], sizeof texts[bit], "packed-%s",
                     trm_word_name(&trm_packed_words, bit - STORES));
        names[bit] = texts[bit];
    }
    return names;
}

/* As a user asks for it. */
static const char *source_text(const trm_cli *cli, char text[64])
{
    const trm_source source = cli->source == TRM_SOURCE_WITHIN ? TRM_SOURCE_BATCH_ALL : cli->source;
    if (cli->packed && cli->packed_options.pick == TRM_PACKED_SEMIHARD)
        return "packed triplets";
    if (!cli->packed && source == TRM_SOURCE_GIVEN)
        return "--triplets";
    snprintf(text, 64, "%s %s", cli->packed ? "packed triplets with --negatives" : "--loss",
             cli->packed ? trm_word_name(&trm_packed_words, (int)cli->packed_options.pick)
                         : trm_word_name(&trm_source_words, (int)source));
    return text;
}

/* " (of --compat NAME)" where it is the preset alone that gave an option. */
static const char *by_preset(const trm_cli *cli, const trm_walk *walk, char text[64])
{
    text[0] = '\0';
    if (cli->given[walk->number] == BY_PRESET)
        snprintf(text, 64, " (of --compat %s)", cli->compat);
    return text;
}

trm_status trm_cli_check_applying(const trm_cli *cli, trm_error *err)
{
    char of_option[64], of_source[64], text[64];
    trm_walk source = {.command = cli->command};
    const bool found = trm_walk_find(&source, cli->packed ? "negatives" : "loss");
    for (trm_walk walk = {.command = cli->command}; trm_walk_next(&walk);)
        if (cli->given[walk.number] != 0 && !trm_option_applies(walk.option, trm_cli_source(cli)))
            return trm_fail(err, TRM_ERR_USAGE, "--%s%s does not apply to %s%s", walk.option->name,
                            by_preset(cli, &walk, of_option), source_text(cli, text),
                            found ? by_preset(cli, &source, of_source) : "");
    return TRM_OK;
}

/* What a sweep of margins is of must be the same at every margin. */
static trm_status check_margins(const trm_cli *cli, trm_error *err)
{
    const bool windowed = trm_cli_given(cli, "window");
    const struct {
        const char *option;
        bool is;
        const char *text;
    } against[] = {{"window", windowed && cli->mine.window == TRM_WINDOW_LT, "window lt"},
                   {"window", windowed && cli->mine.window == TRM_WINDOW_LE, "window le"},
                   {"pick", cli->mine.pick == TRM_PICK_FARTHEST, "pick farthest"},
                   {"pick", cli->mine.pick == TRM_PICK_RANDOM, "pick random"},
                   {"soft", cli->loss.soft, "soft"},
                   {"swap", cli->loss.swap, "swap"}};
    char of_option[64];
    for (size_t i = 0; i < sizeof against / sizeof *against && cli->survey.margins > 0; i++) {
        trm_walk walk = {.command = cli->command};
        if (against[i].is && trm_walk_find(&walk, against[i].option))
            return trm_fail(
                err, TRM_ERR_USAGE,
                "--margins is of the hinge on triplets of --window none and --pick nearest: --%s%s "
                "does not go with it",
                against[i].text, by_preset(cli, &walk, of_option));
    }
    return TRM_OK;
}

bool trm_cli_draws(const trm_cli *cli)
{
    const uint32_t source = trm_cli_source(cli);
    const bool semihard = cli->mine.pick == TRM_PICK_RANDOM || cli->mine.fallback == TRM_FALLBACK_RANDOM;
    return (source == TRM_AT_MINED && (cli->batches > 0 || trm_mine_draws(&cli->mine))) ||
           (source == TRM_AT_PACKED_SEMIHARD && semihard) || source == TRM_AT_PACKED_RANDOM;
}

bool trm_cli_in_batches(const trm_cli *cli)
{
    return cli->batches > 0 || cli->batch_list != NULL;
}

/* The three options of a draw go together, and batches with what they can do. */
static trm_status check_batches(const trm_cli *cli, trm_error *err)
{
    const bool any = cli->batches > 0 || cli->classes_per_batch > 0 || cli->rows_per_class > 0;
    const char *option = any ? "--batches" : "--batch-list";
    const char *missing = cli->batches == 0             ? "batches"
                          : cli->classes_per_batch == 0 ? "classes-per-batch"
                          : cli->rows_per_class == 0    ? "rows-per-class"
                                                        : NULL;
    if (any && missing != NULL)
        return trm_fail(err, TRM_ERR_USAGE,
                        "--%s is missing: --batches, --classes-per-batch and --rows-per-class go together",
                        missing);
    if (trm_cli_in_batches(cli) && cli->form != TRM_FORM_TRIPLETS)
        return trm_fail(err, TRM_ERR_USAGE,
                        "--form %s does not go with %s: in batches there are triplets only",
                        trm_form_name(cli->form), option);
    if (trm_cli_in_batches(cli) && cli->checkpoint != NULL)
        return trm_fail(err, TRM_ERR_USAGE,
                        "--checkpoint does not go with %s: a job in batches keeps no state", option);
    return TRM_OK;
}

/* Negatives that are a set are counted, and listed with --emit, into a file. */
static trm_status check_set(const trm_cli *cli, trm_error *err)
{
    const char *set = cli->mine.negatives;
    const bool emit = cli->mine.emit_sets;
    const char *given = emit ? "emit" : trm_cli_given(cli, "max-triplets") ? "max-triplets" : NULL;
    if (cli->source != TRM_SOURCE_MINED || !trm_negatives_are_set(&cli->mine))
        return given == NULL
                   ? TRM_OK
                   : trm_fail(err, TRM_ERR_USAGE,
                              "--%s goes with --negatives that are a set: within-margin, hard-all, easy-all, "
                              "violating or multisimilarity:E",
                              given);
    if (!emit && given != NULL)
        return trm_fail(err, TRM_ERR_USAGE, "--max-triplets goes with --emit only");
    if (emit && cli->output == NULL)
        return trm_fail(err, TRM_ERR_USAGE, "--emit goes with -o FILE only");
    if (!emit && cli->output != NULL)
        return trm_fail(err, TRM_ERR_USAGE,
                        "--negatives %s is counted only: -o needs --emit, which lists its triplets", set);
    if (cli->form != TRM_FORM_TRIPLETS)
        return trm_fail(
            err, TRM_ERR_USAGE,
            "--form %s does not go with --negatives %s: a set gives a pair any number of negatives",
            trm_form_name(cli->form), set);
    if (emit && trm_cli_in_batches(cli))
        return trm_fail(err, TRM_ERR_USAGE, "--emit does not go with batches: there a set is counted only");
    return TRM_OK;
}

trm_status trm_cli_check_job(const trm_cli *cli, trm_error *err)
{
    if (cli->output == NULL && trm_cli_given(cli, "form"))
        return trm_fail(err, TRM_ERR_USAGE, "--form %s goes with -o FILE only", trm_form_name(cli->form));
    if (cli->checkpoint == NULL && (cli->resume || trm_cli_given(cli, "checkpoint-every")))
        return trm_fail(err, TRM_ERR_USAGE, "--%s goes with --checkpoint FILE only",
                        cli->resume ? "resume" : "checkpoint-every");
    if (cli->gradient_at_normalized && !cli->normalize)
        return trm_fail(err, TRM_ERR_USAGE, "--gradient-at normalized goes with --normalize only");
    if (cli->mine.ranks == NULL && trm_cli_given(cli, "rank-order"))
        return trm_fail(err, TRM_ERR_USAGE, "--rank-order goes with --ranks only");
    trm_status status = cli->source == TRM_SOURCE_MINED ? trm_negatives_check(&cli->mine, err) : TRM_OK;
    if (status == TRM_OK)
        status = check_batches(cli, err);
    if (status == TRM_OK)
        status = check_set(cli, err);
    return status == TRM_OK ? check_margins(cli, err) : status;
}

/* ---- presets ---- */

/* The preset's words, but for what the command does not take because it is always so. */
static trm_status parse_preset(trm_cli *cli, trm_error *err)
{
    const trm_preset *preset = trm_preset_find(cli->compat);
    const bool mine = cli->command == &trm_command_mine;
    const char *words[sizeof preset->words / sizeof *preset->words];
    char meant[TRM_SUGGESTION];
    int count = 0;
    if (preset == NULL)
        return trm_fail(err, TRM_ERR_USAGE, "--compat '%s': must be one of %s%s", cli->compat,
                        trm_preset_names(), trm_suggest(cli->compat, "", trm_preset_names(), meant));
    if (mine ? !preset->mine : !preset->loss)
        return trm_fail(err, TRM_ERR_USAGE,
                        "--compat '%s' is for trimine loss: it makes no triplets to write", preset->name);
    for (int i = 0; preset->words[i] != NULL; i++)
        if (!mine || strcmp(preset->words[i], "--loss=mined") != 0)
            words[count++] = preset->words[i];
    return parse_words(cli, PASS_PRESET, count, words, err);
}

/* What follows from the options together. */
static void settle(trm_cli *cli)
{
    const bool margin_given = !isnan(cli->mine.margin);
    if (!margin_given)
        cli->mine.margin = trm_metric_default_margin(cli->mine.metric);
    if (cli->survey.margins > 0)
        cli->mine.window = TRM_WINDOW_NONE;
    cli->mine.seed = (uint64_t)cli->seed;
    cli->loss.metric = cli->mine.metric;
    cli->loss.margin = cli->loss.soft && !margin_given ? 0.0 : cli->mine.margin;
    if (!isnan(cli->within) && cli->source == TRM_SOURCE_BATCH_ALL)
        cli->source = TRM_SOURCE_WITHIN;
    if (cli->triplets != NULL)
        cli->source = TRM_SOURCE_GIVEN;
    if (cli->source != TRM_SOURCE_MINED) /* no window, so the margin is the loss's */
        cli->mine.margin = cli->loss.margin;
    if (cli->mine.metric != TRM_METRIC_COSINE)
        cli->packed_options.norm_floor = 0.0;
}

/* Does an option, or a setting that follows from it, have another value than in rule? */
static bool differs(const trm_cli *cli, const trm_cli *rule, const char *name, uint32_t at)
{
    bool same = true;
    for (trm_walk walk = {.command = cli->command}; trm_walk_next(&walk);) {
        const trm_option *option = walk.option;
        const char *set_by = option->name != NULL ? option->name : option->follows;
        if (set_by == NULL || strcmp(set_by, name) != 0 || option->json == NULL ||
            !trm_option_decides(option, at))
            continue;
        json_t *is = trm_option_json(option, (const char *)cli + walk.at);
        json_t *was = trm_option_json(option, (const char *)rule + walk.at);
        same = same && json_equal(is, was) == 1;
        json_decref(is);
        json_decref(was);
    }
    return !same;
}

/* The options that the user gave and that set something else than the preset's rule does. A preset of packed
 * triplets is for those only, and the others are not for them. */
static json_t *list_overridden(const trm_cli *cli, const trm_cli *rule)
{
    trm_cli now = *cli;
    json_t *names = json_array();
    now.packed = trm_preset_find(cli->compat)->packed;
    const uint32_t at = trm_cli_source(&now) | TRM_WITH_GRADIENT;
    for (trm_walk walk = {.command = cli->command}; trm_walk_next(&walk);)
        if ((cli->given[walk.number] & BY_USER) != 0 && differs(cli, rule, walk.option->name, at))
            json_array_append_new(names, json_string(walk.option->name));
    return names;
}

/* ---- all of it ---- */

void trm_cli_init(trm_cli *cli, const trm_command *command)
{
    *cli = (trm_cli){.command = command,
                     .within = NAN,
                     .rows = 20000,
                     .dim = 128,
                     .classes = 100,
                     .spread = 1.0,
                     .checkpoint_minutes = 10.0};
    trm_store_options_init(&cli->store);
    trm_mine_options_init(&cli->mine);
    trm_loss_options_init(&cli->loss);
    trm_packed_options_init(&cli->packed_options);
    trm_run_options_init(&cli->run);
    cli->mine.margin = NAN; /* until settled: it depends on the metric */
    if (command != NULL && command->prepare != NULL)
        command->prepare(cli);
}

void trm_cli_free(trm_cli *cli)
{
    trm_free(cli->input);
    trm_option_labels_free(&cli->ignore);
    json_decref(cli->overridden);
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
    return trm_fail(err, TRM_ERR_USAGE, "'%s': no such command%s (see trimine --help)", name,
                    trm_suggest(name, "", list, meant));
}

static trm_status check(const trm_cli *cli, trm_error *err)
{
    const trm_command *command = cli->command;
    if ((command->traits & TRM_TAKES_STORES) != 0 && cli->inputs == 0)
        return trm_fail(err, TRM_ERR_USAGE, "no store given (see trimine %s --help)", command->name);
    return command->check != NULL ? command->check(cli, err) : TRM_OK;
}

trm_status trm_cli_parse(int argc, char **argv, trm_cli *cli, trm_error *err)
{
    trm_cli rule;
    const trm_command *command = argc < 2 ? NULL : trm_command_find(argv[1]);
    const char *const *words = (const char *const *)argv + 2;
    trm_cli_init(cli, command);
    if (argc < 2)
        return trm_fail(err, TRM_ERR_USAGE, "no command given (see trimine --help)");
    if (command == NULL)
        return trm_cli_refuse_command(strcmp(argv[1], "help") == 0 && argc > 2 ? argv[2] : argv[1], err);
    cli->input = trm_alloc(argc, sizeof *cli->input);
    if (cli->input == NULL)
        return trm_fail_memory(err, "the list of inputs", argc, sizeof *cli->input);
    trm_status status = parse_words(cli, PASS_SCOUT, argc - 2, words, err);
    if (status == TRM_OK && cli->compat != NULL)
        status = parse_preset(cli, err);
    rule = *cli;
    settle(&rule);
    if (status == TRM_OK)
        status = parse_words(cli, PASS_USER, argc - 2, words, err);
    if (status == TRM_OK)
        status = check(cli, err);
    if (status == TRM_OK) {
        settle(cli);
        cli->overridden = cli->compat != NULL ? list_overridden(cli, &rule) : NULL;
    }
    return status;
}

bool trm_cli_wants_json(int argc, char **argv)
{
    bool json = false;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        json = json || strcmp(argv[i], "--json") == 0;
    return json;
}
