/* What a mistyped word may have meant. */
#ifndef TRM_OPTIONS_SUGGEST_H
#define TRM_OPTIONS_SUGGEST_H

enum { TRM_SUGGESTION = 80 };

/* ", did you mean '--metric'?" for the word of a list "a b c" that is nearest, with dashes in front; "" where
 * none is near. Returns text. */
const char *trm_suggest(const char *word, const char *dashes, const char *list, char text[TRM_SUGGESTION]);

#endif
