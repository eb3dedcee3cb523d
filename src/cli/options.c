/* The command line, on glibc's argp: one table of options, one of commands. */
#include "cli/cli.h"

#include "base/alloc.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_key {
    KEY_METRIC = 256,
    KEY_MARGIN,
    KEY_POSITIVES,
    KEY_NEGATIVES,
    KEY_WINDOW,
    KEY_PICK,
    KEY_FALLBACK,
    KEY_EMBEDDINGS,
    KEY_LABELS,
    KEY_IDS,
    KEY_NORMALIZE,
    KEY_IGNORE,
    KEY_KERNEL,
    KEY_THREADS,
    KEY_REPLICATE,
    KEY_TILE,
    KEY_MEMORY,
    KEY_SEED,
    KEY_JSON,
    KEY_PROGRESS,
    KEY_QUIET,
    KEY_OVERWRITE,
    KEY_ROWS,
    KEY_DIM,
    KEY_CLASSES,
    KEY_SPREAD
};

/* Which commands take an option. */
enum { FOR_MINE = 1, FOR_BENCH = 2, FOR_SYNTH = 4, FOR_INFO = 8, FOR_ALL = 15 };

typedef struct option_row {
    struct argp_option option;
    int commands;
} option_row;

static const option_row option_table[] = {
    {{"output", 'o', "FILE", 0, "write the triplets to FILE (HDF5)", 1}, FOR_MINE},
    {{"overwrite", KEY_OVERWRITE, 0, 0, "replace an output that exists", 1}, FOR_MINE | FOR_SYNTH},
    {{"embeddings", KEY_EMBEDDINGS, "PATH", 0, "dataset of the embeddings (default: a known name)", 2},
     FOR_MINE | FOR_INFO},
    {{"labels", KEY_LABELS, "PATH", 0, "dataset of the labels", 2}, FOR_MINE | FOR_INFO},
    {{"ids", KEY_IDS, "PATH", 0, "dataset of the ids", 2}, FOR_MINE | FOR_INFO},
    {{"normalize", KEY_NORMALIZE, 0, 0, "L2-normalise rows on load", 2}, FOR_MINE},
    {{"ignore-label", KEY_IGNORE, "L", 0, "rows with label L take no part", 2}, FOR_MINE},
    {{"metric", KEY_METRIC, "NAME", 0, "sql2 (default), l2, cosine or dot", 3}, FOR_MINE | FOR_BENCH},
    {{"margin", KEY_MARGIN, "M", 0, "margin (default 1.0; cosine 0.5)", 3}, FOR_MINE | FOR_BENCH},
    {{"positives", KEY_POSITIVES, "POLICY", 0, "all (default), hardest, easiest or nearest:K; bench: easiest",
      3},
     FOR_MINE | FOR_BENCH},
    {{"negatives", KEY_NEGATIVES, "POLICY", 0, "semihard", 3}, FOR_MINE | FOR_BENCH},
    {{"window", KEY_WINDOW, "W", 0, "none, lt (default) or le: how d(a,n) - d(a,p) compares with the margin",
      3},
     FOR_MINE | FOR_BENCH},
    {{"pick", KEY_PICK, "P", 0, "nearest (default) or farthest of the semihard negatives", 3},
     FOR_MINE | FOR_BENCH},
    {{"fallback", KEY_FALLBACK, "F", 0, "skip (default), farthest-inside or hardest where there is none", 3},
     FOR_MINE | FOR_BENCH},
    {{"rows", KEY_ROWS, "N", 0, "rows of the synthetic store (default 20000)", 4}, FOR_BENCH | FOR_SYNTH},
    {{"dim", KEY_DIM, "D", 0, "its dimensions (default 128)", 4}, FOR_BENCH | FOR_SYNTH},
    {{"classes", KEY_CLASSES, "C", 0, "its classes (default 100)", 4}, FOR_BENCH | FOR_SYNTH},
    {{"spread", KEY_SPREAD, "X", 0, "noise around a class's centre, relative to its length (default 1.0)", 4},
     FOR_BENCH | FOR_SYNTH},
    {{"seed", KEY_SEED, "S", 0, "seed of everything random (default 0)", 4},
     FOR_BENCH | FOR_SYNTH | FOR_MINE},
    {{"kernel", KEY_KERNEL, "NAME", 0, "auto (default), blas or fp32", 5}, FOR_MINE | FOR_BENCH},
    {{"threads", KEY_THREADS, "T", 0, "threads a rank (default: its share of the host's cores)", 5},
     FOR_MINE | FOR_BENCH},
    {{"replicate", KEY_REPLICATE, "C", 0, "ranks a team, auto (default) or a divisor of the ranks", 5},
     FOR_MINE | FOR_BENCH},
    {{"tile", KEY_TILE, "T", 0, "rows and columns a tile, a multiple of 32", 5}, FOR_MINE | FOR_BENCH},
    {{"mem-per-rank", KEY_MEMORY, "SIZE", 0, "memory limit, such as 900M or 4G", 5}, FOR_MINE | FOR_BENCH},
    {{"json", KEY_JSON, 0, 0, "one JSON object on standard output", 6}, FOR_ALL},
    {{"progress", KEY_PROGRESS, "WHEN", 0, "auto (default), always or never", 6}, FOR_MINE | FOR_BENCH},
    {{"quiet", KEY_QUIET, 0, 0, "no report, only errors and warnings", 6}, FOR_ALL},
    {{"verbose", 'v', 0, 0, "say more", 6}, FOR_ALL},
    {{0}, 0},
};

