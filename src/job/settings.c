/* Settings of a job; see settings.h. */
#include "job/settings.h"

#include "base/alloc.h"
#include "base/json.h"
#include "eval/among.h"
#include "loss/options.h"
#include "loss/term.h"
#include "mine/negatives.h"
#include "mine/options.h"
#include "options/suggest.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- by whom an option was given ---- */

enum { BY_PRESET = 1, BY_USER = 2 };

static trm_walk walk_of(const trm_settings *settings)
{
    return trm_walk_of(&settings->kind->takes);
}

bool trm_settings_takes(const trm_settings *settings, const char *name)
{
    trm_walk walk = walk_of(settings);
    return trm_walk_find(&walk, name);
}

bool trm_settings_plan_only(const trm_settings *settings)
{
    return settings->dry_run || settings->plans;
}

bool trm_settings_given(const trm_settings *settings, const char *name)
{
    trm_walk walk = walk_of(settings);
    return trm_walk_find(&walk, name) && settings->given[walk.number] != 0;
}

static trm_status set(trm_settings *settings, int by, const char *name, size_t length, const char *value,
                      trm_error *err)
{
    trm_walk walk = walk_of(settings);
    if (!trm_walk_find_part(&walk, name, length, '\0'))
        return trm_fail(err, TRM_ERR_INTERNAL, "'%.*s': no option of a job", (int)length, name);
    settings->given[walk.number] |= (unsigned char)by;
    return trm_option_set(walk.option, (char *)settings + walk.at, value, err);
}

/* ---- where triplets come from ---- */

static_assert(TRM_AT_MINED == 1 << TRM_SOURCE_MINED && TRM_AT_GIVEN == 1 << TRM_SOURCE_GIVEN &&
                  TRM_AT_HARD == 1 << TRM_SOURCE_BATCH_HARD && TRM_AT_ALL == 1 << TRM_SOURCE_BATCH_ALL &&
                  TRM_AT_WITHIN == 1 << TRM_SOURCE_WITHIN,
              "a source is a bit");

uint32_t trm_settings_source(const trm_settings *settings)
{
    if (!settings->packed)
        return UINT32_C(1) << settings->source;
    if (trm_negatives_are_reversed(&settings->mine))
        return TRM_AT_PACKED_REVERSED;
    return trm_negatives_take(&settings->mine, TRM_TAKES_WINDOW) ? TRM_AT_PACKED_SEMIHARD
                                                                 : TRM_AT_PACKED_OTHER;
}

const char *const *trm_settings_source_names(void)
{
    static const char *names[TRM_AT_SOURCES] = {
        [TRM_SOURCE_WITHIN + 1] = "packed-semihard", "packed-other", "packed-reversed"};
    for (int source = 0; source <= TRM_SOURCE_WITHIN; source++)
        names[source] = trm_word_name(&trm_source_words, source);
    return names;
}

/* As a user asks for it. */
static const char *source_text(const trm_settings *settings, char text[64])
{
    const trm_source source = settings->source == TRM_SOURCE_WITHIN ? TRM_SOURCE_BATCH_ALL : settings->source;
    if (trm_settings_source(settings) == TRM_AT_PACKED_SEMIHARD)
        return "packed triplets";
    if (!settings->packed && source == TRM_SOURCE_GIVEN)
        return "--triplets";
    snprintf(text, 64, "%s %s", settings->packed ? "packed triplets with --negatives" : "--loss",
             settings->packed ? settings->mine.negatives : trm_word_name(&trm_source_words, (int)source));
    return text;
}

/* " (of --compat NAME)" where it is the preset alone that gave an option. */
static const char *by_preset(const trm_settings *settings, const trm_walk *walk, char text[64])
{
    text[0] = '\0';
    if (settings->given[walk->number] == BY_PRESET)
        snprintf(text, 64, " (of --compat %s)", settings->compat);
    return text;
}

