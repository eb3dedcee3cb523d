/* Words that stand for values: "lt" for TRM_WINDOW_LT. A table of them serves parser, help, reports and checks,
 * so that a name stands in one place. */
#ifndef TRM_BASE_WORD_H
#define TRM_BASE_WORD_H

#include <stdbool.h>
#include <stddef.h>

typedef struct trm_word {
    const char *name, *about; /* about: may be NULL */
    const char *elsewhere;    /* its names in other tools: "a b", small letters and dashes; or NULL */
    int value;
    bool derived;       /* is reported but can't be given: it follows from something else */
    const char *number; /* "K" where a number follows, as in "nearest:K"; else NULL */
    bool real;          /* of that number: may it be other than whole? */
    double least, most;
    double usual; /* where none follows; 0: one must */
} trm_word;

typedef struct trm_words {
    const char *type;             /* of the values, as messages name it: "trm_window" */
    const trm_word *word;         /* count words in an array, */
    const trm_word *const *words; /* or, where that is NULL, as many of objects that have a word each */
    int count;
} trm_words;

/* An array of words as trm_words; an array of pointers to words. */
#define TRM_WORDS(type_name, array)                                                                          \
    {                                                                                                        \
        .type = (type_name), .word = (array), .count = (int)(sizeof(array) / sizeof *(array))                \
    }
#define TRM_WORDS_OF(type_name, array)                                                                       \
    {                                                                                                        \
        .type = (type_name), .words = (array), .count = (int)(sizeof(array) / sizeof *(array))               \
    }

/* Word i of count. */
const trm_word *trm_word_at(const trm_words *words, int i);
/* The word that stands for a value, or NULL. */
const trm_word *trm_word_of(const trm_words *words, int value);
/* Its name, or NULL. */
const char *trm_word_name(const trm_words *words, int value);
/* The word whose name is the first length bytes of text, or NULL; a derived one is not found. */
const trm_word *trm_word_find(const trm_words *words, const char *text, size_t length);
/* What stands between a word and what its number is called: ":", "[:" where the number may be left out (then "]" ends
 * it), or nothing. */
const char *trm_word_colon(const trm_word *word);
/* The largest value. */
int trm_words_last(const trm_words *words);
/* The names that can be given, as "a b nearest:K random[:K]". Returns text. */
const char *trm_words_list(const trm_words *words, char *text, size_t size);

#endif
