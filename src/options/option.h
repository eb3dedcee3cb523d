/* Options, each described once: a table row says what an option is called, which values it takes, where its
 * value is kept, which sources of triplets it applies to and where it is part of what the result is.
 *
 * All who need to know an option walk these tables: the parser, --help, `trimine options --json`, reports,
 * attributes of results and checkpoints, the checks of what applies, and the checks between ranks
 * (par/arguments.h). A table belongs to the room of its settings: trm_mine_options' is in mine/, that of
 * trm_loss_options in loss/, the program's own in cli/. */
#ifndef TRM_OPTIONS_OPTION_H
#define TRM_OPTIONS_OPTION_H

#include "base/error.h"
#include "base/word.h"
#include "options/sources.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum trm_option_kind {
    TRM_OPTION_FLAG,  /* bool; takes no value */
    TRM_OPTION_COUNT, /* int: how often it is given; takes no value */
    TRM_OPTION_WORD,  /* an enum, or a bool that has words. A word's number, as in "nearest:3", goes to an
                       * int64_t (or a double, where it is real) of its own */
    TRM_OPTION_WHOLE, /* int, int64_t or uint64_t; words may stand for some numbers, as "auto" does for 0 */
    TRM_OPTION_REAL,  /* double; NAN: not set */
    TRM_OPTION_REALS, /* double[n], and by TRM_NUMBER an int: how many are set. "0.1,0.2" */
    TRM_OPTION_SIZE,  /* int64_t, bytes: "4G" */
    TRM_OPTION_TEXT,  /* const char *, borrowed; NULL: not set. With words it is one of them: "topk:5" */
    TRM_OPTION_TEXTS, /* trm_option_texts; may be repeated */
    TRM_OPTION_LABELS /* trm_option_labels; may be repeated */
} trm_option_kind;

/* Labels as they were given, sorted, each once, so that one set of labels is one set of options; what they
 * mean depends on the store. */
typedef struct trm_option_labels {
    const char **text; /* owned; the texts are borrowed */
    int count;
    bool named; /* labels are names, whatever they look like: known once a store has been read */
} trm_option_labels;

/* Texts in the order in which they were given. */
typedef struct trm_option_texts {
    const char **text; /* owned; the texts are borrowed */
    int count;
} trm_option_texts;

typedef struct trm_option {
    const char *name;  /* without its dashes. NULL: no option sets this alone; it is checked and reported */
    char letter;       /* or 0 */
    const char *value; /* what --help calls the value */
    const char *about;
    const char *json; /* key in reports and attributes; NULL: not there */
    trm_option_kind kind;
    const char *field; /* these three by TRM_FIELD: its name in the settings, and where it is */
    size_t at, size;
    const trm_words *words;
    const char *number_field; /* these two by TRM_NUMBER: of a word's number */
    size_t number_at;
    double least, most;  /* of a number; most 0: no upper bound. Whole numbers up to INT64_MAX: TRM_MOST */
    uint32_t sources;    /* of triplets that it applies to, TRM_AT_...; 0: whatever the source */
    uint32_t decides;    /* where it is part of what the result is, TRM_AT_... with TRM_WITH_GRADIENT or not:
                          * in reports, attributes and checkpoints; 0: nowhere */
    bool optional;       /* it may be not set: then a real number is NAN, and no default is told */
    bool sparse;         /* in those only where it is not at its default: so results of jobs that do not have
                          * it stay the same bytes. For all options that come later */
    const char *follows; /* of a row without a name: the option that sets it, among others */
} trm_option;

/* .field, .at and .size of a row. */
#define TRM_FIELD(settings, member)                                                                          \
    .field = #member, .at = offsetof(settings, member), .size = sizeof(((settings *)0)->member)
#define TRM_NUMBER(settings, member) .number_field = #member, .number_at = offsetof(settings, member)
#define TRM_MOST 0x1p63

/* A table. Tables of one title are together in --help. */
typedef struct trm_options {
    const char *title;
    const trm_option *option;
    int count;
} trm_options;

#define TRM_OPTIONS(title_text, array)                                                                       \
    {                                                                                                        \
        .title = (title_text), .option = (array), .count = (int)(sizeof(array) / sizeof *(array))            \
    }

/* None of these is collective. settings: the struct that the row's offsets are into. */

/* Does it apply to a source (a TRM_AT_ bit)? */
bool trm_option_applies(const trm_option *option, uint32_t source);
/* Is it part of the result there? at: a TRM_AT_ bit, and TRM_WITH_GRADIENT or not. */
bool trm_option_decides(const trm_option *option, uint32_t at);
/* Does it take a value? */
bool trm_option_takes_value(const trm_option *option);

/* Is its value a list of them with commas between, as the name of it says ("M,M,...")? */
bool trm_option_is_list(const trm_option *option);

/* Sets it from the text of a command line, NULL where it takes no value; text is borrowed where it is kept.
 * Errors: USAGE ("--margin 'x': must be ..."), MEMORY. */
trm_status trm_option_set(const trm_option *option, void *settings, const char *text,
                          trm_error *err) TRM_MUST_CHECK;
/* Whole and real numbers and sizes of settings, as they are; 0 for another kind. */
int64_t trm_option_whole(const trm_option *option, const void *settings);
double trm_option_real(const trm_option *option, const void *settings);
/* Is text one of the words, with a number where the word has one? name: what messages call it, "--positives".
 * *number, which may be NULL, gets the number. Errors: USAGE. */
trm_status trm_words_check(const trm_words *words, const char *name, const char *text, const trm_word **word,
                           double *number, trm_error *err) TRM_MUST_CHECK;
/* The least and most that a row's numbers, or a word's, mean for whole ones. */
void trm_whole_bounds(double low, double high, int64_t *least, int64_t *most);
/* What is wrong with a real number, such as "must be a finite number, 0 or more"; NULL: nothing. */
const char *trm_real_refused(double value, double least, double most, char text[64]);

/* Its value as JSON (new reference): null where it is not set; NULL where there is no memory. */
json_t *trm_option_json(const trm_option *option, const void *settings);
/* Adds what decides the result at `at` to *object, which becomes NULL where there is no memory. defaults:
 * the same settings where nothing was given. */
void trm_options_report(const trm_options *options, const void *settings, const void *defaults, uint32_t at,
                        json_t **object);
/* All about it, as JSON (new reference), for those who make something of it that is not this program. sources:
 * names of the TRM_AT_SOURCES bits. */
json_t *trm_option_schema(const trm_option *option, const void *defaults, const char *const *sources);
/* For --help: "none, lt (default) or le: how ...". Returns text. */
enum { TRM_OPTION_HELP = 512 };
const char *trm_option_help(const trm_option *option, const void *defaults, char text[TRM_OPTION_HELP]);
/* "whole", "word", ...: borrowed for ever. */
const char *trm_option_kind_name(trm_option_kind kind);
void trm_option_labels_free(trm_option_labels *labels);
void trm_option_texts_free(trm_option_texts *texts);
/* May it be given more than once, each time for one more value? */
bool trm_option_repeats(const trm_option *option);

#endif