trm_status trm_settings_check_applying(const trm_settings *settings, trm_error *err)
{
    char of_option[64], of_source[64], text[64];
    trm_walk source = walk_of(settings);
    const bool found = trm_walk_find(&source, settings->packed ? "negatives" : "loss");
    for (trm_walk walk = walk_of(settings); trm_walk_next(&walk);)
        if (settings->given[walk.number] != 0 &&
            !trm_option_applies(walk.option, trm_settings_source(settings)))
            return trm_fail(err, TRM_ERR_USAGE, "--%s%s does not apply to %s%s", walk.option->name,
                            by_preset(settings, &walk, of_option), source_text(settings, text),
                            found ? by_preset(settings, &source, of_source) : "");
    return TRM_OK;
}

/* What a sweep of margins is of must be the same at every margin. */
static trm_status check_margins(const trm_settings *settings, trm_error *err)
{
    const bool windowed = trm_settings_given(settings, "window");
    const char *other = trm_term_other(&settings->loss);
    const struct {
        const char *option;
        bool is;
        const char *text;
    } against[] = {{"window", windowed && settings->mine.window == TRM_WINDOW_LT, "window lt"},
                   {"window", windowed && settings->mine.window == TRM_WINDOW_LE, "window le"},
                   {"pick", settings->mine.pick == TRM_PICK_FARTHEST, "pick farthest"},
                   {"pick", settings->mine.pick == TRM_PICK_RANDOM, "pick random"},
                   {other, other != NULL, other},
                   {"swap", settings->loss.swap, "swap"}};
    char of_option[64];
    if (settings->survey.margins > 0 && trm_negatives_take(&settings->mine, TRM_TAKES_MARGIN))
        return trm_fail(
            err, TRM_ERR_USAGE,
            "--margins is of triplets that are the same at every margin: --negatives %s does not go "
            "with it",
            settings->mine.negatives);
    for (size_t i = 0; i < sizeof against / sizeof *against && settings->survey.margins > 0; i++) {
        trm_walk walk = walk_of(settings);
        if (against[i].is && trm_walk_find(&walk, against[i].option))
            return trm_fail(
                err, TRM_ERR_USAGE,
                "--margins is of the hinge on triplets of --window none and --pick nearest: --%s%s "
                "does not go with it",
                against[i].text, by_preset(settings, &walk, of_option));
    }
    return TRM_OK;
}

bool trm_settings_draw(const trm_settings *settings)
{
    if (settings->packed)
        return trm_negatives_take(&settings->mine, TRM_TAKES_SEED);
    return settings->source == TRM_SOURCE_MINED && (settings->batches > 0 || trm_mine_draws(&settings->mine));
}

bool trm_settings_in_batches(const trm_settings *settings)
{
    return settings->batches > 0 || settings->batch_list != NULL;
}

bool trm_settings_in_two_sets(const trm_settings *settings)
{
    return settings->queries.count > 0;
}

bool trm_settings_labels_may_lack(const trm_settings *settings)
{
    return settings->kind->needs_labels != NULL && !settings->kind->needs_labels(settings);
}

trm_status trm_settings_check_pairs(const trm_settings *settings, trm_error *err)
{
    return settings->pairs == NULL || trm_settings_in_two_sets(settings)
               ? TRM_OK
               : trm_fail(err, TRM_ERR_USAGE, "--pairs goes with --queries only");
}

/* What goes with two sets, and what does not. */
static trm_status check_sets(const trm_settings *settings, trm_error *err)
{
    const char *batches = settings->batches > 0 ? "batches" : "batch-list";
    const trm_status status = trm_settings_check_pairs(settings, err);
    if (status != TRM_OK)
        return status;
    if (settings->pairs == NULL && settings->mine.and_labels)
        return trm_fail(err, TRM_ERR_USAGE, "--and-labels goes with --pairs only");
    if (settings->pairs != NULL && settings->ignore.count > 0)
        return trm_fail(err, TRM_ERR_USAGE,
                        "--ignore-label goes by labels, --pairs does not: give one of them");
    if (trm_settings_in_two_sets(settings) && trm_settings_in_batches(settings))
        return trm_fail(err, TRM_ERR_USAGE, "--%s is of one set: it does not go with --queries", batches);
    return TRM_OK;
}

