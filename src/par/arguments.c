/* Checking arguments; see arguments.h. */
#include "par/arguments.h"

#include "base/number.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#undef trm_arguments_agree

static void add(trm_arguments *list, trm_argument argument)
{
    assert(list->count < TRM_ARGUMENTS_MOST);
    argument.owner = list->owner != NULL ? list->owner : "";
    list->argument[list->count++] = argument;
}

void trm_arguments_enum(trm_arguments *list, const char *name, const char *type, unsigned value,
                        unsigned last)
{
    add(list, (trm_argument){.name = name, .type = type, .word = value, .most = last});
}

void trm_arguments_whole(trm_arguments *list, const char *name, int64_t value, int64_t least, int64_t most)
{
    add(list, (trm_argument){.name = name, .word = value, .least = least, .most = most});
}

/* NULL is a text too: none. */
static void add_text(trm_arguments *list, const char *name, const char *text, const trm_words *words)
{
    const char *const shown = text != NULL ? text : "";
    add(list,
        (trm_argument){
            .name = name, .text = shown, .words = words, .word = (int64_t)XXH3_64bits(shown, strlen(shown))});
}

static void add_real(trm_arguments *list, const trm_option *option, double value)
{
    trm_argument argument = {.name = option->field, .real = true, .low = option->least, .high = option->most};
    argument.optional = option->optional;
    memcpy(&argument.word, &value, sizeof value);
    add(list, argument);
}

void trm_arguments_real(trm_arguments *list, const char *name, double value)
{
    const trm_option option = {.field = name};
    add_real(list, &option, value);
}

static void add_whole(trm_arguments *list, const trm_option *option, int64_t value)
{
    int64_t least, most;
    trm_whole_bounds(option->least, option->most, &least, &most);
    const bool has_word = option->words != NULL && trm_word_of(option->words, (int)value) != NULL;
    trm_arguments_whole(list, option->field, value, has_word ? INT64_MIN : least, most);
}

/* The number of a word is looked at only where the word has one, and equal on all ranks always. */
static void add_number(trm_arguments *list, const trm_option *option, const trm_word *word,
                       const void *settings)
{
    const bool used = word != NULL && word->number != NULL;
    const trm_option number = {.field = option->number_field,
                               .at = option->number_at,
                               .size = sizeof(int64_t),
                               .least = used ? word->least : -TRM_MOST,
                               .most = used ? word->most : TRM_MOST};
    if (used && word->real)
        add_real(list, &number, trm_option_real(&number, settings));
    else
        add_whole(list, &number, trm_option_whole(&number, settings));
}

static void add_word(trm_arguments *list, const trm_option *option, const void *settings)
{
    const int64_t value = trm_option_whole(option, settings);
    if (option->size == sizeof(int))
        trm_arguments_enum(list, option->field, option->words->type, (unsigned)value,
                           (unsigned)trm_words_last(option->words));
    else
        trm_arguments_whole(list, option->field, value, 0, trm_words_last(option->words));
    if (option->number_field != NULL)
        add_number(list, option, trm_word_of(option->words, (int)value), settings);
}

static void add_option(trm_arguments *list, const trm_option *option, const void *settings)
{
    const char *text;
    switch (option->kind) {
    case TRM_OPTION_FLAG:
        trm_arguments_whole(list, option->field, trm_option_whole(option, settings), 0, 1);
        return;
    case TRM_OPTION_WORD:
        add_word(list, option, settings);
        return;
    case TRM_OPTION_WHOLE:
    case TRM_OPTION_SIZE:
        add_whole(list, option, trm_option_whole(option, settings));
        return;
    case TRM_OPTION_REAL:
        add_real(list, option, trm_option_real(option, settings));
        return;
    case TRM_OPTION_TEXT:
        memcpy(&text, (const char *)settings + option->at, sizeof text);
        add_text(list, option->field, text, text == NULL && option->optional ? NULL : option->words);
        return;
    case TRM_OPTION_REALS:
    case TRM_OPTION_COUNT:
    case TRM_OPTION_TEXTS:
    case TRM_OPTION_LABELS:
        return; /* the program's own */
    }
}

