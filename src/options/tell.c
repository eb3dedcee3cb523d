/* From value to text and JSON: reports, --help, the schema; see option.h. */
#include "options/option.h"

#include "base/json.h"
#include "base/number.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

/* "lt", or "nearest:3". */
static json_t *word_json(const trm_option *option, const void *settings)
{
    const trm_word *word = trm_word_of(option->words, (int)trm_option_whole(option, settings));
    int64_t whole = 0;
    double real = 0.0;
    if (word == NULL)
        return json_null();
    if (word->number == NULL)
        return json_string(word->name);
    memcpy(&whole, (const char *)settings + option->number_at, sizeof whole);
    memcpy(&real, &whole, sizeof real);
    return word->real ? json_sprintf("%s:%.17g", word->name, real)
                      : json_sprintf("%s:%" PRId64, word->name, whole);
}

static json_t *whole_json(const trm_option *option, const void *settings)
{
    const int64_t value = trm_option_whole(option, settings);
    const char *word = option->words != NULL ? trm_word_name(option->words, (int)value) : NULL;
    return word != NULL ? json_string(word) : json_integer(value);
}

static json_t *text_json(const trm_option *option, const void *settings)
{
    const char *text;
    memcpy(&text, (const char *)settings + option->at, sizeof text);
    return trm_json_text_or_null(text);
}

/* A number where labels are numbers, and JSON can hold it. */
static json_t *label_json(const trm_option_labels *labels, const char *text)
{
    char *end = NULL;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    return labels->named || errno != 0 || *end != '\0' ? trm_json_text(text) : json_integer(number);
}

/* null, a label, or a list of them. */
static json_t *labels_json(const trm_option_labels *labels)
{
    if (labels->count == 0)
        return json_null();
    if (labels->count == 1)
        return label_json(labels, labels->text[0]);
    json_t *all = json_array();
    for (int i = 0; i < labels->count; i++)
        trm_json_append(&all, label_json(labels, labels->text[i]));
    return all;
}