/* A row without a positive has negatives, but none by a positive. */
static trm_status check_lone(const trm_settings *settings, trm_error *err)
{
    static const char *const by_positive[] = {"absolute-margin", "relative-margin", "not-near-positive"};
    const trm_mine_options *mine = &settings->mine;
    if (!mine->lone)
        return TRM_OK;
    if (!trm_negatives_take(mine, TRM_TAKES_FILTERS))
        return trm_fail(err, TRM_ERR_USAGE, "--lone does not go with --negatives %s, which go by a positive",
                        mine->negatives);
    for (size_t i = 0; i < sizeof by_positive / sizeof *by_positive; i++)
        if (trm_settings_given(settings, by_positive[i]))
            return trm_fail(err, TRM_ERR_USAGE, "--lone does not go with --%s, which needs a positive",
                            by_positive[i]);
    return TRM_OK;
}

/* The three options of a draw go together. */
static trm_status check_batches(const trm_settings *settings, trm_error *err)
{
    const bool any = settings->batches > 0 || settings->classes_per_batch > 0 || settings->rows_per_class > 0;
    const char *missing = settings->batches == 0             ? "batches"
                          : settings->classes_per_batch == 0 ? "classes-per-batch"
                          : settings->rows_per_class == 0    ? "rows-per-class"
                                                             : NULL;
    if (any && missing != NULL)
        return trm_fail(err, TRM_ERR_USAGE,
                        "--%s is missing: --batches, --classes-per-batch and --rows-per-class go together",
                        missing);
    return TRM_OK;
}

/* Is it told already that triplets are mined? Without --loss, a job of loss may be on packed triplets. */
static bool is_mined(const trm_settings *settings)
{
    return settings->source == TRM_SOURCE_MINED && settings->triplets == NULL &&
           (settings->kind->mines || trm_settings_given(settings, "loss"));
}

/* Negatives that are a set are counted; with --emit they are listed, by mine into a file. */
static trm_status check_set(const trm_settings *settings, trm_error *err)
{
    const char *set = settings->mine.negatives;
    const bool emit = settings->mine.emit_sets;
    const char *given = emit ? "emit" : trm_settings_given(settings, "max-triplets") ? "max-triplets" : NULL;
    const bool writes = settings->kind->mines;
    if (!trm_negatives_are_set(&settings->mine))
        return given == NULL
                   ? TRM_OK
                   : trm_fail(err, TRM_ERR_USAGE,
                              "--%s goes with --negatives that are a set: within-margin, hard-all, easy-all, "
                              "violating or multisimilarity:E",
                              given);
    if (!is_mined(settings)) /* what does not apply is refused when the source is known */
        return TRM_OK;
    if (!emit && given != NULL)
        return trm_fail(err, TRM_ERR_USAGE, "--max-triplets goes with --emit only");
    if (!emit && !writes)
        return trm_fail(err, TRM_ERR_USAGE,
                        "--negatives %s is counted only: a loss needs --emit, which lists its triplets", set);
    if (emit && writes && settings->output == NULL)
        return trm_fail(err, TRM_ERR_USAGE, "--emit goes with -o FILE only");
    if (!emit && settings->output != NULL)
        return trm_fail(err, TRM_ERR_USAGE,
                        "--negatives %s is counted only: -o needs --emit, which lists its triplets", set);
    if (settings->form != TRM_FORM_TRIPLETS)
        return trm_fail(
            err, TRM_ERR_USAGE,
            "--form %s does not go with --negatives %s: a set gives a pair any number of negatives",
            trm_form_name(settings->form), set);
    return TRM_OK;
}