void trm_arguments_options(trm_arguments *list, const trm_options *options, const void *settings)
{
    for (int i = 0; i < options->count; i++)
        add_option(list, &options->option[i], settings);
}

static double real_of(int64_t word)
{
    double value;
    memcpy(&value, &word, sizeof value);
    return value;
}

static trm_status check_range(const trm_argument *a, trm_error *err)
{
    if (a->real) {
        char text[64], number[TRM_NUMBER_TEXT];
        const double value = real_of(a->word);
        const char *wrong =
            a->optional && isnan(value) ? NULL : trm_real_refused(value, a->low, a->high, text);
        return wrong == NULL ? TRM_OK
                             : trm_fail(err, TRM_ERR_USAGE, "%s%s %s: %s", a->owner, a->name,
                                        trm_number_text(value, number), wrong);
    }
    if (a->text != NULL) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", a->owner, a->name);
        return a->words == NULL ? TRM_OK : trm_words_check(a->words, name, a->text, NULL, NULL, err);
    }
    if (a->word >= a->least && a->word <= a->most)
        return TRM_OK;
    if (a->type != NULL)
        return trm_fail(err, TRM_ERR_USAGE, "%s%s %" PRId64 ": must be a %s, 0 to %" PRId64, a->owner,
                        a->name, a->word, a->type, a->most);
    if (a->word < a->least)
        return trm_fail(err, TRM_ERR_USAGE, "%s%s %" PRId64 ": must be at least %" PRId64, a->owner, a->name,
                        a->word, a->least);
    return trm_fail(err, TRM_ERR_USAGE, "%s%s %" PRId64 ": must be at most %" PRId64, a->owner, a->name,
                    a->word, a->most);
}

static void print_word(const trm_argument *a, int64_t word, char text[TRM_NUMBER_TEXT])
{
    if (a->real)
        trm_number_text(real_of(word), text);
    else
        snprintf(text, TRM_NUMBER_TEXT, "%" PRId64, word);
}

static trm_status check_equal(const trm_argument *a, int64_t first, int rank, trm_error *err)
{
    char here[TRM_NUMBER_TEXT], there[TRM_NUMBER_TEXT];
    if (a->word == first)
        return TRM_OK;
    if (a->text != NULL)
        return trm_fail(err, TRM_ERR_USAGE,
                        "%s%s: '%s' on rank %d, another on rank 0: must be equal on all ranks", a->owner,
                        a->name, a->text, rank);
    print_word(a, a->word, here);
    print_word(a, first, there);
    return trm_fail(err, TRM_ERR_USAGE, "%s%s: %s on rank %d, %s on rank 0: must be equal on all ranks",
                    a->owner, a->name, here, rank, there);
}

trm_status trm_arguments_agree(MPI_Comm comm, const trm_arguments *list, trm_status local, trm_error *err)
{
    int64_t first[TRM_ARGUMENTS_MOST] = {0};
    int rank = 0;
    trm_status status = TRM_OK;
    MPI_Comm_rank(comm, &rank);
    for (int k = 0; k < list->count; k++)
        first[k] = list->argument[k].word;
    MPI_Bcast(first, list->count, MPI_INT64_T, 0, comm);
    for (int k = 0; k < list->count && status == TRM_OK && local == TRM_OK; k++)
        status = check_range(&list->argument[k], err);
    status = local != TRM_OK ? local : status;
    for (int k = 0; k < list->count && status == TRM_OK; k++)
        status = check_equal(&list->argument[k], first[k], rank, err);
    return trm_agree(comm, status, err);
}

int trm_arguments_any(MPI_Comm comm, int bits)
{
    int any = 0;
    MPI_Allreduce(&bits, &any, 1, MPI_INT, MPI_BOR, comm);
    return any;
}