typedef struct command_row {
    const char *name;
    int bit;
    trm_command_fn run;
    const char *arguments, *about;
} command_row;

static const command_row commands[] = {
    {"mine", FOR_MINE, trm_command_mine, "STORE...",
     "Mines semihard triplets from a whole embedding store, exactly.\vSTORE is an HDF5 file, or a folder of "
     "them; several "
     "are one store in the order given. Run it under mpirun or srun --mpi=pmix."},
    {"bench", FOR_BENCH, trm_command_bench, "",
     "Compares the effective rate of mining with this machine's own GEMM peak, on a synthetic store in "
     "memory."},
    {"synth", FOR_SYNTH, trm_command_synth, "OUT", "Writes a synthetic store of clustered unit vectors."},
    {"info", FOR_INFO, trm_command_info, "STORE...", "Says what is recognised in a store."},
};

static const command_row *find_row(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

trm_command_fn trm_cli_find_command(const char *name)
{
    const command_row *row = find_row(name);
    return row == NULL ? NULL : row->run;
}

/* What a parse fills in; the error is kept for later, because only one rank may print it. */
typedef struct trm_parse {
    trm_cli *cli;
    trm_error *err;
    trm_status status;
    const command_row *command;
} trm_parse;

static error_t refuse(trm_parse *parse, const char *option, const char *value, const char *rule)
{
    parse->status = trm_fail(parse->err, TRM_ERR_USAGE, "--%s '%s': %s", option, value, rule);
    return EINVAL;
}

typedef struct word {
    const char *name;
    int value;
} word;

/* Looks a value up in a table of words that ends with a NULL name. */
static error_t parse_word(trm_parse *parse, const char *option, const char *text, const word *words,
                          int *value)
{
    char rule[256] = "must be one of";
    for (; words->name != NULL; words++) {
        if (strcmp(words->name, text) == 0) {
            *value = words->value;
            return 0;
        }
        strncat(rule, " ", sizeof rule - strlen(rule) - 1);
        strncat(rule, words->name, sizeof rule - strlen(rule) - 1);
    }
    return refuse(parse, option, text, rule);
}

static error_t parse_integer(trm_parse *parse, const char *option, const char *text, int64_t least,
                             int64_t most, int64_t *value)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < least || number > most) {
        char rule[128];
        snprintf(rule, sizeof rule, "must be a whole number from %" PRId64 " to %" PRId64, least, most);
        return refuse(parse, option, text, rule);
    }
    *value = number;
    return 0;
}