/* Refuses what does not go together. */
static trm_status check_job(const trm_settings *settings, trm_error *err)
{
    if (settings->output == NULL && trm_settings_given(settings, "form"))
        return trm_fail(err, TRM_ERR_USAGE, "--form %s goes with -o FILE only",
                        trm_form_name(settings->form));
    if (settings->checkpoint == NULL &&
        (settings->resume || trm_settings_given(settings, "checkpoint-every")))
        return trm_fail(err, TRM_ERR_USAGE, "--%s goes with --checkpoint FILE only",
                        settings->resume ? "resume" : "checkpoint-every");
    if (settings->gradient_at_normalized && !settings->normalize)
        return trm_fail(err, TRM_ERR_USAGE, "--gradient-at normalized goes with --normalize only");
    if (settings->mine.ranks == NULL && trm_settings_given(settings, "rank-order"))
        return trm_fail(err, TRM_ERR_USAGE, "--rank-order goes with --ranks only");
    trm_status status = is_mined(settings) ? trm_negatives_check(&settings->mine, err) : TRM_OK;
    if (status == TRM_OK)
        status = check_batches(settings, err);
    if (status == TRM_OK)
        status = check_sets(settings, err);
    if (status == TRM_OK)
        status = check_lone(settings, err);
    if (status == TRM_OK)
        status = check_set(settings, err);
    return status == TRM_OK ? check_margins(settings, err) : status;
}

/* ---- presets ---- */

/* Which preset is given; NULL: none. */
static trm_status find_compat(int count, const trm_setting *given, const char **compat, trm_error *err)
{
    *compat = NULL;
    for (int i = 0; i < count; i++) {
        if (strcmp(given[i].option, trm_compat_table.option[0].name) != 0)
            continue;
        if (*compat != NULL)
            return trm_fail(err, TRM_ERR_USAGE, "--compat %s and --compat %s: give one of them", *compat,
                            given[i].value);
        *compat = given[i].value;
    }
    return TRM_OK;
}

/* The preset's words, but for what the kind of job does not take because it is always so. */
static trm_status take_preset(trm_settings *settings, trm_error *err)
{
    const trm_preset *preset = trm_preset_find(settings->compat);
    const bool mines = settings->kind->mines;
    char meant[TRM_SUGGESTION];
    trm_status status = TRM_OK;
    if (preset == NULL)
        return trm_fail(err, TRM_ERR_USAGE, "--compat '%s': must be one of %s%s", settings->compat,
                        trm_preset_names(), trm_suggest(settings->compat, "", trm_preset_names(), meant));
    if (mines ? !preset->mine : !preset->loss)
        return trm_fail(err, TRM_ERR_USAGE,
                        "--compat '%s' is for trimine loss: it makes no triplets to write", preset->name);
    for (int i = 0; preset->words[i] != NULL && status == TRM_OK; i++) {
        const char *name = preset->words[i] + 2, *equals = strchr(name, '=');
        if (!mines || strcmp(name, "loss=mined") != 0)
            status =
                set(settings, BY_PRESET, name, strcspn(name, "="), equals != NULL ? equals + 1 : NULL, err);
    }
    return status;
}

/* --labels any, same or other is --among; any other value is a dataset, whose path may begin with a '/'. */
static void take_among(trm_settings *settings)
{
    trm_option_texts *labels = &settings->labels;
    for (int i = 0; i < trm_among_words.count; i++) {
        const trm_word *word = trm_word_at(&trm_among_words, i);
        if (labels->count == 1 && strcmp(labels->text[0], word->name) == 0) {
            *settings->kind->among(settings) = (trm_among)word->value;
            labels->count = 0;
        }
    }
}

static trm_store_texts borrow(const trm_option_texts *texts)
{
    return (trm_store_texts){texts->text, texts->count};
}

static void take_texts(trm_settings *settings)
{
    trm_store_options *store = &settings->store;
    store->each_labels = borrow(&settings->labels);
    store->each_query_labels = borrow(&settings->query_labels);
    store->each_ids = borrow(&settings->ids);
    store->each_query_ids = borrow(&settings->query_ids);
}

