/* The command line: one table of options, one of commands. Read as GNU's getopt_long does, but that a name is
 * not to be shortened: what is an unambiguous beginning today need not be one in the next version. glibc's
 * argp prints the help. */
#include "cli/cli.h"

#include "base/alloc.h"

#include <argp.h>
#include <assert.h>
#include <ctype.h>
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
    KEY_FORM,
    KEY_ROWS,
    KEY_DIM,
    KEY_CLASSES,
    KEY_SPREAD,
    KEY_LOSS,
    KEY_TRIPLETS,
    KEY_SOFT,
    KEY_SWAP,
    KEY_REDUCTION,
    KEY_GRADIENT,
    KEY_GRADIENT_AT,
    KEY_COMPAT,
    KEY_LONE,
    KEY_WITHIN,
    KEY_AT_ZERO,
    KEY_NORM_FLOOR,
    KEY_CHECKPOINT,
    KEY_CHECKPOINT_EVERY,
    KEY_RESUME,
    KEY_HISTOGRAM,
    KEY_MARGINS,
    KEY_END
};

/* Which commands take an option. */
enum { FOR_MINE = 1, FOR_BENCH = 2, FOR_SYNTH = 4, FOR_INFO = 8, FOR_LOSS = 16, FOR_ALL = 31 };
enum { FOR_STORES = FOR_MINE | FOR_LOSS, FOR_RUNS = FOR_MINE | FOR_LOSS | FOR_BENCH };

typedef struct option_row {
    struct argp_option option;
    int commands;
} option_row;