static error_t parse_int(trm_parse *parse, const char *option, const char *text, int least, int most,
                         int *value)
{
    int64_t wide = 0;
    error_t error = parse_integer(parse, option, text, least, most, &wide);
    *value = (int)wide;
    return error;
}

static error_t parse_number(trm_parse *parse, const char *option, const char *text, double *value)
{
    char *end = NULL;
    *value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(*value) || *value < 0.0)
        return refuse(parse, option, text, "must be a finite number, 0 or more");
    return 0;
}

static error_t parse_size(trm_parse *parse, const char *option, const char *text, int64_t *value)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    double number = strtod(text, &end);
    double scale = 1.0;
    const char *unit = end != text && *end != '\0' ? strchr(units, *end & ~0x20) : NULL;
    if (unit != NULL) {
        scale = pow(1000.0, (double)(unit - units) + 1.0);
        end++;
        if (end[0] == 'i' && (end[1] == 'B' || end[1] == '\0')) {
            scale = pow(1024.0, (double)(unit - units) + 1.0);
            end++;
        }
    }
    if (end != text && *end == 'B')
        end++;
    if (end == text || *end != '\0' || !(number * scale >= 1.0) || number * scale > 9e18)
        return refuse(parse, option, text, "must be a size such as 900M, 4G or 4GiB");
    *value = (int64_t)(number * scale);
    return 0;
}

static const word window_words[] = {
    {"none", TRM_WINDOW_NONE}, {"lt", TRM_WINDOW_LT}, {"le", TRM_WINDOW_LE}, {NULL, 0}};
static const word pick_words[] = {{"nearest", TRM_PICK_NEAREST}, {"farthest", TRM_PICK_FARTHEST}, {NULL, 0}};
static const word fallback_words[] = {{"skip", TRM_FALLBACK_SKIP},
                                      {"farthest-inside", TRM_FALLBACK_FARTHEST_INSIDE},
                                      {"hardest", TRM_FALLBACK_HARDEST},
                                      {NULL, 0}};
static const word positives_words[] = {{"all", TRM_POSITIVES_ALL},
                                       {"hardest", TRM_POSITIVES_HARDEST},
                                       {"easiest", TRM_POSITIVES_EASIEST},
                                       {NULL, 0}};
static const word negatives_words[] = {{"semihard", 0}, {NULL, 0}};
static const word progress_words[] = {
    {"auto", TRM_PROGRESS_AUTO}, {"always", TRM_PROGRESS_ALWAYS}, {"never", TRM_PROGRESS_NEVER}, {NULL, 0}};

static error_t parse_positives(trm_parse *parse, const char *text)
{
    static const char prefix[] = "nearest:";
    int value = 0;
    if (strncmp(text, prefix, sizeof prefix - 1) == 0) {
        parse->cli->mine.positives = TRM_POSITIVES_NEAREST;
        return parse_integer(parse, "positives nearest", text + sizeof prefix - 1, 1, INT32_MAX,
                             &parse->cli->mine.nearest);
    }
    error_t error = parse_word(parse, "positives", text, positives_words, &value);
    if (error != 0) {
        parse->err->status = TRM_OK;
        return refuse(parse, "positives", text, "must be one of all hardest easiest nearest:K");
    }
    parse->cli->mine.positives = (trm_positives)value;
    return 0;
}