static json_t *real_json(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

static json_t *reals_json(const trm_option *option, const void *settings)
{
    json_t *all = json_array();
    int count;
    memcpy(&count, (const char *)settings + option->number_at, sizeof count);
    for (int i = 0; i < count; i++) {
        double value;
        memcpy(&value, (const char *)settings + option->at + (size_t)i * sizeof value, sizeof value);
        trm_json_append(&all, json_real(value));
    }
    return all;
}

static json_t *texts_json(const trm_option_texts *texts)
{
    json_t *all = json_array();
    for (int i = 0; i < texts->count; i++)
        trm_json_append(&all, trm_json_text(texts->text[i]));
    return all;
}

json_t *trm_option_json(const trm_option *option, const void *settings)
{
    switch (option->kind) {
    case TRM_OPTION_FLAG:
        return json_boolean(trm_option_whole(option, settings) != 0);
    case TRM_OPTION_WORD:
        return word_json(option, settings);
    case TRM_OPTION_COUNT:
    case TRM_OPTION_WHOLE:
    case TRM_OPTION_SIZE:
        return whole_json(option, settings);
    case TRM_OPTION_REAL:
        return real_json(trm_option_real(option, settings));
    case TRM_OPTION_REALS:
        return reals_json(option, settings);
    case TRM_OPTION_TEXT:
        return text_json(option, settings);
    case TRM_OPTION_TEXTS:
        return texts_json((const trm_option_texts *)((const char *)settings + option->at));
    case TRM_OPTION_LABELS:
        return labels_json((const trm_option_labels *)((const char *)settings + option->at));
    }
    return NULL;
}

void trm_options_report(const trm_options *options, const void *settings, const void *defaults, uint32_t at,
                        json_t **object)
{
    for (int i = 0; i < options->count; i++) {
        const trm_option *option = &options->option[i];
        if (option->json == NULL || !trm_option_decides(option, at))
            continue;
        json_t *value = trm_option_json(option, settings);
        json_t *usual = option->sparse ? trm_option_json(option, defaults) : NULL;
        if (usual != NULL && json_equal(value, usual) == 1)
            json_decref(value);
        else
            trm_json_put(object, option->json, value);
        json_decref(usual);
    }
}

/* ---- defaults ---- */

/* Without a default; a number that could not be given means that the program chooses one. */
static bool is_open(const trm_option *option, const void *defaults)
{
    if (option->optional)
        return true;
    if (option->kind == TRM_OPTION_SIZE)
        return trm_option_whole(option, defaults) == 0;
    if (option->kind != TRM_OPTION_WHOLE || option->words != NULL)
        return false;
    return (double)trm_option_whole(option, defaults) < option->least;
}

static json_t *default_json(const trm_option *option, const void *defaults)
{
    return is_open(option, defaults) ? json_null() : trm_option_json(option, defaults);
}

/* ---- help ---- */

/* Adds to text; what does not fit is left out. */
static void add(char text[TRM_OPTION_HELP], const char *more)
{
    const size_t length = strlen(text);
    snprintf(text + length, TRM_OPTION_HELP - length, "%s", more);
}

static bool is_default(const trm_word *word, json_t *usual)
{
    const char *name = json_string_value(usual);
    const size_t length = strlen(word->name);
    return name != NULL && strncmp(name, word->name, length) == 0 &&
           (name[length] == '\0' || name[length] == ':');
}

/* "none, lt (default) or nearest:K". */
static void add_words(const trm_option *option, json_t *usual, char text[TRM_OPTION_HELP])
{
    int last = option->words->count - 1, said = 0;
    while (last > 0 && trm_word_at(option->words, last)->derived)
        last--;
    for (int i = 0; i <= last; i++) {
        const trm_word *word = trm_word_at(option->words, i);
        if (word->derived)
            continue;
        add(text, said == 0 ? "" : i == last ? " or " : ", ");
        add(text, word->name);
        add(text, trm_word_colon(word));
        add(text, word->number != NULL ? word->number : "");
        add(text, word->usual > 0.0 ? "]" : "");
        add(text, is_default(word, usual) ? " (default)" : "");
        said++;
    }
}

static void add_default(const trm_option *option, json_t *usual, char text[TRM_OPTION_HELP])
{
    char number[64], real[TRM_NUMBER_TEXT];
    if (json_is_string(usual))
        snprintf(number, sizeof number, " (default %s)", json_string_value(usual));
    else if (json_is_integer(usual))
        snprintf(number, sizeof number, " (default %" JSON_INTEGER_FORMAT ")", json_integer_value(usual));
    else if (json_is_real(usual))
        snprintf(number, sizeof number, " (default %s)", trm_number_text(json_real_value(usual), real));
    else
        return;
    add(text, trm_option_takes_value(option) ? number : "");
}

const char *trm_option_help(const trm_option *option, const void *defaults, char text[TRM_OPTION_HELP])
{
    json_t *usual = default_json(option, defaults);
    const bool words = option->words != NULL && option->kind != TRM_OPTION_WHOLE;
    text[0] = '\0';
    if (words) {
        add_words(option, usual, text);
        add(text, option->about != NULL ? ": " : "");
    }
    add(text, option->about != NULL ? option->about : "");
    if (!words)
        add_default(option, usual, text);
    json_decref(usual);
    return text;
}

/* ---- schema ---- */

bool trm_option_repeats(const trm_option *option)
{
    return option->kind == TRM_OPTION_LABELS || option->kind == TRM_OPTION_TEXTS;
}

const char *trm_option_kind_name(trm_option_kind kind)
{
    static const char *const names[] = {
        [TRM_OPTION_FLAG] = "flag",     [TRM_OPTION_COUNT] = "count", [TRM_OPTION_WORD] = "word",
        [TRM_OPTION_WHOLE] = "whole",   [TRM_OPTION_REAL] = "real",   [TRM_OPTION_SIZE] = "size",
        [TRM_OPTION_REALS] = "reals",   [TRM_OPTION_TEXT] = "text",   [TRM_OPTION_TEXTS] = "texts",
        [TRM_OPTION_LABELS] = "labels",
    };
    return names[kind];
}

/* Of a number: null where there is no bound. */
static void put_bounds(json_t **object, double low, double high, bool real)
{
    int64_t least, most;
    trm_whole_bounds(low, high, &least, &most);
    trm_json_put(object, "least", !real ? json_integer(least) : isinf(low) ? json_null() : json_real(low));
    trm_json_put(object, "most", !real ? json_integer(most) : high > 0.0 ? json_real(high) : json_null());
}

static json_t *words_json(const trm_words *words)
{
    if (words == NULL)
        return json_null();
    json_t *all = json_array();
    for (int i = 0; i < words->count; i++) {
        const trm_word *word = trm_word_at(words, i);
        if (word->derived)
            continue;
        json_t *one =
            json_pack("{s:s, s:o, s:o}", "name", word->name, "about", trm_json_text_or_null(word->about),
                      "number", trm_json_text_or_null(word->number));
        if (word->number != NULL)
            put_bounds(&one, word->least, word->most, word->real);
        if (word->usual > 0.0)
            trm_json_put(&one, "usual", json_real(word->usual));
        trm_json_append(&all, one);
    }
    return all;
}

/* null: it applies whatever the source. */
static json_t *sources_json(const trm_option *option, const char *const *sources)
{
    if (option->sources == 0)
        return json_null();
    json_t *all = json_array();
    for (int bit = 0; bit < TRM_AT_SOURCES; bit++)
        if ((option->sources >> bit & 1) != 0)
            trm_json_append(&all, json_string(sources[bit]));
    return all;
}

json_t *trm_option_schema(const trm_option *option, const void *defaults, const char *const *sources)
{
    const char letter[2] = {option->letter, '\0'};
    json_t *object =
        json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "name", option->name, "letter",
                  trm_json_text_or_null(option->letter != '\0' ? letter : NULL), "kind",
                  trm_option_kind_name(option->kind), "value", trm_json_text_or_null(option->value), "about",
                  trm_json_text_or_null(option->about), "default", default_json(option, defaults), "words",
                  words_json(option->words));
    if (option->kind == TRM_OPTION_REAL || option->kind == TRM_OPTION_WHOLE)
        put_bounds(&object, option->least, option->most, option->kind == TRM_OPTION_REAL);
    trm_json_put(&object, "repeats", json_boolean(trm_option_repeats(option)));
    trm_json_put(&object, "applies_to", sources_json(option, sources));
    trm_json_put(&object, "decides", json_boolean(option->decides != 0));
    trm_json_put(&object, "key", trm_json_text_or_null(option->json));
    return object;
}
