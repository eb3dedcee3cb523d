/* What a mistyped word may have meant. */
#ifndef TRM_OPTIONS_SUGGEST_H
#define TRM_OPTIONS_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

enum { TRM_SUGGESTION = 80 };

/* Are the first length bytes of name one of these names, "a b c" in small letters and with dashes? Capitals and '_' are as good. */
bool trm_is_called(const char *names, const char *name, size_t length);

/* ", did you mean '--metric'?" for the word of a list "a b c" that is nearest, with dashes in front; "" where
 * none is near. Returns text. */
const char *trm_suggest(const char *word, const char *dashes, const char *list, char text[TRM_SUGGESTION]);

#endif