static error_t parse_mining(trm_parse *parse, int key, const char *text)
{
    trm_mine_options *mine = &parse->cli->mine;
    int value = 0;
    error_t error = 0;
    switch (key) {
    case KEY_METRIC:
        return trm_metric_from_name(text, &mine->metric) == 0
                   ? 0
                   : refuse(parse, "metric", text, "must be one of sql2 l2 cosine dot");
    case KEY_MARGIN:
        parse->cli->margin_given = true;
        return parse_number(parse, "margin", text, &mine->margin);
    case KEY_POSITIVES:
        return parse_positives(parse, text);
    case KEY_NEGATIVES:
        return parse_word(parse, "negatives", text, negatives_words, &value);
    case KEY_WINDOW:
        error = parse_word(parse, "window", text, window_words, &value);
        mine->window = (trm_window)value;
        return error;
    case KEY_PICK:
        error = parse_word(parse, "pick", text, pick_words, &value);
        mine->pick = (trm_pick)value;
        return error;
    case KEY_FALLBACK:
        error = parse_word(parse, "fallback", text, fallback_words, &value);
        mine->fallback = (trm_fallback)value;
        return error;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_running(trm_parse *parse, int key, const char *text)
{
    trm_cli *cli = parse->cli;
    int value = 0;
    error_t error = 0;
    switch (key) {
    case KEY_KERNEL:
        cli->run.kernel = text;
        return 0;
    case KEY_THREADS:
        return parse_int(parse, "threads", text, 1, 4096, &cli->run.threads);
    case KEY_REPLICATE:
        return strcmp(text, "auto") == 0
                   ? 0
                   : parse_int(parse, "replicate", text, 1, INT32_MAX, &cli->run.replicate);
    case KEY_TILE:
        return parse_int(parse, "tile", text, 1, INT32_MAX, &cli->run.tile);
    case KEY_MEMORY:
        return parse_size(parse, "mem-per-rank", text, &cli->run.mem_per_rank);
    case KEY_PROGRESS:
        error = parse_word(parse, "progress", text, progress_words, &value);
        cli->progress = (trm_progress_mode)value;
        return error;
    case KEY_JSON:
        cli->json = true;
        return 0;
    case KEY_QUIET:
        cli->quiet = true;
        return 0;
    case 'v':
        cli->verbose++;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_data(trm_parse *parse, int key, const char *text)
{
    trm_cli *cli = parse->cli;
    switch (key) {
    case 'o':
        cli->output = text;
        return 0;
    case KEY_OVERWRITE:
        cli->overwrite = true;
        return 0;
    case KEY_EMBEDDINGS:
        cli->store.embeddings = text;
        return 0;
    case KEY_LABELS:
        cli->store.labels = text;
        return 0;
    case KEY_IDS:
        cli->store.ids = text;
        return 0;
    case KEY_NORMALIZE:
        cli->normalize = true;
        return 0;
    case KEY_IGNORE:
        cli->ignore = true;
        return parse_integer(parse, "ignore-label", text, INT64_MIN, INT64_MAX, &cli->ignore_label);
    case KEY_SEED:
        return parse_integer(parse, "seed", text, 0, INT64_MAX, &cli->seed);
    case KEY_ROWS:
        return parse_integer(parse, "rows", text, 1, INT64_C(1) << 40, &cli->rows);
    case KEY_DIM:
        return parse_integer(parse, "dim", text, 1, 65536, &cli->dim);
    case KEY_CLASSES:
        return parse_integer(parse, "classes", text, 1, INT64_C(1) << 40, &cli->classes);
    case KEY_SPREAD:
        return parse_number(parse, "spread", text, &cli->spread);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_key(int key, char *text, struct argp_state *state)
{
    trm_parse *parse = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        parse->cli->input[parse->cli->inputs++] = text;
        return 0;
    case ARGP_KEY_ERROR:
        if (parse->status == TRM_OK)
            parse->status = trm_fail(parse->err, TRM_ERR_USAGE,
                                     "'%s': unknown option, or its value is missing (see trimine %s --help)",
                                     state->argv[state->next - 1], parse->command->name);
        return 0;
    default:
        break;
    }
    error_t error = parse_mining(parse, key, text);
    if (error == ARGP_ERR_UNKNOWN)
        error = parse_running(parse, key, text);
    if (error == ARGP_ERR_UNKNOWN)
        error = parse_data(parse, key, text);
    return error;
}

/* The options that a command takes, as argp wants them. */
static void fill_options(const command_row *command, struct argp_option *options)
{
    size_t count = 0;
    for (const option_row *row = option_table; row->option.name != NULL; row++)
        if (row->commands & command->bit)
            options[count++] = row->option;
    options[count] = (struct argp_option){0};
}

enum { MOST_OPTIONS = sizeof option_table / sizeof *option_table };

static void set_defaults(trm_cli *cli)
{
    *cli = (trm_cli){.rows = 20000, .dim = 128, .classes = 100, .spread = 1.0};
    trm_mine_options_init(&cli->mine);
    trm_run_options_init(&cli->run);
}

static trm_status check_inputs(const trm_cli *cli, const command_row *command, trm_error *err)
{
    if (command->bit == FOR_BENCH && cli->inputs > 0)
        return trm_fail(err, TRM_ERR_USAGE, "bench takes no store: '%s'", cli->input[0]);
    if (command->bit == FOR_SYNTH && cli->inputs != 1)
        return trm_fail(err, TRM_ERR_USAGE, "synth takes one output file");
    if ((command->bit & (FOR_MINE | FOR_INFO)) && cli->inputs == 0)
        return trm_fail(err, TRM_ERR_USAGE, "no store given (see trimine %s --help)", command->name);
    return TRM_OK;
}

trm_status trm_cli_parse(int argc, char **argv, trm_cli *cli, trm_error *err)
{
    set_defaults(cli);
    if (argc < 2)
        return trm_fail(err, TRM_ERR_USAGE, "no command given (see trimine --help)");
    const command_row *command = find_row(argv[1]);
    if (command == NULL)
        return trm_fail(err, TRM_ERR_USAGE, "'%s': no such command (see trimine --help)", argv[1]);
    cli->command = command->name;
    if (command->bit == FOR_BENCH)
        cli->mine.positives = TRM_POSITIVES_EASIEST;
    cli->input = trm_alloc(argc, sizeof *cli->input);
    if (cli->input == NULL)
        return trm_fail(err, TRM_ERR_MEMORY, "out of memory");
    struct argp_option options[MOST_OPTIONS];
    fill_options(command, options);
    const struct argp argp = {options, parse_key, NULL, NULL, NULL, NULL, NULL};
    trm_parse parse = {cli, err, TRM_OK, command};
    error_t error = argp_parse(&argp, argc - 1, argv + 1, ARGP_SILENT, NULL, &parse);
    if (parse.status != TRM_OK)
        return parse.status;
    if (error != 0)
        return trm_fail(err, TRM_ERR_USAGE, "bad arguments (see trimine %s --help)", command->name);
    if (!cli->margin_given)
        cli->mine.margin = trm_metric_default_margin(cli->mine.metric);
    return check_inputs(cli, command, err);
}

static void print_overview(void)
{
    printf("Usage: trimine COMMAND [OPTION...]\n"
           "Exact mining of hard training examples from whole embedding stores, over MPI.\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        printf("  %-7s %-9s %.*s\n", commands[i].name, commands[i].arguments,
               (int)strcspn(commands[i].about, "\v"), commands[i].about);
    printf(
        "\n  trimine COMMAND --help says what a command takes; trimine --version which version this is.\n");
    exit(0);
}

void trm_cli_answer_help(int argc, char **argv)
{
    if (argc >= 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
        printf("trimine %s\n", TRM_VERSION);
        exit(0);
    }
    if (argc >= 2 &&
        (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0 || strcmp(argv[1], "help") == 0))
        print_overview();
    const command_row *command = argc >= 2 ? find_row(argv[1]) : NULL;
    for (int i = 2; command != NULL && i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") != 0 && strcmp(argv[i], "-?") != 0 && strcmp(argv[i], "--usage") != 0)
            continue;
        struct argp_option options[MOST_OPTIONS];
        char name[64];
        snprintf(name, sizeof name, "trimine %s", command->name);
        fill_options(command, options);
        const struct argp argp = {options, NULL, command->arguments, command->about, NULL, NULL, NULL};
        argp_help(&argp, stdout, strcmp(argv[i], "--usage") == 0 ? ARGP_HELP_USAGE : ARGP_HELP_STD_HELP,
                  name);
        exit(0);
    }
}