void trm_settings_settle(trm_settings *settings)
{
    if (settings->kind != NULL && settings->kind->among != NULL)
        take_among(settings);
    take_texts(settings);
    const bool margin_given = !isnan(settings->mine.margin);
    if (!margin_given)
        settings->mine.margin = trm_metric_default_margin(settings->mine.metric);
    if (settings->survey.margins > 0)
        settings->mine.window = TRM_WINDOW_NONE;
    settings->mine.seed = (uint64_t)settings->seed;
    settings->loss.metric = settings->mine.metric;
    settings->eval.all_ranks = settings->output != NULL; /* a file has all of them */
    settings->loss.margin = settings->loss.soft && !margin_given ? 0.0 : settings->mine.margin;
    if (!isnan(settings->within) && settings->source == TRM_SOURCE_BATCH_ALL)
        settings->source = TRM_SOURCE_WITHIN;
    if (settings->triplets != NULL)
        settings->source = TRM_SOURCE_GIVEN;
    if (settings->source != TRM_SOURCE_MINED) /* no window, so the margin is the loss's */
        settings->mine.margin = settings->loss.margin;
    if (settings->mine.metric != TRM_METRIC_COSINE)
        settings->packed_options.norm_floor = 0.0;
}

/* Does an option, or a setting that follows from it, have another value than in rule? */
static bool differs(const trm_settings *settings, const trm_settings *rule, const char *name, uint32_t at)
{
    bool same = true;
    for (trm_walk walk = walk_of(settings); trm_walk_next(&walk);) {
        const trm_option *option = walk.option;
        const char *set_by = option->name != NULL ? option->name : option->follows;
        if (set_by == NULL || strcmp(set_by, name) != 0 || option->json == NULL ||
            !trm_option_decides(option, at))
            continue;
        json_t *is = trm_option_json(option, (const char *)settings + walk.at);
        json_t *was = trm_option_json(option, (const char *)rule + walk.at);
        same = same && json_equal(is, was) == 1;
        json_decref(is);
        json_decref(was);
    }
    return !same;
}

/* The options that the user gave and that set something else than the preset's rule does. A preset of packed
 * triplets is for those only, and the others are not for them. */
static json_t *list_overridden(const trm_settings *settings, const trm_settings *rule)
{
    trm_settings now = *settings;
    json_t *names = json_array();
    now.packed = trm_preset_find(settings->compat)->packed;
    const uint32_t at = trm_settings_source(&now) | TRM_WITH_GRADIENT;
    for (trm_walk walk = walk_of(settings); trm_walk_next(&walk);)
        if ((settings->given[walk.number] & BY_USER) != 0 && differs(settings, rule, walk.option->name, at))
            json_array_append_new(names, json_string(walk.option->name));
    return names;
}

/* ---- all of it ---- */

void trm_settings_init(trm_settings *settings, const trm_job_kind *kind)
{
    *settings = (trm_settings){.kind = kind,
                               .within = NAN,
                               .checkpoint_minutes = 10.0,
                               .plan = {.dim = 128,
                                        .classes = 100,
                                        .spread = 1.0,
                                        .gflops = NAN,
                                        .network = 1.25e9,
                                        .disk = NAN,
                                        .active = 0.5}};
    trm_store_options_init(&settings->store);
    trm_mine_options_init(&settings->mine);
    trm_loss_options_init(&settings->loss);
    trm_packed_options_init(&settings->packed_options);
    trm_knn_options_init(&settings->knn);
    trm_eval_options_init(&settings->eval);
    trm_radius_options_init(&settings->radius);
    trm_run_options_init(&settings->run);
    settings->plans = kind != NULL && kind->plans;
    settings->mine.margin = NAN; /* until settled: it depends on the metric */
}

trm_status trm_settings_take(trm_settings *settings, int count, const trm_setting *given, trm_error *err)
{
    trm_status status = find_compat(count, given, &settings->compat, err);
    if (status == TRM_OK && settings->compat != NULL)
        status = take_preset(settings, err);
    trm_settings rule = *settings;
    trm_settings_settle(&rule);
    for (int i = 0; i < count && status == TRM_OK; i++)
        status = set(settings, BY_USER, given[i].option, strlen(given[i].option), given[i].value, err);
    if (status == TRM_OK && settings->kind->check != NULL)
        status = settings->kind->check(settings, err);
    if (status == TRM_OK)
        status = check_job(settings, err);
    if (status == TRM_OK) {
        trm_settings_settle(settings);
        settings->overridden = settings->compat != NULL ? list_overridden(settings, &rule) : NULL;
    }
    return status;
}

