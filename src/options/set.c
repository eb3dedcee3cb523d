/* From text to value; see option.h. */
#include "options/option.h"

#include "base/alloc.h"
#include "base/number.h"
#include "options/suggest.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool trm_option_applies(const trm_option *option, uint32_t source)
{
    return option->sources == 0 || (option->sources & source) != 0;
}

bool trm_option_decides(const trm_option *option, uint32_t at)
{
    return (option->decides & at & TRM_AT_ANY) != 0 && (option->decides & TRM_WITH_GRADIENT & ~at) == 0;
}

bool trm_option_takes_value(const trm_option *option)
{
    return option->kind != TRM_OPTION_FLAG && option->kind != TRM_OPTION_COUNT;
}

bool trm_option_is_list(const trm_option *option)
{
    return option->value != NULL && strchr(option->value, ',') != NULL;
}

/* ---- values in their places ---- */

static void *place(void *settings, size_t at)
{
    return (char *)settings + at;
}

static void put_whole(const trm_option *option, void *settings, int64_t value)
{
    const bool truth = value != 0;
    const int narrow = (int)value;
    const void *const from = option->size == sizeof(bool)  ? (const void *)&truth
                             : option->size == sizeof(int) ? (const void *)&narrow
                                                           : (const void *)&value;
    memcpy(place(settings, option->at), from, option->size);
}

int64_t trm_option_whole(const trm_option *option, const void *settings)
{
    const char *const from = (const char *)settings + option->at;
    int64_t value = 0;
    int narrow = 0;
    if (option->size == sizeof(bool)) /* as it is: what is checked may be neither 0 nor 1 */
        return *(const unsigned char *)from;
    if (option->size == sizeof narrow) {
        memcpy(&narrow, from, sizeof narrow);
        return narrow;
    }
    memcpy(&value, from, sizeof value);
    return value;
}

double trm_option_real(const trm_option *option, const void *settings)
{
    double value;
    memcpy(&value, (const char *)settings + option->at, sizeof value);
    return value;
}

/* ---- reading ---- */

static trm_status refuse(trm_error *err, const char *name, const char *text, const char *rule)
{
    return trm_fail(err, TRM_ERR_USAGE, "%s '%s': %s", name, text, rule);
}

static trm_status refuse_word(const trm_words *words, const char *name, const char *text, trm_error *err)
{
    char list[384], rule[512], meant[TRM_SUGGESTION];
    const size_t before = strcspn(text, ":");
    if (text[before] == ':' && trm_word_find(words, text, before) != NULL) {
        snprintf(rule, sizeof rule, "'%.*s' takes no number", (int)before, text);
        return refuse(err, name, text, rule);
    }
    trm_words_list(words, list, sizeof list);
    trm_suggest(text, "", list, meant);
    for (int i = 0; i < words->count; i++) {
        const trm_word *word = trm_word_at(words, i);
        if (word->elsewhere != NULL && trm_is_called(word->elsewhere, text, before))
            snprintf(meant, sizeof meant, ", here it is '%s'", word->name);
    }
    snprintf(rule, sizeof rule, "must be one of %s%s", list, meant);
    return refuse(err, name, text, rule);
}

static int64_t whole_of(double bound)
{
    return bound >= TRM_MOST ? INT64_MAX : bound <= -TRM_MOST ? INT64_MIN : (int64_t)bound;
}

void trm_whole_bounds(double low, double high, int64_t *least, int64_t *most)
{
    const bool unbounded = low >= 0.0 && !(high > 0.0);
    *least = whole_of(low);
    *most = unbounded ? INT64_MAX : whole_of(high);
}

static trm_status read_whole(const char *name, const char *text, double low, double high, int64_t *value,
                             trm_error *err)
{
    int64_t least, most;
    char *end = NULL, rule[128];
    trm_whole_bounds(low, high, &least, &most);
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    *value = number;
    if (errno == 0 && end != text && *end == '\0' && number >= least && number <= most)
        return TRM_OK;
    snprintf(rule, sizeof rule, "must be a whole number from %" PRId64 " to %" PRId64, least, most);
    return refuse(err, name, text, rule);
}

