/* Rules from a result's options; see rule.h. Each key that trimine writes is known here by name: one that is not could change
 * what is right, so then nothing is decided. */
#include "verify/rule.h"

#include "store/batch_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool trm_rule_is(const char *word, const char *name)
{
    return strcmp(word, name) == 0;
}

int64_t trm_rule_most(const trm_rule *rule)
{
    static const char *const counted[] = {"topk", "random", "weighted"};
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++)
        if (trm_rule_is(rule->negatives, counted[i]))
            return (int64_t)rule->negatives_number;
    return trm_rule_is(rule->negatives, "hard") || trm_rule_is(rule->negatives, "semihard");
}

bool trm_rule_in_window(const trm_rule *rule, double d_ap, double d_an)
{
    if (trm_rule_is(rule->window, "none"))
        return true;
    return trm_rule_is(rule->window, "le") ? d_an - d_ap <= rule->margin : d_an - d_ap < rule->margin;
}

/* ---- keys ---- */

static trm_status refuse(const trm_result *result, const char *key, trm_error *err)
{
    return trm_fail(err, TRM_ERR_DATA,
                    "result '%s': attribute 'options': '%s' has a value that means nothing",
                    trm_result_path(result), key);
}

/* "topk:5": word and number. */
static bool take_word(const json_t *value, char word[TRM_RULE_WORD], double *number)
{
    const char *text = json_string_value(value);
    const size_t length = text == NULL ? 0 : strcspn(text, ":");
    char *end = NULL;
    if (length == 0 || length >= TRM_RULE_WORD)
        return false;
    memcpy(word, text, length);
    word[length] = '\0';
    if (text[length] == '\0')
        return true;
    const double found = strtod(text + length + 1, &end);
    if (number != NULL)
        *number = found;
    return number != NULL && end != text + length + 1 && *end == '\0';
}

/* "2-5", "2-". */
static bool take_ranks(const json_t *value, trm_rule *rule)
{
    const char *text = json_string_value(value);
    char *end = NULL;
    if (text == NULL)
        return false;
    rule->rank_first = strtoll(text, &end, 10);
    if (end == text || *end != '-' || rule->rank_first < 1)
        return false;
    text = end + 1;
    if (*text == '\0')
        return true;
    rule->rank_last = strtoll(text, &end, 10);
    return end != text && *end == '\0' && rule->rank_last >= rule->rank_first;
}

static bool take_real(const json_t *value, double *number)
{
    *number = json_is_null(value) ? NAN : json_number_value(value);
    return json_is_number(value) || json_is_null(value);
}

static bool take_pairs(const json_t *value, trm_rule *rule)
{
    const char *text = json_string_value(json_object_get(value, "fingerprint"));
    rule->pairs = json_integer_value(json_object_get(value, "count"));
    snprintf(rule->pairs_fingerprint, sizeof rule->pairs_fingerprint, "%s", text == NULL ? "" : text);
    return text != NULL;
}

static const char *const filters[TRM_FILTERS] = {
    [TRM_FILTER_MIN_DISTANCE] = "min_distance",           [TRM_FILTER_MAX_DISTANCE] = "max_distance",
    [TRM_FILTER_ABSOLUTE_MARGIN] = "absolute_margin",     [TRM_FILTER_RELATIVE_MARGIN] = "relative_margin",
    [TRM_FILTER_NOT_NEAR_POSITIVE] = "not_near_positive",
};

/* Of how much is told and listed, and of what the file does not have: these don't change what is right. */
static const char *const beside[] = {
    "margins", "emit", "form", "queries", "compat", "metrics", "at", "all_ranks",
};

static bool is_beside(const char *key)
{
    bool found = false;
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++)
        found = found || strcmp(key, beside[i]) == 0;
    return found;
}

static double *filter_of(trm_rule *rule, const char *key)
{
    for (int f = 0; f < TRM_FILTERS; f++)
        if (strcmp(key, filters[f]) == 0)
            return &rule->filter[f];
    return NULL;
}

static bool *flag_of(trm_rule *rule, const char *key)
{
    const struct {
        const char *key;
        bool *flag;
    } flags[] = {{"lone", &rule->lone}, {"normalize", &rule->normalize}, {"and_labels", &rule->and_labels},
                 {"soft", &rule->soft}, {"swap", &rule->swap},           {"groups", &rule->groups}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(key, flags[i].key) == 0)
            return flags[i].flag;
    return NULL;
}

static double *real_of(trm_rule *rule, const char *key)
{
    const struct {
        const char *key;
        double *number;
    } reals[] = {{"margin", &rule->margin},
                 {"loss_margin", &rule->loss_margin},
                 {"within", &rule->within},
                 {"norm_floor", &rule->norm_floor},
                 {"radius", &rule->radius}};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        if (strcmp(key, reals[i].key) == 0)
            return reals[i].number;
    return filter_of(rule, key);
}

