/* Words that stand for values; see word.h. */
#include "base/word.h"

#include <stdio.h>
#include <string.h>

const trm_word *trm_word_at(const trm_words *words, int i)
{
    return words->word != NULL ? &words->word[i] : words->words[i];
}

const trm_word *trm_word_of(const trm_words *words, int value)
{
    for (int i = 0; i < words->count; i++)
        if (trm_word_at(words, i)->value == value)
            return trm_word_at(words, i);
    return NULL;
}

const char *trm_word_name(const trm_words *words, int value)
{
    const trm_word *word = trm_word_of(words, value);
    return word != NULL ? word->name : NULL;
}

const trm_word *trm_word_find(const trm_words *words, const char *text, size_t length)
{
    for (int i = 0; i < words->count; i++) {
        const trm_word *word = trm_word_at(words, i);
        if (!word->derived && strncmp(word->name, text, length) == 0 && word->name[length] == '\0')
            return word;
    }
    return NULL;
}

const char *trm_word_colon(const trm_word *word)
{
    return word->number == NULL ? "" : word->usual > 0.0 ? "[:" : ":";
}

int trm_words_last(const trm_words *words)
{
    int last = 0;
    for (int i = 0; i < words->count; i++)
        last = trm_word_at(words, i)->value > last ? trm_word_at(words, i)->value : last;
    return last;
}

const char *trm_words_list(const trm_words *words, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < words->count && used < size; i++) {
        const trm_word *word = trm_word_at(words, i);
        if (!word->derived)
            used += (size_t)snprintf(text + used, size - used, "%s%s%s%s%s", used > 0 ? " " : "", word->name,
                                     trm_word_colon(word), word->number != NULL ? word->number : "",
                                     word->usual > 0.0 ? "]" : "");
    }
    return text;
}