const char *trm_real_refused(double value, double least, double most, char text[64])
{
    char bound[TRM_NUMBER_TEXT];
    if (isfinite(value) && value >= least) {
        snprintf(text, 64, "must be at most %s", trm_number_text(most, bound));
        return most > 0.0 && value > most ? text : NULL;
    }
    if (isinf(least))
        snprintf(text, 64, "must be a finite number");
    else
        snprintf(text, 64, "must be a finite number, %s or more", trm_number_text(least, bound));
    return text;
}

static trm_status read_real(const char *name, const char *text, double least, double most, double *value,
                            trm_error *err)
{
    char *end = NULL, rule[64];
    *value = strtod(text, &end);
    const bool number = end != text && *end == '\0';
    const char *wrong = trm_real_refused(number ? *value : NAN, least, most, rule);
    return wrong == NULL ? TRM_OK : refuse(err, name, text, wrong);
}

static trm_status read_size(const char *name, const char *text, int64_t *value, trm_error *err)
{
    static const char units[] = "KMGT";
    char *end = NULL, rule[192];
    const double number = strtod(text, &end);
    double scale = 1.0;
    const char *unit = end != text && isalpha((unsigned char)*end) ? strchr(units, *end & ~0x20) : NULL;
    if (end != text && *end == '\0' && number > 0.0 && isfinite(number)) {
        snprintf(rule, sizeof rule, "give a unit, such as %.40sG or %.40sGiB (bytes: %.40sB)", text, text,
                 text);
        return refuse(err, name, text, rule);
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
        return refuse(err, name, text, "must be a size such as 900M, 4G or 4GiB");
    *value = (int64_t)(number * scale);
    return TRM_OK;
}

trm_status trm_words_check(const trm_words *words, const char *name, const char *text, const trm_word **word,
                           double *number, trm_error *err)
{
    text = text != NULL ? text : "";
    const size_t length = strcspn(text, ":");
    const trm_word *found = trm_word_find(words, text, length);
    char of_number[64];
    double real = 0.0;
    int64_t whole = 0;
    if (word != NULL)
        *word = found;
    const bool numbered = text[length] == ':';
    if (found == NULL || (numbered ? found->number == NULL : found->number != NULL && !(found->usual > 0.0)))
        return refuse_word(words, name, text, err);
    if (!numbered) {
        if (number != NULL)
            *number = found->usual;
        return TRM_OK;
    }
    snprintf(of_number, sizeof of_number, "%s %s", name, found->name);
    const char *const behind = text + length + 1;
    const trm_status status = found->real
                                  ? read_real(of_number, behind, found->least, found->most, &real, err)
                                  : read_whole(of_number, behind, found->least, found->most, &whole, err);
    if (number != NULL)
        *number = found->real ? real : (double)whole;
    return status;
}

/* ---- setting ---- */

static trm_status set_word(const trm_option *option, const char *name, void *settings, const char *text,
                           trm_error *err)
{
    const trm_word *word = NULL;
    double number = 0.0;
    trm_status status = trm_words_check(option->words, name, text, &word, &number, err);
    if (status != TRM_OK)
        return status;
    put_whole(option, settings, word->value);
    const int64_t whole = (int64_t)number;
    if (word->number != NULL)
        memcpy(place(settings, option->number_at), word->real ? (const void *)&number : (const void *)&whole,
               sizeof number);
    return TRM_OK;
}

static trm_status set_whole(const trm_option *option, const char *name, void *settings, const char *text,
                            trm_error *err)
{
    const trm_word *word = option->words != NULL ? trm_word_find(option->words, text, strlen(text)) : NULL;
    int64_t value = word != NULL ? word->value : 0;
    trm_status status =
        word != NULL ? TRM_OK : read_whole(name, text, option->least, option->most, &value, err);
    if (status == TRM_OK)
        put_whole(option, settings, value);
    return status;
}

static trm_status set_text(const trm_option *option, const char *name, void *settings, const char *text,
                           trm_error *err)
{
    trm_status status =
        option->words == NULL ? TRM_OK : trm_words_check(option->words, name, text, NULL, NULL, err);
    if (status == TRM_OK)
        memcpy(place(settings, option->at), &text, sizeof text);
    return status;
}

/* Reads numbers with commas between them; into: where they go, or NULL. */
static trm_status read_reals(const trm_option *option, const char *name, const char *text, char *into,
                             int *count, trm_error *err)
{
    const int most = (int)(option->size / sizeof(double));
    *count = 0;
    for (const char *from = text; from != NULL; ++*count) {
        char one[64];
        double value = 0.0;
        const size_t length = strcspn(from, ",");
        if (*count == most || length >= sizeof one) {
            snprintf(one, sizeof one, "must be at most %d numbers, with commas between", most);
            return refuse(err, name, text, one);
        }
        snprintf(one, sizeof one, "%.*s", (int)length, from);
        char *end = NULL, rule[64], of_list[128];
        value = strtod(one, &end);
        const bool number = end != one && *end == '\0';
        if (trm_real_refused(number ? value : NAN, option->least, option->most, rule) != NULL) {
            snprintf(of_list, sizeof of_list, "%s; several have commas between", rule);
            return refuse(err, name, one, of_list);
        }
        if (into != NULL)
            memcpy(into + (size_t)*count * sizeof value, &value, sizeof value);
        from = from[length] == ',' ? from + length + 1 : NULL;
    }
    return TRM_OK;
}

/* All of them, or none. */
static trm_status set_reals(const trm_option *option, const char *name, void *settings, const char *text,
                            trm_error *err)
{
    int count;
    trm_status status = read_reals(option, name, text, NULL, &count, err);
    if (status == TRM_OK)
        status = read_reals(option, name, text, place(settings, option->at), &count, err);
    if (status == TRM_OK)
        memcpy(place(settings, option->number_at), &count, sizeof count);
    return status;
}

static trm_status add_label(trm_option_labels *labels, const char *text, trm_error *err)
{
    int at = labels->count;
    while (at > 0 && strcmp(labels->text[at - 1], text) > 0)
        at--;
    if (at > 0 && strcmp(labels->text[at - 1], text) == 0)
        return TRM_OK;
    const char **larger = trm_grown(labels->text, labels->count, labels->count + 1, sizeof *larger);
    if (larger == NULL)
        return trm_fail_memory(err, "labels", labels->count + 1, sizeof *larger);
    memmove(&larger[at + 1], &larger[at], (size_t)(labels->count - at) * sizeof *larger);
    larger[at] = text;
    labels->text = larger;
    labels->count++;
    return TRM_OK;
}

static trm_status add_text(trm_option_texts *texts, const char *text, trm_error *err)
{
    const char **larger = trm_grown(texts->text, texts->count, texts->count + 1, sizeof *larger);
    if (larger == NULL)
        return trm_fail_memory(err, "texts", texts->count + 1, sizeof *larger);
    larger[texts->count++] = text;
    texts->text = larger;
    return TRM_OK;
}

void trm_option_texts_free(trm_option_texts *texts)
{
    trm_free(texts->text);
    *texts = (trm_option_texts){0};
}

void trm_option_labels_free(trm_option_labels *labels)
{
    trm_free(labels->text);
    *labels = (trm_option_labels){0};
}

trm_status trm_option_set(const trm_option *option, void *settings, const char *text, trm_error *err)
{
    char name[64];
    double real = 0.0;
    int64_t size = 0;
    trm_status status = TRM_OK;
    snprintf(name, sizeof name, "--%s", option->name);
    switch (option->kind) {
    case TRM_OPTION_FLAG:
        put_whole(option, settings, 1);
        return TRM_OK;
    case TRM_OPTION_COUNT:
        put_whole(option, settings, trm_option_whole(option, settings) + 1);
        return TRM_OK;
    case TRM_OPTION_WORD:
        return set_word(option, name, settings, text, err);
    case TRM_OPTION_WHOLE:
        return set_whole(option, name, settings, text, err);
    case TRM_OPTION_REAL:
        status = read_real(name, text, option->least, option->most, &real, err);
        if (status == TRM_OK)
            memcpy(place(settings, option->at), &real, sizeof real);
        return status;
    case TRM_OPTION_REALS:
        return set_reals(option, name, settings, text, err);
    case TRM_OPTION_SIZE:
        status = read_size(name, text, &size, err);
        if (status == TRM_OK)
            put_whole(option, settings, size);
        return status;
    case TRM_OPTION_TEXT:
        return set_text(option, name, settings, text, err);
    case TRM_OPTION_TEXTS:
        return add_text(place(settings, option->at), text, err);
    case TRM_OPTION_LABELS:
        return add_label(place(settings, option->at), text, err);
    }
    return trm_fail(err, TRM_ERR_INTERNAL, "option --%s is of no kind", option->name);
}