/* Whole numbers from 1 on. */
static int64_t *count_of(trm_rule *rule, const char *key)
{
    const struct {
        const char *key;
        int64_t *count;
    } counts[] = {{"k", &rule->k},
                  {"batches", &rule->batches},
                  {"classes_per_batch", &rule->classes_per_batch},
                  {"rows_per_class", &rule->rows_per_class},
                  {"histogram", &rule->bins}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (strcmp(key, counts[i].key) == 0)
            return counts[i].count;
    return NULL;
}

static char *word_of(trm_rule *rule, const char *key, double **number)
{
    const struct {
        const char *key;
        char *word;
        double *number;
    } words[] = {{"positives", rule->positives, &rule->positives_number},
                 {"negatives", rule->negatives, &rule->negatives_number},
                 {"window", rule->window, NULL},
                 {"pick", rule->pick, NULL},
                 {"fallback", rule->fallback, NULL},
                 {"among", rule->among, NULL},
                 {"source", rule->source, NULL},
                 {"reduction", rule->reduction, NULL},
                 {"at_zero", rule->at_zero, NULL},
                 {"gradient_at", rule->gradient_at, NULL},
                 {"shortlist", rule->shortlist, NULL}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(key, words[i].key) == 0) {
            *number = words[i].number;
            return words[i].word;
        }
    return NULL;
}

/* What needs a line of its own. *known: the key is one. */
static bool take_other(const char *key, json_t *value, trm_rule *rule, bool *known)
{
    char order[TRM_RULE_WORD];
    *known = true;
    if (strcmp(key, "metric") == 0)
        return json_is_string(value) && trm_metric_from_name(json_string_value(value), &rule->metric) == 0;
    if (strcmp(key, "seed") == 0) {
        rule->seed = (uint64_t)json_integer_value(value);
        return json_is_integer(value);
    }
    if (strcmp(key, "ranks") == 0)
        return take_ranks(value, rule);
    if (strcmp(key, "rank_order") == 0) {
        const bool taken = take_word(value, order, NULL);
        rule->ranks_after = taken && trm_rule_is(order, "after");
        return taken;
    }
    if (strcmp(key, "ignore_label") == 0) {
        rule->ignore = json_is_null(value) ? NULL : value;
        return true;
    }
    if (strcmp(key, "pairs") == 0)
        return take_pairs(value, rule);
    *known = false;
    return false;
}

static bool take(const char *key, json_t *value, trm_rule *rule)
{
    double *number = NULL, *real = real_of(rule, key);
    int64_t *count = count_of(rule, key);
    bool *flag = flag_of(rule, key), known = false;
    char *word = word_of(rule, key, &number);
    if (real != NULL)
        return take_real(value, real);
    if (count != NULL) {
        *count = json_integer_value(value);
        return *count > 0;
    }
    if (flag != NULL) {
        *flag = json_is_true(value);
        return json_is_boolean(value);
    }
    if (word != NULL)
        return take_word(value, word, number);
    const bool taken = take_other(key, value, rule, &known);
    if (known || is_beside(key))
        return taken || !known;
    snprintf(rule->unknown, sizeof rule->unknown, "the option '%.40s' is not decided here", key);
    return true;
}

/* A list of batches has attributes of its own. */
static trm_status read_draw(const trm_result *result, trm_rule *rule, trm_error *err)
{
    int64_t seed = 0;
    if (!trm_result_whole(result, "seed", &seed) ||
        !trm_result_whole(result, "classes_per_batch", &rule->classes_per_batch) ||
        !trm_result_whole(result, "rows_per_class", &rule->rows_per_class))
        return trm_fail(err, TRM_ERR_DATA,
                        "result '%s': attributes 'seed', 'classes_per_batch' and 'rows_per_class' are needed",
                        trm_result_path(result));
    rule->seed = (uint64_t)seed;
    return TRM_OK;
}

trm_status trm_rule_read(const trm_result *result, trm_rule *rule, trm_error *err)
{
    const char *text = trm_result_text(result, "options"), *key;
    json_t *value;
    int64_t pairs;
    *rule = (trm_rule){.margin = 1.0,
                       .positives = "all",
                       .negatives = "semihard",
                       .window = "lt",
                       .pick = "nearest",
                       .fallback = "skip",
                       .among = "any",
                       .rank_first = 1,
                       .rank_last = INT64_MAX,
                       .radius = NAN,
                       .reduction = "mean_all",
                       .at_zero = "none",
                       .gradient_at = "stored",
                       .shortlist = "none",
                       .loss_margin = NAN,
                       .within = NAN,
                       .positives_number = 1.0,
                       .negatives_number = 1.0};
    for (int f = 0; f < TRM_FILTERS; f++)
        rule->filter[f] = NAN;
    if (text == NULL && trm_rule_is(trm_result_text(result, "format"), TRM_BATCH_LIST_FORMAT))
        return read_draw(result, rule, err);
    rule->options = text == NULL ? NULL : json_loads(text, 0, NULL);
    if (!json_is_object(rule->options))
        return trm_fail(err, TRM_ERR_DATA, "result '%s': attribute 'options' is %s", trm_result_path(result),
                        text == NULL ? "missing" : "no JSON object");
    json_object_foreach(rule->options, key, value) if (!take(key, value, rule)) return refuse(result, key,
                                                                                              err);
    rule->gradient = json_object_get(rule->options, "gradient_at") != NULL;
    rule->by_name = rule->pairs_fingerprint[0] == '\0' && trm_result_whole(result, "pairs", &pairs);
    if (trm_rule_is(rule->source, "batch-hard")) {
        snprintf(rule->positives, TRM_RULE_WORD, "hardest");
        snprintf(rule->negatives, TRM_RULE_WORD, "hard");
    }
    return TRM_OK;
}

void trm_rule_free(trm_rule *rule)
{
    json_decref(rule->options);
    rule->options = rule->ignore = NULL;
}