void trm_settings_free(trm_settings *settings)
{
    for (int i = 0; i < settings->inputs; i++)
        trm_free(settings->input[i]);
    trm_free(settings->input);
    trm_option_labels_free(&settings->ignore);
    trm_option_texts *const texts[] = {&settings->labels, &settings->query_labels, &settings->ids,
                                       &settings->query_ids, &settings->queries};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        trm_option_texts_free(texts[i]);
    json_decref(settings->overridden);
}

/* ---- what decides a result ---- */

/* The keys of the first version in their order, so that attributes of results stay the same bytes. Keys that
 * come later need no place here: they follow in the order of the tables. */
static const char *const first_keys[] = {
    "metric",    "margin",      "loss_margin",  "positives",  "negatives", "window", "pick",
    "fallback",  "normalize",   "ignore_label", "soft",       "swap",      "lone",   "within",
    "reduction", "gradient_at", "at_zero",      "norm_floor", "seed",      "source",
};

/* No option says that triplets are packed: the file does. Nor does one of mine, whose triplets are mined. */
static json_t *source_json(const trm_settings *settings)
{
    return json_string(settings->packed ? "packed" : trm_word_name(&trm_source_words, (int)settings->source));
}

static json_t *in_order(json_t *options)
{
    json_t *ordered = json_object();
    for (size_t i = 0; i < sizeof first_keys / sizeof *first_keys; i++) {
        json_t *value = json_object_get(options, first_keys[i]);
        if (value != NULL)
            trm_json_put(&ordered, first_keys[i], json_incref(value));
    }
    const bool all = options != NULL && json_object_update_missing(ordered, options) == 0;
    json_decref(options);
    if (all)
        return ordered;
    json_decref(ordered);
    return NULL;
}

json_t *trm_settings_json(const trm_settings *settings)
{
    const uint32_t at = trm_settings_source(settings) | (settings->gradient ? TRM_WITH_GRADIENT : 0);
    json_t *options = json_object();
    trm_settings defaults;
    trm_settings_init(&defaults, settings->kind);
    for (int i = 0; i < settings->kind->takes.tables; i++) {
        const trm_taken *taken = &settings->kind->takes.taken[i];
        trm_options_report(taken->options, (const char *)settings + taken->at,
                           (const char *)&defaults + taken->at, at, &options);
    }
    if (settings->kind->question == NULL)
        trm_json_put(&options, "source", source_json(settings));
    if (trm_settings_draw(settings)) /* what its table row can't say: it decides what was drawn */
        trm_json_put(&options, "seed", json_integer(settings->seed));
    options = in_order(options);
    if (settings->queries_fingerprint[0] != '\0')
        trm_json_put(&options, "queries",
                     json_pack("{s:I, s:s}", "rows", (json_int_t)settings->queries_rows, "fingerprint",
                               settings->queries_fingerprint));
    if (settings->pairs_fingerprint[0] != '\0')
        trm_json_put(&options, "pairs",
                     json_pack("{s:I, s:s}", "count", (json_int_t)settings->pairs_count, "fingerprint",
                               settings->pairs_fingerprint));
    if (settings->compat != NULL)
        trm_json_put(&options, "compat",
                     json_pack("{s:s, s:O}", "name", settings->compat, "overridden", settings->overridden));
    return options;
}

trm_status trm_settings_text(const trm_settings *settings, char **text, trm_error *err)
{
    json_t *options = trm_settings_json(settings);
    *text = trm_json_dump(options);
    json_decref(options);
    return *text != NULL ? TRM_OK
                         : trm_fail(err, TRM_ERR_INTERNAL, "the options could not be written as JSON");
}
