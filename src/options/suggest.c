/* What a mistyped word may have meant: the nearest of a list by optimal string alignment (letters left out,
 * put in, changed, or two swapped), if it is near enough to be more than chance. */
#include "options/suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { LETTERS = 40 };

static int lesser(int a, int b)
{
    return a < b ? a : b;
}

/* Of words of at most LETTERS letters; capitals are small letters. */
static int distance(const char *a, int a_length, const char *b, int b_length)
{
    int rows[3][LETTERS + 1], *before = rows[0], *last = rows[1], *now = rows[2];
    for (int j = 0; j <= b_length; j++)
        last[j] = j;
    for (int i = 1; i <= a_length; i++) {
        now[0] = i;
        for (int j = 1; j <= b_length; j++) {
            const int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            now[j] = lesser(last[j - 1] + (x != y), lesser(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]))
                now[j] = lesser(now[j], before[j - 2] + 1);
        }
        int *const next = before;
        before = last;
        last = now;
        now = next;
    }
    return last[b_length];
}

bool trm_is_called(const char *names, const char *name, size_t length)
{
    for (const char *at = names; *at != '\0'; at += strspn(at, " ")) {
        const size_t size = strcspn(at, " ");
        bool same = size == length;
        for (size_t i = 0; i < size && same; i++)
            same = at[i] == (name[i] == '_' ? '-' : (char)tolower((unsigned char)name[i]));
        if (same)
            return true;
        at += size;
    }
    return false;
}

const char *trm_suggest(const char *word, const char *dashes, const char *list, char text[TRM_SUGGESTION])
{
    const int length = (int)strnlen(word, LETTERS + 1);
    int best = LETTERS;
    text[0] = '\0';
    for (const char *at = list; length > 0 && length <= LETTERS && *at != '\0'; at += strspn(at, " ")) {
        const int size = (int)strcspn(at, " ");
        /* one mistake in three letters; or the beginning of the word, which is not enough to name it */
        int far = size <= LETTERS ? distance(word, length, at, size) : LETTERS;
        if (length >= 2 && size > length && strncmp(word, at, (size_t)length) == 0)
            far = 0;
        if (size >= 4 && size < length && far > 2 && strncmp(word, at, (size_t)size) == 0)
            far = 2; /* a longer form of it: "hardest" */
        if (far < best && 3 * far <= (length > 3 ? length : 3)) {
            best = far;
            snprintf(text, TRM_SUGGESTION, ", did you mean '%s%.*s'?", dashes, size, at);
        }
        at += size;
    }
    return text;
}