static const option_row option_table[] = {
    {{"output", 'o', "FILE", 0, "write the result to FILE (HDF5)", 1}, FOR_STORES},
    {{"overwrite", KEY_OVERWRITE, 0, 0, "replace an output that exists", 1}, FOR_STORES | FOR_SYNTH},
    {{"form", KEY_FORM, "FORM", 0,
      "of the result: triplets (default), one a line, or lists, all negatives of a pair in one line", 1},
     FOR_MINE},
    {{"checkpoint", KEY_CHECKPOINT, "FILE", 0, "keep the state in FILE, to go on from after a stop", 1},
     FOR_STORES},
    {{"checkpoint-every", KEY_CHECKPOINT_EVERY, "MINUTES", 0,
      "how often (default 10; 0: only when asked by SIGUSR2, or stopped by SIGTERM or SIGUSR1)", 1},
     FOR_STORES},
    {{"resume", KEY_RESUME, 0, 0, "go on from the checkpoint, if there is one", 1}, FOR_STORES},
    {{"embeddings", KEY_EMBEDDINGS, "PATH", 0, "dataset of the embeddings (default: a known name)", 2},
     FOR_STORES | FOR_INFO},
    {{"labels", KEY_LABELS, "PATH", 0, "dataset of the labels", 2}, FOR_STORES | FOR_INFO},
    {{"ids", KEY_IDS, "PATH", 0, "dataset of the ids", 2}, FOR_STORES | FOR_INFO},
    {{"normalize", KEY_NORMALIZE, 0, 0, "L2-normalise rows on load", 2}, FOR_STORES},
    {{"ignore-label", KEY_IGNORE, "L", 0,
      "rows with label L (a number or a name) take no part; may be repeated", 2},
     FOR_STORES},
    {{"triplets", KEY_TRIPLETS, "FILE", 0, "triplets of row ids to evaluate, as mine writes them", 2},
     FOR_LOSS},
    {{"metric", KEY_METRIC, "NAME", 0, "sql2 (default), l2, cosine or dot", 3}, FOR_RUNS},
    {{"margin", KEY_MARGIN, "M", 0, "margin (default 1.0; cosine 0.5; with --soft 0 in the loss)", 3},
     FOR_RUNS},
    {{"positives", KEY_POSITIVES, "POLICY", 0, "all (default), hardest, easiest or nearest:K; bench: easiest",
      3},
     FOR_RUNS},
    {{"negatives", KEY_NEGATIVES, "POLICY", 0,
      "semihard; of an anchor's own K in packed triplets also hard or random; "
      "reversed: guide-3's, no triplet loss",
      3},
     FOR_RUNS},
    {{"window", KEY_WINDOW, "W", 0, "none, lt (default) or le: how d(a,n) - d(a,p) compares with the margin",
      3},
     FOR_RUNS},
    {{"pick", KEY_PICK, "P", 0, "nearest (default) or farthest of the semihard negatives", 3}, FOR_RUNS},
    {{"fallback", KEY_FALLBACK, "F", 0, "skip (default), farthest-inside or hardest where there is none", 3},
     FOR_RUNS},
    {{"loss", KEY_LOSS, "NAME", 0, "over the whole store: batch-hard, batch-all or mined", 3}, FOR_LOSS},
    {{"lone", KEY_LONE, 0, 0, "batch-hard: a row without a positive adds [margin - min d(a,n)]+", 3},
     FOR_LOSS},
    {{"within", KEY_WITHIN, "M", 0, "batch-all: only triplets with 0 < d(a,n) - d(a,p) <= M", 3}, FOR_LOSS},
    {{"soft", KEY_SOFT, 0, 0, "softplus in place of the hinge", 3}, FOR_STORES},
    {{"swap", KEY_SWAP, 0, 0, "d(a,n) becomes min(d(a,n), d(p,n))", 3}, FOR_STORES},
    {{"reduction", KEY_REDUCTION, "R", 0,
      "which is the value, and scales the gradient: mean_all (default), sum, mean_nonzero, mean_valid, "
      "mean_rows",
      3},
     FOR_STORES},
    {{"gradient", KEY_GRADIENT, 0, 0, "the gradient of the value with respect to every row", 3}, FOR_STORES},
    {{"gradient-at", KEY_GRADIENT_AT, "WHICH", 0, "with --normalize: rows as stored (default) or normalized",
      3},
     FOR_STORES},
    {{"at-zero", KEY_AT_ZERO, "WHICH", 0,
      "the gradient where the hinge is exactly at its corner: none (default), or whole, as tf.maximum gives "
      "it",
      3},
     FOR_STORES},
    {{"norm-floor", KEY_NORM_FLOOR, "E", 0,
      "packed triplets, cosine: the least squared norm (1e-12 in tf.math.l2_normalize; default: none)", 3},
     FOR_LOSS},
    {{"histogram", KEY_HISTOGRAM, "BINS", 0,
      "of d(a,p), d(a,n) and d(a,n) - d(a,p), in so many equal bins: in FILE and with --json", 3},
     FOR_STORES},
    {{"margins", KEY_MARGINS, "M,M,...", 0,
      "the loss of the triplets of --window none at each of these margins, from one sweep", 3},
     FOR_STORES},
    {{"compat", KEY_COMPAT, "NAME", 0, "options that reproduce another library's rule (see README)", 3},
     FOR_STORES},
    {{"rows", KEY_ROWS, "N", 0, "rows of the synthetic store (default 20000)", 4}, FOR_BENCH | FOR_SYNTH},
    {{"dim", KEY_DIM, "D", 0, "its dimensions (default 128)", 4}, FOR_BENCH | FOR_SYNTH},
    {{"classes", KEY_CLASSES, "C", 0, "its classes (default 100)", 4}, FOR_BENCH | FOR_SYNTH},
    {{"spread", KEY_SPREAD, "X", 0, "noise around a class's centre, relative to its length (default 1.0)", 4},
     FOR_BENCH | FOR_SYNTH},
    {{"seed", KEY_SEED, "S", 0, "seed of everything random (default 0)", 4},
     FOR_BENCH | FOR_SYNTH | FOR_STORES},
    {{"kernel", KEY_KERNEL, "NAME", 0, "auto (default), blas or fp32", 5}, FOR_RUNS},
    {{"threads", KEY_THREADS, "T", 0,
      "threads a rank (default: OMP_NUM_THREADS, else its share of the cores)", 5},
     FOR_RUNS},
    {{"replicate", KEY_REPLICATE, "C", 0, "ranks a team, auto (default) or a divisor of the ranks", 5},
     FOR_RUNS},
    {{"tile", KEY_TILE, "T", 0, "rows and columns a tile, a multiple of 32", 5}, FOR_RUNS},
    {{"mem-per-rank", KEY_MEMORY, "SIZE", 0, "memory limit, such as 900M or 4G", 5}, FOR_RUNS},
    {{"json", KEY_JSON, 0, 0, "one JSON object on standard output", 6}, FOR_ALL},
    {{"progress", KEY_PROGRESS, "WHEN", 0, "auto (default), always or never", 6}, FOR_RUNS},
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
    {"loss", FOR_LOSS, trm_command_loss, "STORE...|PACKED",
     "Evaluates a loss and its gradient: on triplets of a file (--triplets), over a whole store (--loss), or "
     "on "
     "packed triplets.\vPACKED is an HDF5 file with /anchor, /positive and /negative or /negatives. "
     "Otherwise as trimine mine."},
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

bool trm_cli_keeps(const char *name)
{
    const command_row *row = find_row(name);
    return row != NULL && (row->bit & FOR_STORES) != 0;
}

/* A command line is read three times: for --compat alone, then the preset's words, then all of it. */
typedef enum trm_pass { PASS_SCOUT, PASS_PRESET, PASS_USER } trm_pass;

/* What a parse fills in; the error is kept for later, because only one rank may print it. */
typedef struct trm_parse {
    trm_cli *cli;
    trm_error *err;
    trm_status status;
    const command_row *command;
    trm_pass pass;
} trm_parse;

static_assert(KEY_END - KEY_METRIC <= 64, "an option is a bit");

static uint64_t bit_of(int key)
{
    return key >= KEY_METRIC && key < KEY_END ? UINT64_C(1) << (key - KEY_METRIC) : 0;
}

static error_t refuse(trm_parse *parse, const char *option, const char *value, const char *rule)
{
    parse->status = trm_fail(parse->err, TRM_ERR_USAGE, "--%s '%s': %s", option, value, rule);
    return EINVAL;
}

typedef struct word {
    const char *name;
    int value;
} word;

/* Refuses a value that is none of a list "a b c". */
static error_t refuse_word(trm_parse *parse, const char *option, const char *text, const char *list)
{
    char rule[512], meant[TRM_SUGGESTION];
    snprintf(rule, sizeof rule, "must be one of %s%s", list, trm_suggest(text, "", list, meant));
    return refuse(parse, option, text, rule);
}

/* Looks a value up in a table of words that ends with a NULL name. */
static error_t parse_word(trm_parse *parse, const char *option, const char *text, const word *words,
                          int *value)
{
    char list[256] = "";
    for (; words->name != NULL; words++) {
        if (strcmp(words->name, text) == 0) {
            *value = words->value;
            return 0;
        }
        strncat(list, list[0] == '\0' ? "" : " ", sizeof list - strlen(list) - 1);
        strncat(list, words->name, sizeof list - strlen(list) - 1);
    }
    return refuse_word(parse, option, text, list);
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

/* Noise is squared and added up before rows are scaled to norm 1. */
static error_t parse_spread(trm_parse *parse, const char *text, double *value)
{
    const error_t error = parse_number(parse, "spread", text, value);
    return error == 0 && *value > 1e100 ? refuse(parse, "spread", text, "must be at most 1e100") : error;
}

static error_t parse_size(trm_parse *parse, const char *option, const char *text, int64_t *value)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    double number = strtod(text, &end);
    double scale = 1.0;
    const char *unit = end != text && isalpha((unsigned char)*end) ? strchr(units, *end & ~0x20) : NULL;
    if (end != text && *end == '\0' && number > 0.0 && isfinite(number)) {
        char rule[192];
        snprintf(rule, sizeof rule, "give a unit, such as %.40sG or %.40sGiB (bytes: %.40sB)", text, text,
                 text);
        return refuse(parse, option, text, rule);
    }
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
static const word negatives_words[] = {{"semihard", TRM_PACKED_SEMIHARD}, {NULL, 0}};
static const word packed_words[] = {{"semihard", TRM_PACKED_SEMIHARD},
                                    {"hard", TRM_PACKED_HARD},
                                    {"random", TRM_PACKED_RANDOM},
                                    {"reversed", TRM_PACKED_REVERSED},
                                    {NULL, 0}};
static const word source_words[] = {{"batch-hard", TRM_SOURCE_BATCH_HARD},
                                    {"batch-all", TRM_SOURCE_BATCH_ALL},
                                    {"mined", TRM_SOURCE_MINED},
                                    {NULL, 0}};
static const word gradient_words[] = {{"stored", 0}, {"normalized", 1}, {NULL, 0}};
static const word zero_words[] = {{"none", 0}, {"whole", 1}, {NULL, 0}};
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
        return refuse_word(parse, "positives", text, "all hardest easiest nearest:K");
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
                   : refuse_word(parse, "metric", text, "sql2 l2 cosine dot");
    case KEY_MARGIN:
        parse->cli->margin_given = true;
        return parse_number(parse, "margin", text, &mine->margin);
    case KEY_POSITIVES:
        return parse_positives(parse, text);
    case KEY_NEGATIVES:
        error = parse_word(parse, "negatives", text,
                           parse->command->bit == FOR_LOSS ? packed_words : negatives_words, &value);
        parse->cli->packed_pick = (trm_packed_pick)value;
        return error;
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

static error_t parse_loss(trm_parse *parse, int key, const char *text)
{
    trm_cli *cli = parse->cli;
    int value = 0;
    error_t error = 0;
    switch (key) {
    case KEY_LOSS:
        error = parse_word(parse, "loss", text, source_words, &value);
        cli->source = (trm_source)value;
        cli->source_given = true;
        return error;
    case KEY_TRIPLETS:
        cli->triplets = text;
        return 0;
    case KEY_SOFT:
        cli->loss.soft = true;
        return 0;
    case KEY_SWAP:
        cli->loss.swap = true;
        return 0;
    case KEY_REDUCTION:
        return trm_reduction_from_name(text, &cli->loss.reduction) == 0
                   ? 0
                   : refuse_word(parse, "reduction", text, "mean_all sum mean_nonzero mean_valid mean_rows");
    case KEY_GRADIENT:
        cli->gradient = true;
        return 0;
    case KEY_GRADIENT_AT:
        error = parse_word(parse, "gradient-at", text, gradient_words, &value);
        cli->gradient_at_normalized = value != 0;
        return error;
    case KEY_COMPAT:
        return 0; /* the scout saw it */
    case KEY_LONE:
        cli->lone = true;
        return 0;
    case KEY_AT_ZERO:
        error = parse_word(parse, "at-zero", text, zero_words, &value);
        cli->loss.whole_at_zero = value != 0;
        return error;
    case KEY_NORM_FLOOR:
        return parse_number(parse, "norm-floor", text, &cli->norm_floor);
    case KEY_WITHIN:
        cli->within_given = true;
        return parse_number(parse, "within", text, &cli->within);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Numbers with commas between them. */
static error_t parse_margins(trm_parse *parse, const char *text)
{
    trm_survey_options *survey = &parse->cli->survey;
    survey->margins = 0;
    for (const char *from = text; from != NULL;) {
        char one[64];
        const size_t length = strcspn(from, ",");
        if (survey->margins == TRM_MARGINS_MOST || length >= sizeof one) {
            snprintf(one, sizeof one, "must be at most %d numbers, with commas between", TRM_MARGINS_MOST);
            return refuse(parse, "margins", text, one);
        }
        snprintf(one, sizeof one, "%.*s", (int)length, from);
        if (parse_number(parse, "margins", one, &survey->margin[survey->margins++]) != 0)
            return EINVAL;
        from = from[length] == ',' ? from + length + 1 : NULL;
    }
    return 0;
}

static error_t parse_survey(trm_parse *parse, int key, const char *text)
{
    switch (key) {
    case KEY_HISTOGRAM:
        return parse_integer(parse, "histogram", text, 1, TRM_BINS_MOST, &parse->cli->survey.bins);
    case KEY_MARGINS:
        return parse_margins(parse, text);
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
        return parse_int(parse, "threads", text, 1, TRM_THREADS_MOST, &cli->run.threads);
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

/* Sorted and each once, so that one set of labels is one set of options; what they mean depends on the store.
 */
static void keep_label(trm_cli *cli, const char *text)
{
    int at = cli->ignores;
    while (at > 0 && strcmp(cli->ignore[at - 1], text) > 0)
        at--;
    if (at > 0 && strcmp(cli->ignore[at - 1], text) == 0)
        return;
    memmove(&cli->ignore[at + 1], &cli->ignore[at], (size_t)(cli->ignores - at) * sizeof *cli->ignore);
    cli->ignore[at] = text;
    cli->ignores++;
}

static error_t parse_form(trm_parse *parse, const char *text)
{
    static const word words[] = {{"triplets", TRM_FORM_TRIPLETS}, {"lists", TRM_FORM_LISTS}, {NULL, 0}};
    int value = 0;
    const error_t error = parse_word(parse, "form", text, words, &value);
    parse->cli->form = (trm_form)value;
    return error;
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
    case KEY_FORM:
        return parse_form(parse, text);
    case KEY_CHECKPOINT:
        cli->checkpoint = text;
        return 0;
    case KEY_CHECKPOINT_EVERY:
        cli->checkpoint_every_given = true;
        return parse_number(parse, "checkpoint-every", text, &cli->checkpoint_minutes);
    case KEY_RESUME:
        cli->resume = true;
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
        keep_label(cli, text);
        return 0;
    case KEY_SEED:
        return parse_integer(parse, "seed", text, 0, INT64_MAX, &cli->seed);
    case KEY_ROWS:
        return parse_integer(parse, "rows", text, 1, INT64_C(1) << 40, &cli->rows);
    case KEY_DIM:
        return parse_integer(parse, "dim", text, 1, 65536, &cli->dim);
    case KEY_CLASSES:
        return parse_integer(parse, "classes", text, 1, INT64_C(1) << 40, &cli->classes);
    case KEY_SPREAD:
        return parse_spread(parse, text, &cli->spread);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t scout(trm_parse *parse, int key, const char *text)
{
    const char **compat = &parse->cli->compat;
    if (key != KEY_COMPAT)
        return 0;
    if (*compat != NULL) {
        parse->status = trm_fail(parse->err, TRM_ERR_USAGE, "--compat %s and --compat %s: give one of them",
                                 *compat, text);
        return EINVAL;
    }
    *compat = text;
    return 0;
}

static error_t parse_key(trm_parse *parse, int key, const char *text)
{
    if (parse->pass == PASS_SCOUT)
        return scout(parse, key, text);
    *(parse->pass == PASS_PRESET ? &parse->cli->preset_given : &parse->cli->given) |= bit_of(key);
    error_t error = parse_mining(parse, key, text);
    if (error == ARGP_ERR_UNKNOWN)
        error = parse_loss(parse, key, text);
    if (error == ARGP_ERR_UNKNOWN)
        error = parse_survey(parse, key, text);
    if (error == ARGP_ERR_UNKNOWN)
        error = parse_running(parse, key, text);
    if (error == ARGP_ERR_UNKNOWN)
        error = parse_data(parse, key, text);
    return error;
}

/* ---- words ---- */

static const option_row *find_option(const char *name, size_t length)
{
    for (const option_row *row = option_table; row->option.name != NULL; row++)
        if (strncmp(row->option.name, name, length) == 0 && row->option.name[length] == '\0')
            return row;
    return NULL;
}

static const option_row *find_letter(char letter)
{
    for (const option_row *row = option_table; row->option.name != NULL; row++)
        if (row->option.key == letter)
            return row;
    return NULL;
}

enum { NAMES = 1024 };

static void add_name(char list[NAMES], const char *name)
{
    const size_t length = strlen(list);
    snprintf(list + length, NAMES - length, "%s%s", length > 0 ? " " : "", name);
}

/* A word that is no option of any command. name: without its dashes, and without a value. */
static trm_status refuse_unknown(const trm_parse *parse, const char *shown, int shown_length,
                                 const char *name, size_t length, trm_error *err)
{
    char list[NAMES] = "", meant[TRM_SUGGESTION], bare[TRM_SUGGESTION];
    snprintf(bare, sizeof bare, "%.*s", (int)length, name);
    for (const option_row *row = option_table; row->option.name != NULL; row++)
        if ((row->commands & parse->command->bit) != 0)
            add_name(list, row->option.name);
    add_name(list, "help");
    return trm_fail(err, TRM_ERR_USAGE, "'%.*s': unknown option%s (see trimine %s --help)", shown_length,
                    shown, trm_suggest(bare, "--", list, meant), parse->command->name);
}

/* An option of other commands: which. */
static trm_status refuse_foreign(const trm_parse *parse, const option_row *row, trm_error *err)
{
    char list[NAMES] = "";
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if ((row->commands & commands[i].bit) != 0)
            add_name(list, commands[i].name);
    return trm_fail(err, TRM_ERR_USAGE, "'--%s': not an option of trimine %s, but of: %s", row->option.name,
                    parse->command->name, list);
}

/* Is the word after an option that needs a value an option itself? Not so "-1", a label, nor "-". */
static bool is_option(const char *text)
{
    return text[0] == '-' && (text[1] == '-' || find_letter(text[1]) != NULL);
}

/* An option with the value that is attached to it, or NULL, and the word that follows, or NULL. Sets *taken
 * where that is its value. */
static trm_status parse_option(trm_parse *parse, const option_row *row, const char *attached,
                               const char *next, bool *taken, trm_error *err)
{
    const char *const name = row->option.name, *value = attached;
    if ((row->commands & parse->command->bit) == 0)
        return refuse_foreign(parse, row, err);
    if (row->option.arg == NULL && attached != NULL)
        return trm_fail(err, TRM_ERR_USAGE, "'--%s': takes no value, but got '%s'", name, attached);
    if (row->option.arg != NULL && attached == NULL) {
        if (next == NULL || is_option(next))
            return trm_fail(err, TRM_ERR_USAGE, "'--%s': needs a value: --%s %s", name, name,
                            row->option.arg);
        value = next;
        *taken = true;
    }
    if (parse_key(parse, row->option.key, value) != 0 && parse->status == TRM_OK)
        return trm_fail(err, TRM_ERR_INTERNAL, "option --%s is in no parser", name);
    return parse->status;
}

static trm_status parse_long(trm_parse *parse, const char *given, const char *next, bool *taken,
                             trm_error *err)
{
    const char *const name = given + 2, *const equals = strchr(name, '=');
    const size_t length = strcspn(name, "=");
    const option_row *row = find_option(name, length);
    if (row == NULL)
        return refuse_unknown(parse, given, (int)length + 2, name, length, err);
    return parse_option(parse, row, equals != NULL ? equals + 1 : NULL, next, taken, err);
}

/* -v, -vv, -o FILE, -oFILE. */
static trm_status parse_letters(trm_parse *parse, const char *given, const char *next, bool *taken,
                                trm_error *err)
{
    const size_t length = strcspn(given + 1, "=");
    trm_status status = TRM_OK;
    if (length > 1 && find_option(given + 1, length) != NULL) /* -overwrite is not -o verwrite */
        return refuse_unknown(parse, given, (int)length + 1, given + 1, length, err);
    for (const char *at = given + 1; *at != '\0' && status == TRM_OK; at++) {
        const option_row *row = find_letter(*at);
        if (row == NULL)
            return refuse_unknown(parse, given, (int)length + 1, given + 1, length, err);
        const bool attached = row->option.arg != NULL && at[1] != '\0';
        if (attached && at[1] == '=') /* the file "=FILE" is what nobody means */
            return trm_fail(err, TRM_ERR_USAGE, "'%s': write -%c %s, or --%s=%s", given, *at, at + 2,
                            row->option.name, at + 2);
        status = parse_option(parse, row, attached ? at + 1 : NULL, next, taken, err);
        if (attached)
            return status;
    }
    return status;
}

static trm_status parse_words(trm_parse *parse, trm_pass pass, int count, char **words, trm_error *err)
{
    trm_status status = TRM_OK;
    bool options = true;
    parse->pass = pass;
    for (int i = 1; i < count && status == TRM_OK; i++) {
        const char *next = i + 1 < count ? words[i + 1] : NULL;
        bool taken = false;
        if (!options || words[i][0] != '-' || words[i][1] == '\0') {
            if (pass == PASS_USER)
                parse->cli->input[parse->cli->inputs++] = words[i];
        } else if (strcmp(words[i], "--") == 0)
            options = false;
        else if (words[i][1] == '-')
            status = parse_long(parse, words[i], next, &taken, err);
        else
            status = parse_letters(parse, words[i], next, &taken, err);
        i += taken;
    }
    return status;
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
    *cli = (trm_cli){.rows = 20000, .dim = 128, .classes = 100, .spread = 1.0, .checkpoint_minutes = 10.0};
    trm_store_options_init(&cli->store);
    trm_mine_options_init(&cli->mine);
    trm_loss_options_init(&cli->loss);
    trm_run_options_init(&cli->run);
}

static trm_status check_inputs(const trm_cli *cli, const command_row *command, trm_error *err)
{
    const uint64_t how = bit_of(KEY_JSON) | bit_of(KEY_QUIET) | bit_of(KEY_PROGRESS);
    if (command->bit == FOR_BENCH && cli->inputs == 0 && (cli->given & ~how) == 0)
        return trm_fail(
            err, TRM_ERR_USAGE,
            "bench: say what to measure, such as trimine bench --rows 20000 --dim 128 (see trimine "
            "bench --help)");
    if (command->bit == FOR_BENCH && cli->inputs > 0)
        return trm_fail(err, TRM_ERR_USAGE, "bench takes no store: '%s'", cli->input[0]);
    if (command->bit == FOR_SYNTH && cli->inputs != 1)
        return trm_fail(err, TRM_ERR_USAGE, "synth takes one output file");
    if ((command->bit & (FOR_STORES | FOR_INFO)) && cli->inputs == 0)
        return trm_fail(err, TRM_ERR_USAGE, "no store given (see trimine %s --help)", command->name);
    if (command->bit == FOR_LOSS && cli->output != NULL && !cli->gradient)
        return trm_fail(err, TRM_ERR_USAGE, "-o '%s': there is only a gradient to write, give --gradient",
                        cli->output);
    if (cli->output == NULL && (cli->given & bit_of(KEY_FORM)) != 0)
        return trm_fail(err, TRM_ERR_USAGE, "--form %s goes with -o FILE only", trm_form_name(cli->form));
    if (cli->checkpoint == NULL && (cli->resume || cli->checkpoint_every_given))
        return trm_fail(err, TRM_ERR_USAGE, "--%s goes with --checkpoint FILE only",
                        cli->resume ? "resume" : "checkpoint-every");
    if (cli->gradient_at_normalized && !cli->normalize)
        return trm_fail(err, TRM_ERR_USAGE, "--gradient-at normalized goes with --normalize only");
    return TRM_OK;
}

/* The preset's words, but for what the command does not take because it is always so. */
static trm_status parse_preset(trm_parse *parse, trm_error *err)
{
    const trm_preset *preset = trm_preset_find(parse->cli->compat);
    const bool mine = parse->command->bit == FOR_MINE;
    char name[16], text[12][64], *words[13], meant[TRM_SUGGESTION];
    int count = 0;
    if (preset == NULL)
        return trm_fail(err, TRM_ERR_USAGE, "--compat '%s': must be one of %s%s", parse->cli->compat,
                        trm_preset_names(), trm_suggest(parse->cli->compat, "", trm_preset_names(), meant));
    if (mine ? !preset->mine : !preset->loss)
        return trm_fail(err, TRM_ERR_USAGE,
                        "--compat '%s' is for trimine loss: it makes no triplets to write", preset->name);
    snprintf(name, sizeof name, "%s", parse->command->name);
    words[count++] = name;
    for (int i = 0; preset->words[i] != NULL; i++) {
        if (mine && strcmp(preset->words[i], "--loss=mined") == 0)
            continue;
        snprintf(text[i], sizeof text[i], "%s", preset->words[i]);
        words[count++] = text[i];
    }
    return parse_words(parse, PASS_PRESET, count, words, err);
}

/* What follows from the options together. */
static void settle(trm_cli *cli)
{
    if (!cli->margin_given)
        cli->mine.margin = trm_metric_default_margin(cli->mine.metric);
    if (cli->survey.margins > 0)
        cli->mine.window = TRM_WINDOW_NONE;
    cli->loss.metric = cli->mine.metric;
    cli->loss.margin = cli->loss.soft && !cli->margin_given ? 0.0 : cli->mine.margin;
    if (cli->within_given && cli->source == TRM_SOURCE_BATCH_ALL)
        cli->source = TRM_SOURCE_WITHIN;
    if (cli->triplets != NULL)
        cli->source = TRM_SOURCE_GIVEN;
}

/* ---- options and the source of triplets ---- */

/* The sources that an option may apply to: those of trm_source, and packed triplets by trm_packed_pick. */
enum { SOURCES_OF_STORE = TRM_SOURCE_WITHIN + 1, SOURCES = SOURCES_OF_STORE + TRM_PACKED_REVERSED + 1 };
enum {
    AT_MINED = 1 << TRM_SOURCE_MINED,
    AT_GIVEN = 1 << TRM_SOURCE_GIVEN,
    AT_HARD = 1 << TRM_SOURCE_BATCH_HARD,
    AT_WITHIN = 1 << TRM_SOURCE_WITHIN,
    AT_STORE = (1 << SOURCES_OF_STORE) - 1,
    AT_WHOLE = AT_STORE & ~AT_GIVEN,
    AT_PACKED = ((1 << SOURCES) - 1) & ~AT_STORE,
    AT_PACKED_SEMIHARD = 1 << (SOURCES_OF_STORE + TRM_PACKED_SEMIHARD),
    AT_PACKED_LOSS = AT_PACKED & ~(1 << (SOURCES_OF_STORE + TRM_PACKED_REVERSED)),
    AT_SEMIHARD = AT_MINED | AT_PACKED_SEMIHARD,
    AT_TRIPLETS = AT_MINED | AT_GIVEN | AT_HARD | AT_PACKED_LOSS,
    AT_ANY = AT_STORE | AT_PACKED
};

static const char *const source_texts[SOURCES] = {"--loss mined",
                                                  "--triplets",
                                                  "--loss batch-hard",
                                                  "--loss batch-all",
                                                  "--loss batch-all",
                                                  "packed triplets",
                                                  "packed triplets with --negatives hard",
                                                  "packed triplets with --negatives random",
                                                  "packed triplets with --negatives reversed"};

/* What options of mine and loss apply to, and what they set, as trm_report_settings names it. An option that
 * is not here says how to work or what to write, not of what, and applies whatever the source. */
typedef struct rule_row {
    int key, sources;
    const char *settings[2];
} rule_row;

static const rule_row rule_table[] = {
    {KEY_LOSS, AT_WHOLE, {"source", NULL}},
    {KEY_TRIPLETS, AT_GIVEN, {"source", NULL}},
    {KEY_METRIC, AT_ANY, {"metric", NULL}},
    {KEY_MARGIN, AT_ANY, {"margin", "loss_margin"}},
    {KEY_POSITIVES, AT_MINED, {"positives", NULL}},
    {KEY_NEGATIVES, AT_MINED | AT_PACKED, {"negatives", NULL}},
    {KEY_WINDOW, AT_SEMIHARD, {"window", NULL}},
    {KEY_PICK, AT_SEMIHARD, {"pick", NULL}},
    {KEY_FALLBACK, AT_SEMIHARD, {"fallback", NULL}},
    {KEY_LONE, AT_HARD, {"lone", NULL}},
    {KEY_WITHIN, AT_WITHIN, {"within", NULL}},
    {KEY_AT_ZERO, AT_TRIPLETS | AT_PACKED, {"at_zero", NULL}},
    {KEY_NORM_FLOOR, AT_PACKED, {"norm_floor", NULL}},
    {KEY_SOFT, AT_TRIPLETS, {"soft", NULL}},
    {KEY_SWAP, AT_TRIPLETS, {"swap", NULL}},
    {KEY_REDUCTION, AT_ANY, {"reduction", NULL}},
    {KEY_GRADIENT_AT, AT_ANY, {"gradient_at", NULL}},
    {KEY_SEED, AT_ANY, {"seed", NULL}},
    {KEY_HISTOGRAM, AT_MINED | AT_HARD, {NULL, NULL}},
    {KEY_MARGINS, AT_MINED, {NULL, NULL}},
    {KEY_NORMALIZE, AT_ANY, {"normalize", NULL}},
    {KEY_IGNORE, AT_STORE, {"ignore_label", NULL}},
    {KEY_EMBEDDINGS, AT_STORE, {NULL, NULL}},
    {KEY_LABELS, AT_STORE, {NULL, NULL}},
    {KEY_IDS, AT_STORE, {NULL, NULL}},
    {KEY_CHECKPOINT, AT_WHOLE, {NULL, NULL}},
    {KEY_CHECKPOINT_EVERY, AT_WHOLE, {NULL, NULL}},
    {KEY_RESUME, AT_WHOLE, {NULL, NULL}},
};
enum { RULES = sizeof rule_table / sizeof *rule_table };

static const char *name_of(int key)
{
    const option_row *row = option_table;
    while (row->option.key != key)
        row++;
    return row->option.name;
}
static int source_of(const trm_cli *cli)
{
    return cli->packed ? SOURCES_OF_STORE + (int)cli->packed_pick : (int)cli->source;
}

static bool applies(const rule_row *row, const trm_cli *cli)
{
    return (row->sources >> source_of(cli) & 1) != 0;
}

/* " (of --compat NAME)" where it is the preset alone that gave an option. */
static const char *by_preset(const trm_cli *cli, uint64_t option, char text[64])
{
    text[0] = '\0';
    if ((cli->preset_given & ~cli->given & option) != 0)
        snprintf(text, 64, " (of --compat %s)", cli->compat);
    return text;
}

/* What a sweep of margins is of must be the same at every margin. */
static trm_status check_margins(const trm_cli *cli, trm_error *err)
{
    const bool windowed = ((cli->given | cli->preset_given) & bit_of(KEY_WINDOW)) != 0;
    const struct {
        int key;
        bool is;
        const char *text;
    } against[] = {{KEY_WINDOW, windowed && cli->mine.window == TRM_WINDOW_LT, "window lt"},
                   {KEY_WINDOW, windowed && cli->mine.window == TRM_WINDOW_LE, "window le"},
                   {KEY_PICK, cli->mine.pick != TRM_PICK_NEAREST, "pick farthest"},
                   {KEY_SOFT, cli->loss.soft, "soft"},
                   {KEY_SWAP, cli->loss.swap, "swap"}};
    char of_option[64];
    for (size_t i = 0; i < sizeof against / sizeof *against && cli->survey.margins > 0; i++)
        if (against[i].is)
            return trm_fail(
                err, TRM_ERR_USAGE,
                "--margins is of the hinge on triplets of --window none and --pick nearest: --%s%s "
                "does not go with it",
                against[i].text, by_preset(cli, bit_of(against[i].key), of_option));
    return TRM_OK;
}

trm_status trm_cli_check_applying(const trm_cli *cli, trm_error *err)
{
    char of_option[64], of_source[64];
    const uint64_t source = bit_of(cli->packed ? KEY_NEGATIVES : KEY_LOSS);
    for (const rule_row *row = rule_table; row < rule_table + RULES; row++) {
        const uint64_t option = bit_of(row->key);
        if (((cli->given | cli->preset_given) & option) != 0 && !applies(row, cli))
            return trm_fail(err, TRM_ERR_USAGE, "--%s%s does not apply to %s%s", name_of(row->key),
                            by_preset(cli, option, of_option), source_texts[source_of(cli)],
                            by_preset(cli, source, of_source));
    }
    return TRM_OK;
}

void trm_cli_keep_applying(const trm_cli *cli, json_t *options)
{
    for (const rule_row *row = rule_table; row < rule_table + RULES; row++)
        for (int i = 0; i < 2 && row->settings[i] != NULL && !applies(row, cli); i++)
            json_object_del(options, row->settings[i]);
}

/* The options that the user gave and that set something else than the preset's rule does. */
static json_t *list_overridden(const trm_cli *cli, const json_t *rule)
{
    json_t *now = trm_report_settings(cli), *names = json_array();
    for (const rule_row *row = rule_table; row < rule_table + RULES; row++) {
        bool same = true;
        for (int i = 0; i < 2 && row->settings[i] != NULL; i++) {
            const json_t *was = json_object_get(rule, row->settings[i]);
            const json_t *is = json_object_get(now, row->settings[i]);
            same = same && (was == is || json_equal(was, is));
        }
        if (!same && (cli->given & bit_of(row->key)) != 0)
            json_array_append_new(names, json_string(name_of(row->key)));
    }
    json_decref(now);
    return names;
}

/* The settings of the preset alone (new reference). */
static json_t *rule_of_preset(const trm_cli *cli)
{
    trm_cli rule = *cli;
    settle(&rule);
    return trm_report_settings(&rule);
}

static trm_status refuse_command(const char *name, trm_error *err)
{
    char list[NAMES] = "help", meant[TRM_SUGGESTION];
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        add_name(list, commands[i].name);
    if (name[0] == '-')
        return trm_fail(err, TRM_ERR_USAGE,
                        "'%s': the command comes first: trimine COMMAND [OPTION...], COMMAND one of %s", name,
                        list);
    return trm_fail(err, TRM_ERR_USAGE, "'%s': no such command%s (see trimine --help)", name,
                    trm_suggest(name, "", list, meant));
}

trm_status trm_cli_parse(int argc, char **argv, trm_cli *cli, trm_error *err)
{
    set_defaults(cli);
    if (argc < 2)
        return trm_fail(err, TRM_ERR_USAGE, "no command given (see trimine --help)");
    const command_row *command = find_row(argv[1]);
    if (command == NULL)
        return refuse_command(strcmp(argv[1], "help") == 0 && argc > 2 ? argv[2] : argv[1], err);
    cli->command = command->name;
    if (command->bit == FOR_BENCH)
        cli->mine.positives = TRM_POSITIVES_EASIEST;
    cli->input = trm_alloc(argc, sizeof *cli->input);
    cli->ignore = trm_alloc(argc, sizeof *cli->ignore);
    if (cli->input == NULL || cli->ignore == NULL)
        return trm_fail(err, TRM_ERR_MEMORY, "out of memory");
    trm_parse parse = {.cli = cli, .err = err, .command = command};
    trm_status status = parse_words(&parse, PASS_SCOUT, argc - 1, argv + 1, err);
    if (status == TRM_OK && cli->compat != NULL)
        status = parse_preset(&parse, err);
    json_t *rule = status == TRM_OK && cli->compat != NULL ? rule_of_preset(cli) : NULL;
    if (status == TRM_OK)
        status = parse_words(&parse, PASS_USER, argc - 1, argv + 1, err);
    if (status == TRM_OK)
        status = check_inputs(cli, command, err);
    if (status == TRM_OK)
        status = check_margins(cli, err);
    if (status == TRM_OK) {
        settle(cli);
        cli->overridden = rule != NULL ? list_overridden(cli, rule) : NULL;
    }
    json_decref(rule);
    return status;
}

/* ---- help ---- */

bool trm_cli_wants_json(int argc, char **argv)
{
    bool json = false;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        json = json || strcmp(argv[i], "--json") == 0;
    return json;
}

static void print_overview(void)
{
    printf("Usage: trimine COMMAND [OPTION...]\n"
           "Exact mining of hard training examples from whole embedding stores, over MPI.\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        printf("  %-7s %-15s  %.*s\n", commands[i].name, commands[i].arguments,
               (int)strcspn(commands[i].about, "\v"), commands[i].about);
    printf("\n  trimine help COMMAND says what a command takes; trimine --version which version this is, "
           "with -v of what "
           "it is made.\n");
}

static void print_command(const command_row *command, FILE *to, unsigned how)
{
    struct argp_option options[MOST_OPTIONS + 1];
    char name[64];
    snprintf(name, sizeof name, "trimine %s", command->name);
    fill_options(command, options);
    const struct argp argp = {options, NULL, command->arguments, command->about, NULL, NULL, NULL};
    argp_help(&argp, to, how, name);
}

static bool is_one_of(const char *given, const char *a, const char *b, const char *c)
{
    return strcmp(given, a) == 0 || strcmp(given, b) == 0 || strcmp(given, c) == 0;
}

/* Is one of these among the words before "--"? */
static bool has_word(int argc, char **argv, const char *a, const char *b, const char *c)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (is_one_of(argv[i], a, b, c))
            return true;
    return false;
}

/* Prints what is asked for; false: nothing is. */
static bool answer(int argc, char **argv)
{
    const bool help = strcmp(argv[1], "help") == 0;
    const command_row *command = find_row(help && argc > 2 ? argv[2] : argv[1]);
    if (has_word(argc, argv, "--version", "-V", "-V"))
        trm_report_version(has_word(argc, argv, "-v", "--verbose", "-vv"));
    else if (command != NULL && (help || has_word(argc, argv, "--help", "-h", "-?")))
        print_command(command, stdout, ARGP_HELP_STD_HELP);
    else if (command != NULL && has_word(argc, argv, "--usage", "--usage", "--usage"))
        print_command(command, stdout, ARGP_HELP_USAGE);
    else if ((help && (argc == 2 || is_one_of(argv[2], "--help", "-h", "help"))) ||
             is_one_of(argv[1], "--help", "-h", "-?"))
        print_overview();
    else
        return false;
    return true;
}

void trm_cli_answer_help(int argc, char **argv, bool speaks)
{
    if (argc < 2)
        return;
    if (!speaks && freopen("/dev/null", "w", stdout) == NULL)
        exit(0);
    if (answer(argc, argv)) {
        const bool written = fflush(stdout) == 0 && ferror(stdout) == 0;
        if (!written)
            fprintf(stderr, "trimine: error: standard output could not be written: %s\n", strerror(errno));
        exit(written ? 0 : trm_exit_code(TRM_ERR_IO));
    }
    if (speaks && argc == 2 && strcmp(argv[1], "bench") == 0)
        print_command(find_row("bench"), stderr, ARGP_HELP_STD_HELP);
}
